import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { canonicalId } from '../contract/memory/canonical-id.ts';
import type { SyncTrigger } from '../contract/http/primitives.ts';
import type { SyncRoundResult } from '../contract/workflows.ts';
import { freshDatabase, heartbeat } from '../test/support/control-plane.ts';
import { connectDatabase, type Database } from './connect.ts';
import { migrateDatabase } from './migrate.ts';
import { createEnrolmentToken } from './queries/create-enrolment-token.ts';
import { createSpace } from './queries/create-space.ts';
import { byEngine } from './queries/record-audit.ts';
import { deleteNode } from './queries/delete-node.ts';
import { emitEvents, lockEvents } from './queries/emit-events.ts';
import { enrolNode } from './queries/enrol-node.ts';
import { getJob } from './queries/get-job.ts';
import { getSpace } from './queries/get-space.ts';
import { listLiveNodes } from './queries/list-live-nodes.ts';
import { readEventRange, readEvents } from './queries/read-events.ts';
import { recordHeartbeat } from './queries/record-heartbeat.ts';
import { recordRoundFinished } from './queries/record-round-finished.ts';
import { recordRoundStarted } from './queries/record-round-started.ts';

let db: Database;
let drop: () => Promise<void>;
const space = { cid: canonicalId('demo'), projectId: 'demo', projects: ['demo'] };
const node = 'node-a';
const by = byEngine('the test asked for it');

beforeAll(async () => {
  const database = await freshDatabase(inject('parts').databaseUrl);
  db = connectDatabase(database.url, { onIdleError: () => undefined });
  drop = () => database.drop();
  await migrateDatabase(db);
  await createSpace(db, { space, source: 'manual', createdAt: 1, by });
  await addNode(node);
});
afterAll(async () => {
  await db.close();
  await drop();
});

async function addNode(id: string): Promise<void> {
  await createEnrolmentToken(db, { tokenHash: id, pools: [], nodeId: id, now: 1, expiresAt: 1_000, by });
  await enrolNode(db, {
    tokenHash: id,
    nodeId: id,
    keyHash: id,
    publicKey: Buffer.from(id).toString('base64'),
    facts: heartbeat(id).facts,
    now: 2,
  });
}

function request(jobId: string, trigger: SyncTrigger = 'button') {
  return { jobId, action: 'sync' as const, trigger, requestedAt: 5 };
}

function result(jobIds: string[], rows: number, error: SyncRoundResult['error'] = null): SyncRoundResult {
  const traffic = { requests: 1, bytesUp: 10, bytesDown: 20 };
  return {
    jobIds,
    push: { rows, segments: 1, head: { epoch: 'e', seq: 3 }, traffic, ms: 1 },
    pull: {
      operations: 0,
      inserted: rows,
      updated: 0,
      waiting: 0,
      segments: 0,
      problems: [],
      traffic,
      ms: 1,
    },
    error,
    ms: 12.4,
  };
}

async function round(
  jobId: string,
  trigger: SyncTrigger,
  rows: number,
  error: SyncRoundResult['error'] = null,
) {
  const requests = [request(jobId, trigger)];
  const started = { space, node, workflowId: 'w', runId: 'r', requests, startedAt: 10 };
  const finished = { space, node, requests, result: result([jobId], rows, error), finishedAt: 20 };
  await recordRoundStarted(db, started);
  return { started, finished };
}

test('adds the totals of a retried round once, and leaves a finished job closed', async () => {
  const { started, finished } = await round('job_twice', 'button', 7);
  expect(await getJob(db, { id: 'job_twice' })).toMatchObject({
    status: 'running',
    detail: 'sending and fetching',
  });
  await recordRoundFinished(db, finished);
  const after = await getSpace(db, { cid: space.cid });
  await recordRoundFinished(db, finished);
  await recordRoundStarted(db, started);
  expect(await getSpace(db, { cid: space.cid })).toEqual(after);
  expect(after?.nodes).toMatchObject([
    { rows_sent: 7, rows_received: 7, bytes_up: 20, status: 'in-step', last_push_at: 20, head_seq: 3 },
  ]);
  expect(await getJob(db, { id: 'job_twice' })).toMatchObject({
    status: 'completed',
    detail: 'sent 7 rows, received 7 rows',
    rows_sent: 7,
    bytes_down: 40,
    requests: 2,
    ms: 12,
  });
});

test('reports the reason of a failed round, and what it transferred', async () => {
  const { finished } = await round('job_failed', 'api', 1, {
    code: 'store_unavailable',
    message: 'MinIO is away',
  });
  await recordRoundFinished(db, finished);
  expect(await getJob(db, { id: 'job_failed' })).toMatchObject({
    status: 'failed',
    error_code: 'store_unavailable',
    detail: 'MinIO is away; sent 1 row; received 1 row',
  });
});

test.each([
  ['noticed', 0, null, false],
  ['catch-up', 0, null, false],
  ['fan-out', 0, null, false],
  ['button', 0, null, true],
  ['noticed', 2, null, true],
  ['noticed', 0, { code: 'internal', message: 'broken' }, true],
] as const)(
  'a round for "%s" that moved %i rows, with error %o, stays in the history: %s',
  async (...row) => {
    const [trigger, rows, error, stays] = row;
    const { finished } = await round('job_quiet', trigger, rows, error);
    const before = (await readEventRange(db)).last ?? 0;
    await recordRoundFinished(db, finished);
    expect((await getJob(db, { id: 'job_quiet' })) !== null).toBe(stays);
    const told = (await readEvents(db, { after: before, limit: 10 })).map(({ event }) => event);
    expect(told).toMatchObject([
      stays ? { type: 'job', job: { id: 'job_quiet' } } : { type: 'job-removed', id: 'job_quiet' },
      { type: 'space-node', node: { canonical_id: space.cid } },
    ]);
    await db.pool.query(`delete from jobs where id = 'job_quiet'`);
  },
);

test('keeps a node failed when one direction of a sync succeeds after the other failed', async () => {
  const half = async (
    jobId: string,
    action: 'push' | 'pull',
    at: number,
    error: SyncRoundResult['error'],
  ) => {
    const requests = [{ jobId, action, trigger: 'button' as const, requestedAt: at }];
    const whole = result([jobId], 1, error);
    const done = { push: error === null ? whole.push : null, pull: error === null ? whole.pull : null };
    const partial = { ...whole, ...(action === 'push' ? { ...done, pull: null } : { ...done, push: null }) };
    await recordRoundStarted(db, { space, node, workflowId: 'w', runId: 'r', requests, startedAt: at });
    await recordRoundFinished(db, { space, node, requests, result: partial, finishedAt: at + 1 });
    return (await getSpace(db, { cid: space.cid }))?.nodes.find(({ node_id }) => node_id === node);
  };
  const away = { code: 'store_unavailable', message: 'MinIO is away' };
  expect(await half('job_half_1', 'pull', 100, away)).toMatchObject({ status: 'failed' });
  expect(await half('job_half_2', 'push', 200, null)).toMatchObject({
    status: 'failed',
    detail: 'MinIO is away',
  });
  expect(await half('job_half_3', 'pull', 300, null)).toMatchObject({ status: 'in-step' });
  expect(await half('job_half_4', 'push', 400, away)).toMatchObject({ status: 'failed' });
  expect(await half('job_half_5', 'pull', 500, null)).toMatchObject({ status: 'failed' });
  expect(await half('job_half_6', 'push', 600, null)).toMatchObject({ status: 'in-step' });
});

test('shows a round as failed, with the reason, when it leaves out what other nodes sent', async () => {
  const whole = result(['job_left_out'], 1);
  const problems = [{ node: 'node-b', problem: 'segment 3 is damaged' }];
  const unmerged = { code: 'memory_index_damaged', message: 'observations_fts is damaged' };
  const { push, pull } = whole;
  if (push === null || pull === null) throw new Error('the result has both halves');
  for (const [left, detail] of [
    [{ ...whole, pull: { ...pull, problems } }, /node-b: segment 3 is damaged/],
    [
      { ...whole, push: { ...push, unmerged }, pull: null },
      /could not be merged: observations_fts is damaged/,
    ],
  ] as const) {
    const { finished } = await round('job_left_out', 'button', 1);
    await recordRoundFinished(db, { ...finished, result: left });
    const [first] = (await getSpace(db, { cid: space.cid }))?.nodes ?? [];
    expect(first).toMatchObject({ status: 'failed', detail: expect.stringMatching(detail) });
    await db.pool.query(`delete from jobs where id = 'job_left_out'`);
  }
});

test('listeners see both nodes in step when two finish at once', async () => {
  await addNode('node-b');
  const a = await round('job_a', 'button', 1);
  const requests = [request('job_b')];
  const b = { space, node: 'node-b', requests };
  await recordRoundStarted(db, { ...b, workflowId: 'w', runId: 'r', startedAt: 10 });
  const before = (await readEventRange(db)).last ?? 0;
  const waiting = async (): Promise<number> => {
    const { rows } = await db.pool.query(
      `select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`,
    );
    return rows.length;
  };
  let finished: Promise<unknown> = Promise.resolve();
  await db.transaction(async (tx) => {
    await lockEvents(tx);
    finished = Promise.all([
      recordRoundFinished(db, a.finished),
      recordRoundFinished(db, { ...b, result: result(['job_b'], 1), finishedAt: 20 }),
    ]);
    await expect.poll(waiting).toBe(2);
  });
  await finished;
  const told = await readEvents(db, { after: before, limit: 10 });
  const rows = told.flatMap(({ event }) => (event.type === 'space-node' ? [event.node] : []));
  const after = (await getSpace(db, { cid: space.cid }))?.nodes ?? [];
  for (const { node } of [a.finished, b]) {
    const known = after.find(({ node_id }) => node_id === node);
    expect(known).toBeDefined();
    expect(rows.findLast(({ node_id }) => node_id === node)).toEqual(known);
  }
  await deleteNode(db, { id: 'node-b', now: 21, by: byEngine('a test') });
});

test('does not recreate a node that was deleted during its round', async () => {
  await addNode('node-gone');
  await deleteNode(db, { id: 'node-gone', now: 3, by: byEngine('a test') });
  const requests = [request('job_gone')];
  const common = { space, node: 'node-gone', requests };
  await recordRoundStarted(db, { ...common, workflowId: 'w', runId: 'r', startedAt: 1 });
  await recordRoundFinished(db, { ...common, result: result(['job_gone'], 1), finishedAt: 2 });
  const after = await getSpace(db, { cid: space.cid });
  expect(after?.nodes.map((row) => row.node_id)).toEqual([node]);
  expect(await getJob(db, { id: 'job_gone' })).toMatchObject({ status: 'completed' });
});

test('live nodes are those with a fresh heartbeat, and a node comes back once', async () => {
  expect(await listLiveNodes(db, { withinMs: 25_000, now: 100_000 })).toEqual([]);
  const report = { node, heartbeat: heartbeat(), sealingKeyIds: undefined };
  expect(await recordHeartbeat(db, { ...report, now: 100_000 })).toMatchObject({
    returned: true,
    drained: false,
  });
  expect(await recordHeartbeat(db, { ...report, now: 110_000 })).toMatchObject({
    returned: false,
    drained: false,
  });
  expect(await listLiveNodes(db, { withinMs: 25_000, now: 135_000 })).toEqual([node]);
  expect(await listLiveNodes(db, { withinMs: 25_000, now: 135_001 })).toEqual([]);
  expect(await recordHeartbeat(db, { ...report, now: 140_000 })).toMatchObject({
    returned: true,
    drained: false,
  });
});

test('events become visible in the order of their numbers under concurrent writes', async () => {
  const start = (await readEventRange(db)).last ?? 0;
  const writers = Array.from({ length: 60 }, (_, index) =>
    db.transaction(async (tx) => {
      await emitEvents(tx, [{ type: 'node-removed', id: `n${index}` }], 1);
      // The later half commits at once, the first half only after a while: a plain sequence would show gaps.
      if (index < 30) await tx.execute(`select pg_sleep(0.01)`);
    }),
  );
  let done = false;
  const all = Promise.all(writers).finally(() => {
    done = true;
  });
  const seen: number[] = [];
  for (let last = false; ; last = done) {
    const after = seen.at(-1) ?? start;
    for (const { seq } of await readEvents(db, { after, limit: 1_000 })) seen.push(seq);
    if (last) break;
  }
  await all;
  expect(seen).toHaveLength(60);
});
