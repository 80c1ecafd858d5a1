import { describe, expect, it } from 'vitest';
import { CreateTask } from '../../../../contract/tasks/tasks.ts';
import { toTaskBody, EMPTY_TASK, findProblems, type TaskDraft } from './task-draft.ts';

const draft = (part: Partial<TaskDraft>): TaskDraft => ({ ...EMPTY_TASK, prompt: 'Say hello.', ...part });

describe('the draft of a task', () => {
  it('leaves out what was not typed, and is dispatched', () => {
    expect(toTaskBody(draft({}))).toEqual({
      prompt: 'Say hello.',
      desired_format: 'text',
      auto_dispatch: true,
      artifact_type: 'LLM_RESULT',
      priority: 3,
    });
  });

  it('sends all that was typed with the API’s names', () => {
    const full = draft({
      contextId: ' ctx ',
      agent: 'reviewer',
      format: 'json',
      autoDispatch: false,
      type: 'PROPOSAL',
      project: 'p1',
      pool: 'gpu',
      node: 'laptop',
      priority: '1',
      hints: 'README.md\n\n  src/main.ts ',
      timeout: 60,
      budget: 0.5,
      attempts: 2,
      tags: ['a'],
      notBefore: '2026-12-01T08:30',
      webhook: 'https://example.org/hook',
    });
    const body = toTaskBody(full);
    expect(body).toMatchObject({
      context_id: 'ctx',
      context_hints: ['README.md', 'src/main.ts'],
      policy: { timeout_sec: 60, budget: 0.5 },
      max_attempts: 2,
      not_before: new Date(2026, 11, 1, 8, 30).getTime(),
    });
    expect(CreateTask.safeParse(body).success).toBe(true);
    expect(findProblems(full)).toEqual([]);
  });

  it.each<[Partial<TaskDraft>, string, string]>([
    [{ prompt: '  ' }, 'prompt', 'is missing'],
    [{ type: 'PROPOSAL' }, 'project_id', 'a proposal needs the project that it changes'],
    [{ agent: 'x'.repeat(129) }, 'agent_slug', 'must be at most 128 characters'],
    [{ attempts: 11 }, 'max_attempts', 'must be at most 10'],
    [{ timeout: 0 }, 'policy.timeout_sec', 'must be at least 1'],
    [{ webhook: 'example.org' }, 'webhook_url', 'must be an http(s) address'],
    [{ hints: 'x'.repeat(1_025) }, 'context_hints.0', 'must be at most 1024 characters'],
    [
      { notBefore: '2027-02-30T10:00' },
      'not_before',
      '"2027-02-30T10:00" names a day that is in no calendar.',
    ],
    [{ pool: '-' }, 'pool', 'must be 1 to 63 letters, digits, "_", "." or "-"'],
  ])('reports what is wrong with %j', (part, field, problem) =>
    expect(findProblems(draft(part))).toEqual([{ field, problem }]),
  );
});
