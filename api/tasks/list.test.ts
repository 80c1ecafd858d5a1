import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Task } from '../../contract/tasks/tasks.ts';
import { startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { taskCalls, type TaskCalls } from '../../test/tasks/calls.ts';

const ROWS = 320;

let test: TestPlane;
let tasks: TaskCalls;

/** Inserts some hundred tasks into PostgreSQL, many with equal times: the list reads nothing else. */
beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
  await tasks.make({ prompt: 'the first of all', agent_slug: 'writer', tags: ['red', 'blue'] });
  await copies(ROWS);
});
afterAll(async () => await test.stop());

let made = 0;
/** Copies the first task: seven with each millisecond, every third with another agent profile, context and status. */
async function copies(count: number): Promise<void> {
  const { pool } = test.plane.deps.db;
  const own = ['id', 'created_at', 'agent_slug', 'context_id', 'status', 'prompt'];
  const { rows } = await pool.query<{ name: string }>(
    "select column_name as name from information_schema.columns where table_name = 'llm_tasks' and not column_name = any($1)",
    [own],
  );
  const names = rows.map(({ name }) => `"${name}"`).join(', ');
  await pool.query(
    `insert into llm_tasks (${own.join(', ')}, ${names})
     select 'task_' || lpad(to_hex(n * 7919), 16, '0'), created_at + 1 + n / 7,
       case when n % 3 = 0 then 'reader' else agent_slug end, 'ctx-' || n % 3,
       case when n % 3 = 0 then 'completed' else status end, 'number ' || n || ' of 100%', ${names}
     from (select * from llm_tasks order by created_at limit 1) one, generate_series(${made + 1}, ${made + count}) n`,
  );
  made += count;
}

/** Follows the cursors to the end. @param between runs between two pages */
async function pages(query: string, between: () => Promise<void> = async () => undefined): Promise<Task[]> {
  const all: Task[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const path = `/api/runtime/llm-tasks?${query}${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const { status, headers, body } = await test.call('GET', path);
    expect(status, JSON.stringify(body)).toBe(200);
    all.push(...(body as unknown as Task[]));
    cursor = headers.get('X-Next-Cursor');
    await between();
  }
  return all;
}
const idsOf = (list: readonly Task[]): string[] => list.map(({ id }) => id);

describe('the list of tasks', () => {
  it('lists every row once, page by page, newest first, while new ones arrive', async () => {
    const before = idsOf(await pages('limit=200'));
    expect(before.length).toBeGreaterThan(ROWS);
    for (const limit of [7, 50]) {
      const listed = await pages(`limit=${limit}`, () => copies(1));
      const ids = idsOf(listed);
      expect(new Set(ids).size).toBe(ids.length);
      expect(before.filter((id) => !ids.includes(id))).toEqual([]);
      const times = listed.map(({ created_at }) => created_at);
      expect(times).toEqual(times.toSorted((a, b) => b - a));
    }
  });

  it('filters by every field, page by page', async () => {
    const all = await pages('limit=200');
    for (const [query, fits] of [
      ['status=completed', (task) => task.status === 'completed'],
      ['agent_slug=reader', (task) => task.agent_slug === 'reader'],
      ['context_id=ctx-1', (task) => task.context_id === 'ctx-1'],
      ['context_id=ctx-1&status=queued', (task) => task.context_id === 'ctx-1' && task.status === 'queued'],
      ['tag=blue', (task) => task.tags.includes('blue')],
      ['pool=default', () => true],
      ['search=NUMBER%2012', (task) => /number 12/.test(task.prompt)],
      ['search=100%25', (task) => task.prompt.includes('100%')],
      ['search=reader', (task) => task.agent_slug === 'reader'],
    ] as [string, (task: Task) => boolean][]) {
      const wanted = idsOf(all.filter(fits));
      expect(wanted.length, query).toBeGreaterThan(0);
      expect(idsOf(await pages(`${query}&limit=33`)), query).toEqual(wanted);
    }
    for (const query of [
      'tag=green',
      'pool=gpu',
      'worker_id=w',
      'project_id=p',
      'search=n_mber',
      'status=dead',
    ]) {
      expect(await pages(query), query).toEqual([]);
    }
  });

  it('refuses invalid filters and foreign cursors', async () => {
    const cursor = (text: string): string => `cursor=${Buffer.from(text).toString('base64url')}`;
    for (const query of [
      'cursor=nonsense',
      cursor('1 '),
      cursor("1 '; drop table llm_tasks"),
      cursor('99999999999999999999 task_1'),
      `search=${'x'.repeat(201)}`,
      'search=%00',
      'tag=%00',
    ]) {
      const { status, body } = await test.call('GET', `/api/runtime/llm-tasks?${query}`);
      expect([query, status], JSON.stringify(body)).toEqual([query, 400]);
    }
  });
});
