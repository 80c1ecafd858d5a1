import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  RUNTIME_KEY,
  startTestPlane,
  type Answer,
  type TestPlane,
} from '../../test/support/control-plane.ts';
import { taskCalls, type TaskCalls } from '../../test/tasks/calls.ts';

const PATH = '/api/runtime/llm-tasks';
const NONE = 'task_0000000000000000';

let test: TestPlane;
let tasks: TaskCalls;

beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
});
afterAll(async () => await test.stop());

const create = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  test.call('POST', PATH, { body, headers: { 'X-Runtime-API-Key': RUNTIME_KEY, ...headers } });
const withKey = (key: string, body: Record<string, unknown>): Promise<Answer> =>
  create({ prompt: 'p', ...body }, { 'Idempotency-Key': key });
const countTasks = async (): Promise<number> => {
  const { rows } = await test.plane.deps.db.pool.query<{ n: number }>(
    'select count(*)::int as n from llm_tasks',
  );
  return rows[0]?.n ?? -1;
};

/** Expects a refusal that names a field. */
function expectField(answer: Answer, field: string, label = field): void {
  expect(answer.status, `${label}: ${JSON.stringify(answer.body)}`).toBe(400);
  const fields = answer.body['fields'] as { field: string }[];
  expect(
    fields?.map((each) => each.field),
    label,
  ).toContain(field);
}

/** For each field, a value that is too large or invalid. */
const WRONG: [field: string, value: unknown, named?: string][] = [
  ['prompt', ''],
  ['prompt', 7],
  ['prompt', 'x'.repeat(400_001)],
  ['prompt', 'a\0b'],
  ['context_id', ''],
  ['context_id', 'x'.repeat(513)],
  ['context_id', 'a\nb'],
  ['agent_slug', 'two\nwords'],
  ['agent_slug', 'x'.repeat(129)],
  ['context_hints', Array.from({ length: 65 }, () => 'x')],
  ['context_hints', ['x'.repeat(1_025)], 'context_hints.0'],
  ['context_hints', ['a\0b'], 'context_hints.0'],
  ['context_hints', ['a\ud800'], 'context_hints.0'],
  ['policy', { timeout_sec: 0 }, 'policy.timeout_sec'],
  ['policy', { timeout_sec: 3_601 }, 'policy.timeout_sec'],
  ['policy', { budget: -1 }, 'policy.budget'],
  ['policy', { memory_mb: 15 }, 'policy.memory_mb'],
  ['policy', { output_kb: 65_537 }, 'policy.output_kb'],
  ['policy', { context_tokens: 200_001 }, 'policy.context_tokens'],
  ['desired_format', 'xml'],
  ['max_attempts', 0],
  ['max_attempts', 11],
  ['max_attempts', 1.5],
  ['auto_dispatch', 'yes'],
  ['pool', ''],
  ['pool', 'x'.repeat(64)],
  ['worker_id', '-no'],
  ['project_id', 'x'.repeat(65)],
  ['project_id', 'a\0b'],
  ['priority', 0],
  ['priority', 6],
  ['fairness_key', 'x'.repeat(65)],
  ['fairness_key', 'a\0b'],
  ['not_before', -1],
  ['not_before', Number.MAX_SAFE_INTEGER],
  ['depends_on', ['nobody'], 'depends_on.0'],
  ['depends_on', Array.from({ length: 101 }, () => NONE)],
  ['lease_ttl_seconds', 4],
  ['lease_ttl_seconds', 3_601],
  ['artifact_type', 'small'],
  ['tags', Array.from({ length: 33 }, () => 'x')],
  ['tags', [''], 'tags.0'],
  ['tags', ['a\0b'], 'tags.0'],
  ['tags', ['\udc00'], 'tags.0'],
  ['webhook_url', 'ftp://example.org'],
  ['webhook_url', 'nonsense'],
];

describe('an invalid request for a task', () => {
  it('is refused with the name of the field, and makes nothing', async () => {
    const before = await countTasks();
    for (const [field, value, named] of WRONG) {
      const label = `${field} = ${JSON.stringify(value).slice(0, 60)}`;
      expectField(await create({ prompt: 'p', [field]: value }), named ?? field, label);
    }
    expectField(await create({}), 'prompt');
    expect(await countTasks()).toBe(before);
  });

  it('is refused when the body is empty, too large or not JSON', async () => {
    expectField(await test.call('POST', PATH), 'prompt', 'no body');
    expectField(await create(''), 'prompt', 'a body of 0 bytes');
    expect((await create('{"prompt":')).status).toBe(400);
    expect((await create('"text"')).status).toBe(400);
    expect((await create([])).status).toBe(400);
    const large = await create({ prompt: 'x'.repeat(10 * 2 ** 20) });
    expect([large.status, large.body['code']]).toEqual([413, 'too_large']);
  });

  it('makes the task although the prompt’s first 200 characters end in half of an emoji', async () => {
    const id = await tasks.make({ prompt: `${'x'.repeat(199)}😀 and more` });
    const [listed] = await tasks.list<{ prompt: string }>('llm-tasks?limit=1');
    expect(listed?.prompt).toBe(`${'x'.repeat(199)}\ufffd`);
    expect((await tasks.get(id)).prompt).toContain('😀');
  });

  it('makes the task when every limit is exactly met', async () => {
    const id = await tasks.make({
      prompt: 'x'.repeat(400_000),
      context_id: 'ü'.repeat(256),
      agent_slug: 'x'.repeat(128),
      context_hints: Array.from({ length: 64 }, () => 'x'.repeat(1_024)),
      policy: { timeout_sec: 3_600, budget: 10_000, memory_mb: 1_048_576, output_kb: 65_536 },
      max_attempts: 10,
      pool: 'x'.repeat(63),
      priority: 5,
      fairness_key: 'x'.repeat(64),
      not_before: Date.now() + 365 * 24 * 3_600_000,
      lease_ttl_seconds: 3_600,
      tags: Array.from({ length: 32 }, (_, n) => `${n}`.padStart(64, 'x')),
    });
    expect(await tasks.get(id)).toMatchObject({ status: 'queued', pool: 'x'.repeat(63), max_attempts: 10 });
    await tasks.post(id, 'cancel', {});
  });

  it('is refused for an unknown project, node or dependency', async () => {
    expectField(await create({ prompt: 'p', project_id: 'nowhere' }), 'project_id');
    expectField(await create({ prompt: 'p', depends_on: [NONE] }), 'depends_on');
    const proposal = await create({ prompt: 'p', artifact_type: 'PROPOSAL' });
    expectField(proposal, 'project_id');
    expectField(await create({ prompt: 'p', worker_id: 'nobody' }), 'worker_id');
  });
});

describe('an invalid id', () => {
  it('gets 404 everywhere, or 400 where it cannot be an id', async () => {
    for (const id of [NONE, 'x', '..%2f', 'x'.repeat(3_000), '%00']) {
      const wanted = id === '%00' ? 400 : 404;
      for (const what of ['', '/leases', '/results', '/output']) {
        const { status } = await test.call('GET', `${PATH}/${id}${what}`);
        expect([id.slice(0, 20), what, status]).toEqual([id.slice(0, 20), what, wanted]);
      }
      const bodies = { complete: { status: 'success' }, lease: { worker_id: 'w' } };
      for (const what of [
        'lease',
        'heartbeat',
        'complete',
        'release',
        'dispatch',
        'cancel',
        'requeue',
      ] as const) {
        const { status } = await tasks.post(id, what, what in bodies ? bodies[what as 'lease'] : {});
        expect([id.slice(0, 20), what, status]).toEqual([id.slice(0, 20), what, wanted]);
      }
    }
    expect((await test.call('GET', '/api/runtime/artifacts/art_none')).status).toBe(404);
  });
});

describe('an Idempotency-Key', () => {
  it('makes one task, even when it is used ten times at once', async () => {
    const before = await countTasks();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => withKey('ten', { prompt: 'ten at once' })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 201));
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
    expect(await countTasks()).toBe(before + 1);
    const id = String(answers[0]?.body['id']);
    expect(await tasks.story(id)).toEqual(['task_created']);
    // Also long after, when the task has ended.
    await tasks.post(id, 'cancel', {});
    expect((await withKey('ten', { prompt: 'ten at once' })).body).toMatchObject({ id, status: 'cancelled' });
    expect(await countTasks()).toBe(before + 1);
  });

  it('is refused with another body, even when both requests arrive together', async () => {
    const first = await withKey('other', { tags: ['one'] });
    const second = await withKey('other', { tags: ['two'] });
    expect([first.status, second.status]).toEqual([201, 409]);
    expect(second.body).toMatchObject({
      code: 'conflict',
      detail: expect.stringContaining('other') as string,
    });
    const both = await Promise.all([1, 2, 3, 4].map((n) => withKey('race', { tags: [`${n % 2}`] })));
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 201, 409, 409]);
  });

  it('is refused in an invalid form', async () => {
    for (const key of ['two words', 'x'.repeat(256), '']) {
      const answer = await withKey(key, {});
      expect([key, answer.status]).toEqual([key, 400]);
    }
    expect((await withKey('x'.repeat(255), {})).status).toBe(201);
  });
});
