import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { MembersPage, Space, SpaceSync } from '../../contract/memory/memory.ts';
import { connectDatabase, type Database } from '../../db/connect.ts';
import { createSpace } from '../../db/queries/create-space.ts';
import { recordRoundFinished } from '../../db/queries/record-round-finished.ts';
import { recordRoundStarted } from '../../db/queries/record-round-started.ts';
import {
  RUNTIME_KEY,
  enrolNode,
  freshDatabase,
  heartbeat,
  startTestPlane,
  type TestPlane,
} from '../../test/support/control-plane.ts';

const CID = canonicalId('demo');
const NODE = 'node-a';

let api: TestPlane;
let db: Database;
let drop: () => Promise<void>;
let key: string;
beforeAll(async () => {
  const database = await freshDatabase(inject('parts').databaseUrl);
  drop = () => database.drop();
  db = connectDatabase(database.url, { onIdleError: () => undefined });
  api = await startTestPlane({ databaseUrl: database.url });
  key = (await enrolNode(api, NODE)).agent_key;
  const space = { cid: CID, projectId: 'demo', projects: ['*'] };
  // Without its workflow, which would request syncs that nobody does here.
  await createSpace(db, { space, source: 'manual', createdAt: 1, by: { actor: 'test', cause: 'test' } });
  const now = Date.now();
  const requests = [
    { jobId: 'job_1', action: 'sync' as const, trigger: 'button' as const, requestedAt: now },
  ];
  const traffic = { requests: 1, bytesUp: 1, bytesDown: 1 };
  const result = {
    jobIds: ['job_1'],
    push: { rows: 2, segments: 1, head: null, traffic, ms: 1 },
    pull: { operations: 0, inserted: 0, updated: 0, waiting: 0, segments: 0, problems: [], traffic, ms: 1 },
    error: null,
    ms: 1,
  };
  const round = { space, node: NODE, requests };
  await recordRoundStarted(db, { ...round, workflowId: 'w', runId: 'r', startedAt: now });
  await recordRoundFinished(db, { ...round, result, finishedAt: now });
});
afterAll(async () => {
  await api.stop();
  await db.close();
  await drop();
});

/** Reports with changed fields; unknown fields are allowed. */
async function report(memory: Record<string, unknown>): Promise<number> {
  const usual = heartbeat(NODE);
  const { status } = await api.call('POST', '/api/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': key },
    body: { ...usual, memory: { ...usual.memory, checkedAt: Date.now(), ...memory } },
  });
  return status;
}

async function stateNow(): Promise<Space['nodes'][number] | undefined> {
  const { body } = await api.call('GET', `/api/membridge/spaces/${CID}`);
  const { body: members } = await api.call('GET', `/api/membridge/spaces/${CID}/members?node=${NODE}`);
  const one = (body as unknown as Space).nodes.find(({ node_id }) => node_id === NODE);
  const { rows, members: counts } = members as unknown as MembersPage;
  expect(rows.map(({ record }) => record)).toEqual([one]);
  expect(counts[one?.status ?? 'new']).toBeGreaterThan(0);
  return one;
}

async function metricsNow(): Promise<string> {
  const { body } = await api.call('GET', '/metrics', { headers: { 'X-Runtime-API-Key': RUNTIME_KEY } });
  return (body as unknown as { text: string }).text;
}

function synced(changes: Partial<SpaceSync>): SpaceSync[] {
  const ok = { ok_at: Date.now(), failure: null };
  const nothing = { staged: 0, held: 0, waiting: 0, waiting_since: null, waiting_reason: null, problems: [] };
  return [{ space: CID, name: 'demo', since: 1, push: ok, merge: ok, pull: ok, ...nothing, ...changes }];
}

test('shows a node as in sync while its last round and its report say so', async () => {
  expect(await report({ syncs: synced({}) })).toBe(200);
  expect(await stateNow()).toMatchObject({ status: 'in-step', detail: 'sent 2 rows' });
  const metrics = await metricsNow();
  expect(metrics).toContain(`membridge_space_node_state{space="demo",node="${NODE}",state="in-step"} 1`);
  expect(metrics).toContain(`membridge_memory_state{node="${NODE}",state="ready"} 1`);
});

test('shows a failure that a node reports after its last round in the API and in the metrics, with its reason', async () => {
  const failure = { code: 'store_unavailable', message: 'MinIO is away', at: Date.now(), since: 5 };
  const detail = 'Space demo: Fetching failed just now: MinIO is away';
  await report({ state: 'failing', detail, syncs: synced({ pull: { ok_at: 5, failure } }) });
  expect(await stateNow()).toMatchObject({
    status: 'failed',
    detail: 'Fetching failed just now: MinIO is away',
    round: { status: 'in-step' },
  });
  const metrics = await metricsNow();
  expect(metrics).toContain(`membridge_space_node_state{space="demo",node="${NODE}",state="failed"} 1`);
  expect(metrics).toContain(`membridge_memory_state{node="${NODE}",state="failing"} 1`);
  expect(metrics).not.toContain(`state="in-step"`);
});

test('accepts states and fields of a newer agent, and counts an unknown state as failing', async () => {
  expect(await report({ state: 'frozen', detail: 'The disk sleeps.', mood: 'good' })).toBe(200);
  expect(await stateNow()).toMatchObject({ status: 'failed', detail: 'The disk sleeps.' });
});

test('shows a node as in sync again when it reports as before', async () => {
  await report({ syncs: synced({}) });
  expect(await stateNow()).toMatchObject({ status: 'in-step' });
  // An agent of 0.4 reports nothing about its syncs.
  await report({});
  expect(await stateNow()).toMatchObject({ status: 'in-step' });
});

test('shows a node that was silent for a minute as out of date, and its memory too', async () => {
  await db.pool.query('update nodes set last_heartbeat = $1', [Date.now() - 60_000]);
  expect(await stateNow()).toMatchObject({
    status: 'stale',
    detail: expect.stringContaining('last reported 60 s ago'),
  });
  expect(await metricsNow()).toContain(`membridge_memory_state{node="${NODE}",state="stale"} 1`);
});
