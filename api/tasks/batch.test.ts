import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Task } from '../../contract/tasks/tasks.ts';
import {
  RUNTIME_KEY,
  startTestPlane,
  type Answer,
  type TestPlane,
} from '../../test/support/control-plane.ts';
import { taskCalls, type TaskCalls } from '../../test/tasks/calls.ts';

let test: TestPlane;
let tasks: TaskCalls;

beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
});
afterAll(async () => await test.stop());

const batch = (items: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  test.call('POST', '/api/runtime/llm-tasks/batch', {
    body: { tasks: items },
    headers: { 'X-Runtime-API-Key': RUNTIME_KEY, ...headers },
  });
const madeBy = (answer: Answer): Task[] => {
  expect(answer.status, JSON.stringify(answer.body).slice(0, 500)).toBe(201);
  return answer.body['tasks'] as Task[];
};
const fieldsOf = ({ body }: Answer): string[] =>
  (body['fields'] as { field: string }[] | undefined)?.map(({ field }) => field) ?? [];
const countTasks = async (): Promise<number> => {
  const { rows } = await test.plane.deps.db.pool.query<{ n: number }>(
    'select count(*)::int as n from llm_tasks',
  );
  return rows[0]?.n ?? -1;
};

describe('a batch', () => {
  it('makes tasks that depend on each other by the names within the batch', async () => {
    const before = await tasks.make();
    const [first, second, third] = madeBy(
      await batch([
        { prompt: 'one', ref: 'one' },
        { prompt: 'two', ref: 'two', depends_on: ['one', before] },
        { prompt: 'three', depends_on: ['two', 'one'] },
      ]),
    );
    expect(second?.depends_on).toEqual([first?.id, before]);
    expect(third?.depends_on).toEqual([second?.id, first?.id]);
  });

  it('is made whole with 100 tasks, and refused with 101 or none', async () => {
    const items = Array.from({ length: 101 }, (_, n) => ({ prompt: `${n}` }));
    const before = await countTasks();
    expect((await batch(items)).status).toBe(400);
    expect((await batch([])).status).toBe(400);
    expect(await countTasks()).toBe(before);
    const made = madeBy(await batch(items.slice(1)));
    expect(made.map(({ prompt }) => prompt)).toEqual(items.slice(1).map(({ prompt }) => prompt));
    expect(await countTasks()).toBe(before + 100);
  });

  it('makes nothing when one item is wrong, and names the item and the field', async () => {
    const before = await countTasks();
    const good = { prompt: 'good' };
    for (const [item, field] of [
      [{ prompt: '' }, 'tasks.1.prompt'],
      [{ prompt: 'p', colour: 1 }, 'tasks.1.colour'],
      [{ prompt: 'p', depends_on: ['later'] }, 'tasks.1.depends_on'],
      [{ prompt: 'p', ref: 'itself', depends_on: ['itself'] }, 'tasks.1.depends_on'],
      [{ prompt: 'p', depends_on: ['task_0000000000000000'] }, 'tasks.1.depends_on'],
      [{ prompt: 'p', project_id: 'nowhere' }, 'tasks.1.project_id'],
      [{ prompt: 'p', worker_id: 'nobody' }, 'tasks.1.worker_id'],
      [{ prompt: 'p', tags: ['a\0'] }, 'tasks.1.tags.0'],
    ] as const) {
      const answer = await batch([good, item, { prompt: 'last', ref: 'later' }]);
      expect([answer.status, fieldsOf(answer)], field).toEqual([400, [field]]);
    }
    // A circle would need a reference to a later task, which a batch does not allow.
    const circle = await batch([
      { prompt: 'a', ref: 'a', depends_on: ['b'] },
      { prompt: 'b', ref: 'b', depends_on: ['a'] },
    ]);
    expect([circle.status, fieldsOf(circle)]).toEqual([400, ['tasks.0.depends_on']]);
    const twice = await batch([
      { prompt: 'a', ref: 'a' },
      { prompt: 'b', ref: 'a' },
    ]);
    expect([twice.status, fieldsOf(twice)]).toEqual([400, ['tasks.1.ref']]);
    expect(await countTasks()).toBe(before);
  });

  it('is made once for one key, even when it is sent five times at once', async () => {
    const before = await countTasks();
    const items = [
      { prompt: 'one', ref: 'one' },
      { prompt: 'two', depends_on: ['one'] },
    ];
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => batch(items, { 'Idempotency-Key': 'once' })));
    const ids = answers.map((answer) =>
      madeBy(answer)
        .map(({ id }) => id)
        .join(),
    );
    expect(new Set(ids).size).toBe(1);
    expect(await countTasks()).toBe(before + 2);
    const other = [{ prompt: 'one', ref: 'one' }, { prompt: 'another' }];
    expect((await batch(other, { 'Idempotency-Key': 'once' })).status).toBe(409);
  });
});
