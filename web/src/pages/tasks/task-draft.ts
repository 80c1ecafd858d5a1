import type { FieldProblem } from '../../../../contract/errors.ts';
import { PROPOSAL_TYPE } from '../../../../contract/projects/proposals.ts';
import { CreateTask } from '../../../../contract/tasks/tasks.ts';
import { machineZone, parseTypedTime, TypedTimeError } from '../../../../contract/http/typed-time.ts';
import type { NewTaskBody } from '../../api/task-calls.ts';

/** The type of a result that is only stored. */
export const RESULT_TYPE = 'LLM_RESULT';

/** A number as Mantine's field holds it: text while an unfinished number is typed, empty for the API's default. */
type Typed = number | string;

/** A task as a form edits it. */
export interface TaskDraft {
  readonly prompt: string;
  readonly contextId: string;
  readonly agent: string;
  readonly format: 'text' | 'json';
  readonly autoDispatch: boolean;
  readonly type: typeof RESULT_TYPE | typeof PROPOSAL_TYPE;
  readonly project: string | null;
  readonly pool: string;
  readonly node: string | null;
  readonly priority: string;
  /** One a line. */
  readonly hints: string;
  readonly timeout: Typed;
  readonly budget: Typed;
  readonly attempts: Typed;
  readonly tags: readonly string[];
  /** In the format of the browser's field for a local time. */
  readonly notBefore: string;
  readonly webhook: string;
}

export const EMPTY_TASK: TaskDraft = {
  prompt: '',
  contextId: '',
  agent: '',
  format: 'text',
  autoDispatch: true,
  type: RESULT_TYPE,
  project: null,
  pool: '',
  node: null,
  priority: '3',
  hints: '',
  timeout: '',
  budget: '',
  attempts: '',
  tags: [],
  notBefore: '',
  webhook: '',
};

/** The fields that show their own problems, by the API's names. */
export const TASK_FIELDS = [
  'prompt',
  'context_id',
  'agent_slug',
  'desired_format',
  'artifact_type',
  'project_id',
  'pool',
  'worker_id',
  'priority',
  'context_hints',
  'policy',
  'max_attempts',
  'tags',
  'not_before',
  'webhook_url',
] as const;

/** Those of them that are among the options, which may be collapsed. */
export const OPTION_FIELDS = TASK_FIELDS.slice(6);

const trimToUndefined = (text: string): string | undefined => (text.trim() === '' ? undefined : text.trim());
const toNumber = (typed: Typed): number | undefined => (typed === '' ? undefined : Number(typed));

/** Returns the non-empty lines of a text. */
function splitLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}

/** Returns the body that makes a task from a draft; it leaves out what was not typed. */
export function toTaskBody(draft: TaskDraft): NewTaskBody {
  const policy = { timeout_sec: toNumber(draft.timeout), budget: toNumber(draft.budget) };
  const hints = splitLines(draft.hints);
  const all = {
    prompt: draft.prompt,
    context_id: trimToUndefined(draft.contextId),
    agent_slug: trimToUndefined(draft.agent),
    desired_format: draft.format,
    auto_dispatch: draft.autoDispatch,
    artifact_type: draft.type,
    project_id: draft.project ?? undefined,
    pool: trimToUndefined(draft.pool),
    worker_id: draft.node ?? undefined,
    priority: Number(draft.priority),
    context_hints: hints.length === 0 ? undefined : hints,
    policy: Object.values(policy).every((value) => value === undefined)
      ? undefined
      : withoutUndefined(policy),
    max_attempts: toNumber(draft.attempts),
    tags: draft.tags.length === 0 ? undefined : [...draft.tags],
    not_before: draft.notBefore === '' ? undefined : readNotBefore(draft.notBefore).time,
    webhook_url: trimToUndefined(draft.webhook),
  };
  return withoutUndefined(all) as NewTaskBody;
}

/** Returns the moment in the browser's date field; NaN, and the reason, when it names no single moment. */
function readNotBefore(text: string): { time: number; problem: string | null } {
  try {
    return { time: parseTypedTime(text, { zone: machineZone(), now: Date.now() }), problem: null };
  } catch (error) {
    if (error instanceof TypedTimeError) return { time: Number.NaN, problem: error.message };
    throw error;
  }
}

function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Returns what is wrong with a draft, by the contract and by the form's own rules; empty when it can be sent. */
export function findProblems(draft: TaskDraft): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (draft.prompt.trim() === '') problems.push({ field: 'prompt', problem: 'is missing' });
  if (draft.type === PROPOSAL_TYPE && draft.project === null) {
    problems.push({ field: 'project_id', problem: 'a proposal needs the project that it changes' });
  }
  const { problem } = draft.notBefore === '' ? { problem: null } : readNotBefore(draft.notBefore);
  if (problem !== null) problems.push({ field: 'not_before', problem });
  const parsed = CreateTask.safeParse(toTaskBody(draft));
  for (const issue of parsed.error?.issues ?? []) {
    const field = issue.path.map(String).join('.');
    if (!problems.some((known) => known.field === field))
      problems.push({ field, problem: issueSentence(issue) });
  }
  return problems;
}

/** Words a schema's problem for people. */
function issueSentence(
  issue: NonNullable<ReturnType<typeof CreateTask.safeParse>['error']>['issues'][number],
): string {
  if (issue.code === 'too_big' || issue.code === 'too_small') {
    const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : '';
    const limit =
      issue.code === 'too_big' ? `at most ${String(issue.maximum)}` : `at least ${String(issue.minimum)}`;
    return `must be ${limit}${unit}`;
  }
  if (issue.code === 'invalid_type' && (issue.expected === 'number' || issue.expected === 'int')) {
    return issue.expected === 'int' ? 'must be a whole number' : 'must be a number';
  }
  if (issue.code === 'invalid_format' && issue.format === 'url') return 'must be an http(s) address';
  return issue.message;
}

/** The props of a task's fields. */
export interface TaskFieldsProps {
  readonly draft: TaskDraft;
  readonly onChange: (part: Partial<TaskDraft>) => void;
  readonly error: Error | null;
  /** The prefix of the API's field names, where the task is part of something else. */
  readonly prefix: '' | 'task.';
}
