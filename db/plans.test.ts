import { Client } from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ListTasks } from '../contract/tasks/tasks.ts';
import { freshDatabase } from '../test/support/control-plane.ts';
import { connectDatabase, type Database } from './connect.ts';
import { migrateDatabase } from './migrate.ts';
import { listLeases, listRuns } from './queries/find-leases.ts';
import { listTasks } from './queries/find-tasks.ts';
import { listJobs } from './queries/list-jobs.ts';
import { readStats } from './queries/read-stats.ts';

const JOBS = 60_000;
const TASKS = 40_000;
const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 1);
/** The time between two rows, so that the seed covers a year. */
const STEP = Math.floor((365 * DAY) / JOBS);

/** A list may sort this many rows. Sorting more means reading rows that it does not show. */
const FEW = 100;

let database: Awaited<ReturnType<typeof freshDatabase>>;
let db: Database;
beforeAll(async () => {
  database = await freshDatabase(inject('parts').databaseUrl);
  db = connectDatabase(database.url, { onIdleError: () => undefined });
  await migrateDatabase(db);
  await seed();
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

/** Seeds a year of jobs and tasks of some projects and many nodes. */
async function seed(): Promise<void> {
  await db.pool.query(
    `insert into jobs (id, action, trigger, project, canonical_id, agent, status, detail, workflow_id, run_id, created_at, finished_at)
     select 'job_' || n, 'sync', 'noticed', 'project ' || n % 300, 'cid', 'node-' || n % 200,
       case when n % 500 = 0 then 'failed' else 'completed' end, '', 'w' || n, 'r', $1::bigint - n * $2::bigint, $1::bigint - n * $2::bigint + 5
     from generate_series(1, $3::int) n`,
    [NOW, STEP, JOBS],
  );
  await db.pool.query(
    `insert into llm_tasks (id, context_id, agent_slug, prompt, context_hints, policy, desired_format, status, created_at, updated_at,
       finished_at, attempts, max_attempts, seq, epoch, dispatched, pool, project_id, priority, fairness_key, depends_on,
       lease_ttl_seconds, artifact_type, tags, created_by, request_hash, detail, workflow_id, run_id)
     select 'task_' || n, 'ctx-' || n % 5000, 'default', 'Write chapter ' || md5(n::text) || ' of the book', '[]', '{}', 'text',
       case when n % 100 = 0 then 'failed' else 'completed' end, $1::bigint - n * $2::bigint, $1, $1::bigint - n * $2::bigint + 5,
       1, 3, 1, 1, false, 'default', 'proj_' || n % 50, 0, '', '[]', 60, 'LLM_RESULT', jsonb_build_array('tag' || n % 4000), 'api', '', '', 'w', 'r'
     from generate_series(1, $3::int) n`,
    [NOW, STEP, TASKS],
  );
  await db.pool.query(
    `insert into leases (id, task_id, worker_id, epoch, kind, started_at, expires_at, ttl_seconds, status, last_heartbeat, context_id)
     select 'lease_' || n, 'task_' || n, 'node-' || n % 200, 1, 'agent', $1::bigint - n * $2::bigint, $1, 60, 'released', $1, 'ctx'
     from generate_series(1, $3::int) n`,
    [NOW, STEP, TASKS],
  );
  await db.pool.query('vacuum analyze');
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Relation Name'?: string;
  readonly 'Plan Rows': number;
  readonly Plans?: readonly Plan[];
}

/** Returns PostgreSQL's plans for every statement that some work sends. */
async function plansOf(
  work: () => Promise<unknown>,
): Promise<{ indexes: string[]; scanned: string[]; sorts: number }> {
  const sent: { text: string; values: unknown[] }[] = [];
  const pool = db.pool as unknown as { query: (...args: unknown[]) => unknown };
  const send = pool.query.bind(pool);
  pool.query = (...args: unknown[]) => {
    const [first, second] = args as [{ text: string }, unknown[]];
    sent.push({ text: first.text, values: second });
    return send(...args);
  };
  try {
    await work();
  } finally {
    // Uncovers the pool's own method.
    Reflect.deleteProperty(pool, 'query');
  }
  expect(sent.length).toBeGreaterThan(0);
  const client = new Client({ connectionString: database.url });
  await client.connect();
  const nodes: Plan[] = [];
  const add = (plan: Plan): void => {
    nodes.push(plan);
    plan.Plans?.forEach(add);
  };
  try {
    for (const { text, values } of sent) {
      const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
        `explain (format json) ${text}`,
        values,
      );
      for (const { Plan: plan } of rows[0]?.['QUERY PLAN'] ?? []) add(plan);
    }
  } finally {
    await client.end();
  }
  return {
    indexes: nodes.flatMap((node) => node['Index Name'] ?? []),
    scanned: nodes.flatMap((node) => (node['Node Type'] === 'Seq Scan' ? (node['Relation Name'] ?? []) : [])),
    sorts: nodes.filter((node) => node['Node Type'] === 'Sort' && node['Plan Rows'] > FEW).length,
  };
}

/** Queries as the page does: fifty rows per page. A thousand rows of a small project are read and sorted. */
const tasks = (query: Record<string, unknown>) => () =>
  listTasks(db, ListTasks.parse({ limit: '50', ...query }));

test.each([
  ['the newest jobs', () => listJobs(db, { limit: 50 }), 'jobs_newest'],
  [
    'the newest jobs of a project',
    () => listJobs(db, { limit: 50, project: 'project 7' }),
    'jobs_of_project',
  ],
  ['the newest jobs of a node', () => listJobs(db, { limit: 200, node: 'node-7' }), 'jobs_of_agent'],
  [
    'the newest jobs of a node in a project',
    () => listJobs(db, { limit: 200, node: 'node-7', project: 'project 7' }),
    'jobs_of_both',
  ],
  ['the newest tasks', tasks({}), 'llm_tasks_created_at'],
  ['the newest tasks of a status', tasks({ status: 'failed' }), 'llm_tasks_status'],
  ['the newest tasks of a project', tasks({ project_id: 'proj_7' }), 'llm_tasks_of_project'],
  ['the newest tasks of a context', tasks({ context_id: 'ctx-7' }), 'llm_tasks_of_context'],
  ['the newest leases', () => listLeases(db, { limit: 50 }), 'leases_started'],
  ['the newest attempts', () => listRuns(db, { limit: 50 }), 'leases_started'],
] as const)('reads %s from an index without sorting all rows', async (_what, work, index) => {
  const { indexes, scanned, sorts } = await plansOf(work);
  expect(indexes).toContain(index);
  expect({ scanned: scanned.filter((table) => /^(jobs|llm_tasks|leases)$/.test(table)), sorts }).toEqual({
    scanned: [],
    sorts: 0,
  });
});

test('finds tasks by a rare tag through an index', async () => {
  expect((await plansOf(tasks({ tag: 'tag77' }))).indexes).toContain('llm_tasks_tags');
});

test('finds tasks by a word of their prompt, id or context through an index, with unchanged results', async () => {
  const [{ word } = { word: '' }] = (
    await db.pool.query<{ word: string }>(`select substr(md5('777'), 5, 12) as word`)
  ).rows;
  const search = tasks({ search: word.toUpperCase() });
  const { indexes, scanned } = await plansOf(search);
  expect(indexes).toContain('task_texts_trigrams');
  expect(scanned).toEqual([]);
  expect((await search()).tasks.map(({ id }) => id)).toEqual(['task_777']);
  expect((await tasks({ search: 'ask_1234' })()).tasks.length).toBe(11);
  expect((await tasks({ search: 'ctx-4321' })()).tasks.length).toBe(8);
});

test('counts what ended in the last day from indexes', async () => {
  const { indexes } = await plansOf(() => readStats(db, { now: NOW }));
  expect(indexes).toEqual(expect.arrayContaining(['jobs_finished_at', 'llm_tasks_finished_at']));
});

test('searches tasks without the index when PostgreSQL lacks pg_trgm', async () => {
  await db.pool.query('drop extension pg_trgm cascade');
  expect((await tasks({ search: 'TASK_777' })()).tasks.map(({ id }) => id)).toContain('task_777');
});
