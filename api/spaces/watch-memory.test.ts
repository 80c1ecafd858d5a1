import { afterAll, beforeAll, expect, it } from 'vitest';
import { leadershipId, memorySpaceId, syncMemoryId } from '../../contract/workflows.ts';
import { waitUntil } from '../../demo/fleet.ts';
import { describeOutcome } from '../../engine/describe-outcome.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { watchMemory } from './watch-memory.ts';

let test: TestPlane;
let stop: () => Promise<void>;
beforeAll(async () => {
  test = await startTestPlane();
  stop = watchMemory(test.plane.deps, 100);
});
afterAll(async () => {
  await stop();
  await test.stop();
});

const handle = (workflowId: string) => test.plane.deps.engine.client.workflow.getHandle(workflowId);
const isRunning = async (workflowId: string): Promise<boolean> =>
  (await handle(workflowId).describe()).status.name === 'RUNNING';
async function audited(action: string): Promise<string> {
  const { body } = await test.call('GET', `/api/runtime/audit?action=${action}`);
  return JSON.stringify(body);
}
async function makeSpace(name: string): Promise<string> {
  const { body } = await test.call('POST', '/api/membridge/spaces', { body: { name, projects: ['*'] } });
  return String(body['canonical_id']);
}

/** Requests a sync of a node. @returns the job's id */
async function askSync(cid: string, node: string): Promise<string> {
  const { body } = await test.call('POST', `/api/membridge/spaces/${cid}/sync`, { body: { node_id: node } });
  const [asked] = body['jobs'] as { job_id: string }[];
  return asked?.job_id ?? '';
}
/** Terminates the workflow of a node's sync and requests another sync. @returns the job's id */
async function askSyncAfterEnd(cid: string, node: string): Promise<string> {
  await handle(syncMemoryId(cid, node)).terminate();
  return await askSync(cid, node);
}
/** Makes every job a minute older, because young ones are not checked. */
const ageJobs = () =>
  test.plane.deps.db.run((sql) => sql.execute('update jobs set created_at = created_at - 60000'));
const untilFailed = (job: string) =>
  waitUntil('the job has failed', 20, async () => {
    const { body: shown } = await test.call('GET', `/api/membridge/jobs/${job}`);
    return shown['status'] === 'failed' && String(shown['detail']).includes('ended as terminated');
  });

it('restarts the terminated workflow of a space, and records that in the audit log', async () => {
  const cid = await makeSpace('terminated');
  await handle(memorySpaceId(cid)).terminate();
  await waitUntil('it runs again', 20, () => isRunning(memorySpaceId(cid)));
  await waitUntil('the audit log tells of it', 20, async () =>
    (await audited('space_workflow_restarted')).includes(
      'The workflow of terminated ended as terminated; it was started again.',
    ),
  );
});

it('restarts the terminated workflow of a primary', async () => {
  const { agent_key: key } = await enrolNode(test, 'leader');
  const cid = await makeSpace('led');
  const selected = await test.call('POST', `/projects/${cid}/leadership/select`, {
    headers: { 'X-MEMBRIDGE-ADMIN': 'admin-key-for-tests', 'X-MEMBRIDGE-AGENT': key },
    body: { primary_node_id: 'leader' },
  });
  expect(selected.status).toBe(200);
  await handle(leadershipId(cid)).terminate();
  await waitUntil('it runs again', 20, () => isRunning(leadershipId(cid)));
  await waitUntil('the audit log tells of it', 20, async () =>
    (await audited('leadership_workflow_restarted')).includes('ended as terminated'),
  );
});

it('does not restart the workflow of a deleted space', async () => {
  const cid = await makeSpace('deleted');
  await test.call('DELETE', `/api/membridge/spaces/${cid}`);
  await waitUntil('it has ended', 20, async () => !(await isRunning(memorySpaceId(cid))));
  const before = await audited('space_workflow_restarted');
  await makeSpace('looked-at');
  await handle(memorySpaceId(await makeSpace('another'))).terminate();
  await waitUntil('another one is mended', 20, async () =>
    (await audited('space_workflow_restarted')).includes('another'),
  );
  expect(before).not.toContain('deleted');
  expect(await isRunning(memorySpaceId(cid))).toBe(false);
});

it('shows a sync as failed when its workflow was terminated, although a later sync runs', async () => {
  await enrolNode(test, 'away');
  const cid = await makeSpace('lost');
  const [lost, later] = [await askSync(cid, 'away'), await askSyncAfterEnd(cid, 'away')];
  await ageJobs();
  await untilFailed(lost);
  const { body: shown } = await test.call('GET', `/api/membridge/jobs/${later}`);
  expect(shown['status']).not.toBe('failed');
});

it('shows a sync as waiting when somebody reset its run in Temporal', async () => {
  await enrolNode(test, 'reset');
  const cid = await makeSpace('reset-space');
  const job = await askSync(cid, 'reset');
  const workflow = handle(syncMemoryId(cid, 'reset'));
  await waitUntil('the round has begun', 20, async () => {
    const { body: shown } = await test.call('GET', `/api/membridge/jobs/${job}`);
    return shown['status'] === 'running';
  });
  const { runId, raw } = await workflow.describe();
  const { client } = test.plane.deps.engine;
  // The round is recorded within the first workflow task, which may not have ended yet.
  const findFirst = async () =>
    (await workflow.fetchHistory()).events?.find(
      (event) => event.workflowTaskCompletedEventAttributes != null,
    );
  await expect.poll(findFirst).toBeDefined();
  const first = await findFirst();
  await client.workflowService.resetWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: raw.workflowExecutionInfo?.execution ?? null,
    reason: 'a test',
    requestId: 'reset-once',
    workflowTaskFinishEventId: first?.eventId ?? null,
  });
  expect((await workflow.describe()).runId).not.toBe(runId);
  expect(await describeOutcome(client, { workflowId: workflow.workflowId, runId })).toBeNull();
});

it('shows a publication as failed when its workflow was terminated and restarted', async () => {
  const { agent_key: key } = await enrolNode(test, 'publisher');
  const cid = await makeSpace('published');
  await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { mirror: true } });
  await test.call('POST', `/projects/${cid}/leadership/select`, {
    headers: { 'X-MEMBRIDGE-ADMIN': 'admin-key-for-tests', 'X-MEMBRIDGE-AGENT': key },
    body: { primary_node_id: 'publisher' },
  });
  const { status, body: asked } = await test.call('POST', `/api/membridge/spaces/${cid}/mirror`, {
    body: {},
  });
  expect([status, asked]).toMatchObject([202, { node_id: 'publisher' }]);
  await handle(leadershipId(cid)).terminate();
  await waitUntil('it runs again', 20, () => isRunning(leadershipId(cid)));
  await ageJobs();
  await untilFailed(String(asked['job_id']));
});

it('refuses another sync of a node while 500 are waiting', async () => {
  await enrolNode(test, 'crowded');
  const cid = await makeSpace('crowded-space');
  const ask = () => test.call('POST', `/api/membridge/spaces/${cid}/sync`, { body: { node_id: 'crowded' } });
  expect((await ask()).status).toBe(202);
  await test.plane.deps.db.run((sql) =>
    sql.execute(
      `insert into jobs (id, action, trigger, project, canonical_id, agent, status, detail, workflow_id, run_id, created_at)
       select 'job_crowd' || n, 'sync', 'api', 'crowded-space', '${cid}', 'crowded', 'pending', '', '${syncMemoryId(cid, 'crowded')}', '', 1
       from generate_series(1, 500) n`,
    ),
  );
  const { status, body } = await ask();
  expect([status, body['detail']]).toEqual([429, expect.stringContaining('already wait for node crowded')]);
});
