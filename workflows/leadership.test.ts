import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApplicationFailure } from '@temporalio/common';
import type { MirrorInput, PrimaryInput } from '../activities/node/primary.ts';
import { leaseKey, type Leadership } from '../contract/memory/leadership.ts';
import type { Job } from '../contract/memory/memory.ts';
import type { MirrorOutcome } from '../contract/memory/mirror.ts';
import { leadershipId, nodeQueue } from '../contract/workflows.ts';
import { getLeadership } from '../db/queries/record-leadership.ts';
import { keepWorker, type KeptWorker } from '../engine/keep-worker.ts';
import { closeLeadership, requestMirror, selectPrimary } from '../engine/leadership-workflows.ts';
import { enrolNode, heartbeat, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';

const SOON = { timeout: 20_000, interval: 100 };

let test: TestPlane;
const workers: KeptWorker[] = [];
/** Requests that primaries received, in order. */
const asked: { node: string; what: string; epoch: number }[] = [];

beforeAll(async () => {
  test = await startTestPlane();
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await test.stop();
});

function host(node: string, publishMirror?: (input: MirrorInput) => Promise<MirrorOutcome | string>): void {
  const does = (what: string) => (input: PrimaryInput) => {
    asked.push({ node, what, epoch: input.epoch });
    return Promise.resolve('done');
  };
  workers.push(
    keepWorker(
      test.plane.deps.engine.address,
      {
        taskQueue: nodeQueue(node),
        activities: {
          takeSnapshot: does('snapshot'),
          publishMirror: publishMirror ?? does('mirror'),
          collectMemory: does('collect'),
        },
      },
      { polls: () => undefined, ended: () => undefined },
    ),
  );
}

async function space(name: string): Promise<string> {
  const { body } = await test.call('POST', '/api/membridge/spaces', { body: { name } });
  return String(body['canonical_id']);
}
/** Selects a primary with a shorter lease than the API allows. */
const lease = (cid: string, node: string, seconds: number) =>
  selectPrimary(test.plane.deps.engine.client, {
    cid,
    known: null,
    request: { node, leaseSeconds: seconds, by: 'test' },
    updateId: `${cid}-${node}-${Math.random()}`,
  });
const known = (cid: string): Promise<Leadership | null> =>
  getLeadership(test.plane.deps.db, { cid, now: Date.now() });
async function storedLease(cid: string): Promise<Record<string, unknown>> {
  return JSON.parse(String(await test.plane.deps.store.get(leaseKey(cid)))) as Record<string, unknown>;
}

describe('a primary selected while the workflow of a deleted space ends', () => {
  it('gets its lease renewed', async () => {
    await enrolNode(test, 'raced');
    const { client } = test.plane.deps.engine;
    for (let round = 0; round < 15; round += 1) {
      const cid = await space(`raced-${round}`);
      await lease(cid, 'raced', 60);
      const [selected] = await Promise.all([lease(cid, 'raced', 60), closeLeadership(client, cid)]);
      expect(selected.primary).toBe('raced');
      // If the workflow was closed after the selection, only the later deletion of the space closed it.
      const handle = client.workflow.getHandle(leadershipId(cid));
      const { events } = await handle.fetchHistory();
      const at = (name: string): number =>
        (events ?? []).findLastIndex((event) => JSON.stringify(event).includes(name));
      const wasSelectedLast =
        at('workflowExecutionUpdateAcceptedEventAttributes') > at('"signalName":"closeLeadership"');
      if (wasSelectedLast) expect((await handle.describe()).status.name).toBe('RUNNING');
    }
  }, 60_000);
});

describe('a lease', () => {
  it('is renewed while its node is alive, and expires when it is not', async () => {
    const { agent_key } = await enrolNode(test, 'living');
    const cid = await space('renewed');
    const beat = setInterval(() => {
      void test.call('POST', '/api/agent/heartbeat', {
        headers: { 'X-MEMBRIDGE-AGENT': agent_key },
        body: heartbeat('living'),
      });
    }, 1_000);
    try {
      const { expiresAt, epoch } = await lease(cid, 'living', 3);
      await expect.poll(async () => (await known(cid))?.expires_at ?? 0, SOON).toBeGreaterThan(expiresAt);
      expect(await known(cid)).toMatchObject({ primary_node_id: 'living', epoch, status: 'active' });
    } finally {
      clearInterval(beat);
    }
  });

  it('leaves no primary when it expires, updates the lease object, and the next selection gets a new leadership epoch', async () => {
    await enrolNode(test, 'silent', false);
    await enrolNode(test, 'next');
    const cid = await space('expires');
    await lease(cid, 'silent', 1);
    await expect
      .poll(() => known(cid), SOON)
      .toMatchObject({ primary_node_id: null, status: 'needs_selection', epoch: 1 });
    await expect
      .poll(() => storedLease(cid), SOON)
      .toMatchObject({ primary_node_id: null, needs_ui_selection: true });
    expect(await lease(cid, 'next', 3_600)).toMatchObject({ primary: 'next', epoch: 2 });
    expect((await known(cid))?.events.map(({ event }) => event)).toEqual(['selected', 'expired', 'selected']);
  });

  it('keeps its leadership epoch after its workflow was terminated', async () => {
    await enrolNode(test, 'again');
    const cid = await space('terminated');
    await lease(cid, 'again', 3_600);
    await test.plane.deps.engine.client.workflow.getHandle(`leadership:${cid}`).terminate('test');
    const { body } = await test.call('POST', `/api/membridge/projects/${cid}/leadership/select`, {
      body: { primary_node_id: 'next' },
    });
    expect(body).toMatchObject({ epoch: 2, primary_node_id: 'next' });
  });
});

describe('a primary', () => {
  it('takes snapshots in its leadership epoch, and publishes the mirror if the space has one', async () => {
    await enrolNode(test, 'leads');
    host('leads');
    const cid = await space('led');
    await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { mirror: true } });
    await lease(cid, 'leads', 3_600);
    await expect
      .poll(() => asked.filter(({ node }) => node === 'leads'), SOON)
      .toEqual(
        expect.arrayContaining([
          { node: 'leads', what: 'snapshot', epoch: 1 },
          { node: 'leads', what: 'mirror', epoch: 1 },
          { node: 'leads', what: 'collect', epoch: 0 },
        ]),
      );
    await expect
      .poll(() => known(cid), SOON)
      .toMatchObject({
        last_snapshot_at: expect.any(Number) as number,
        last_mirror_at: expect.any(Number) as number,
      });
  });

  it('takes the snapshot that its predecessor missed', async () => {
    await enrolNode(test, 'hosts-nothing');
    await enrolNode(test, 'follows');
    host('follows');
    const cid = await space('followed');
    await lease(cid, 'hosts-nothing', 3_600);
    await lease(cid, 'follows', 3_600);
    await expect
      .poll(() => known(cid), { timeout: 40_000, interval: 200 })
      .toMatchObject({ primary_node_id: 'follows', last_snapshot_at: expect.any(Number) as number });
    expect(asked).toContainEqual({ node: 'follows', what: 'snapshot', epoch: 2 });
  });

  it('appears in the original’s heartbeat answers and in the list of nodes', async () => {
    const cid = await space('roles');
    await enrolNode(test, 'first');
    await lease(cid, 'first', 3_600);
    const report = (node: string) =>
      test.call('POST', '/agent/heartbeat', {
        headers: { 'X-MEMBRIDGE-ADMIN': 'admin-key-for-tests' },
        body: { node_id: node, canonical_id: cid, project_id: 'roles' },
      });
    expect((await report('first')).body['role']).toBe('primary');
    expect((await report('second')).body['role']).toBe('secondary');
    const { body } = await test.call('GET', `/api/membridge/projects/${cid}/leadership`);
    expect(body['nodes']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ node_id: 'first', role: 'primary' }),
        expect.objectContaining({ node_id: 'second', role: 'secondary' }),
      ]),
    );
  });
});

describe('renaming a space', () => {
  it('keeps the primary and its leadership epoch', async () => {
    await enrolNode(test, 'stays');
    const cid = await space('before');
    await lease(cid, 'stays', 3_600);
    const { body } = await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { name: 'after' } });
    const fresh = String(body['canonical_id']);
    expect(await known(fresh)).toMatchObject({ primary_node_id: 'stays', epoch: 1 });
    expect(await known(cid)).toBeNull();
    expect(await lease(fresh, 'next', 3_600)).toMatchObject({ epoch: 2 });
  });
});

describe('a requested mirror publication', () => {
  const jobsOf = async (name: string): Promise<Job[]> => {
    const { body } = await test.call('GET', `/api/membridge/jobs?project=${name}`);
    return (body as unknown as Job[]).filter(({ detail }) => detail.startsWith('mirror: '));
  };
  const ask = (cid: string, body: unknown) =>
    test.call('POST', `/api/membridge/spaces/${cid}/mirror`, { body });
  const DONE = { requests: 4, bytesUp: 30, bytesDown: 20, everyMs: 60_000 };

  it('forwards what a person agreed to, and is recorded as a job', async () => {
    await enrolNode(test, 'mirrors');
    const given: MirrorInput[] = [];
    host('mirrors', (input) => {
      given.push(input);
      const isFirst = given.length === 1;
      if (isFirst) {
        const message = 'Nothing was published: 532 would become 520; confirm --fewer 12';
        return Promise.reject(ApplicationFailure.nonRetryable(message, 'mirror_guarded'));
      }
      return Promise.resolve({ line: 'published; 7 came in', published: true, imported: 7, ...DONE });
    });
    const cid = await space('mirrored');
    await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { mirror: true } });
    await lease(cid, 'mirrors', 3_600);
    await expect
      .poll(() => jobsOf('mirrored'), SOON)
      .toMatchObject([
        {
          status: 'failed',
          trigger: 'schedule',
          agent: 'mirrors',
          error_code: 'mirror_guarded',
          detail: expect.stringContaining('532 would become 520') as string,
        },
      ]);
    await expect
      .poll(async () => (await known(cid))?.last_error ?? '', SOON)
      .toContain('532 would become 520');

    const answer = await ask(cid, { fewer: 12, force: true });
    expect(answer).toMatchObject({ status: 202, body: { node_id: 'mirrors' } });
    await expect
      .poll(() => jobsOf('mirrored'), SOON)
      .toContainEqual(
        expect.objectContaining({
          id: answer.body['job_id'],
          status: 'completed',
          trigger: 'api',
          detail: 'mirror: published; 7 came in',
          rows_inserted: 7,
          bytes_up: 30,
        }),
      );
    expect(given).toMatchObject([{ epoch: 1 }, { epoch: 1, fewer: 12, force: true }]);
    expect(given[0]).not.toHaveProperty('fewer');
    await expect.poll(async () => (await known(cid))?.last_error, SOON).toBeNull();
    const audit = await test.call('GET', '/api/runtime/audit?action=mirror_publish');
    expect(JSON.stringify(audit.body)).toContain('with 12 memories fewer than before, taking the push lock');
  });

  it('is repeated as often as its node says', async () => {
    await enrolNode(test, 'often');
    let rounds = 0;
    host('often', () => {
      rounds += 1;
      return Promise.resolve({ line: 'unchanged', published: false, imported: 0, ...DONE, everyMs: 1_500 });
    });
    const cid = await space('mirrored-often');
    await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { mirror: true } });
    await lease(cid, 'often', 3_600);
    await expect.poll(() => rounds, SOON).toBeGreaterThanOrEqual(3);
    // Rounds without a change leave no job.
    expect(await jobsOf('mirrored-often')).toEqual([]);
  });

  it('works with an agent of 0.4 that knows no jobs', async () => {
    await enrolNode(test, 'older');
    host('older', () => Promise.resolve('published'));
    const cid = await space('mirrored-by-older');
    await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { mirror: true } });
    await lease(cid, 'older', 3_600);
    await expect
      .poll(() => jobsOf('mirrored-by-older'), SOON)
      .toMatchObject([{ status: 'completed', detail: 'mirror: published', rows_inserted: 0 }]);
  });

  it('ends as a failed job when the lease expired before it was served', async () => {
    await enrolNode(test, 'brief', false);
    const cid = await space('mirrored-briefly');
    await lease(cid, 'brief', 1);
    await expect.poll(() => known(cid), SOON).toMatchObject({ status: 'needs_selection', epoch: 1 });
    const leadership = await known(cid);
    if (leadership === null) throw new Error('the lease is gone');
    await requestMirror(test.plane.deps.engine.client, leadership, { jobId: 'job_unserved' });
    await expect
      .poll(async () => (await test.call('GET', '/api/membridge/jobs/job_unserved')).body, SOON)
      .toMatchObject({
        status: 'failed',
        error_code: 'conflict',
        detail: expect.stringContaining('No node is primary') as string,
      });
  });

  it('is refused while the mirror is off, while no node is primary, and for an encrypted space', async () => {
    const cid = await space('unmirrored');
    expect((await ask(cid, {})).body['detail']).toMatch(/mirror of unmirrored is off/);
    await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { mirror: true } });
    expect(await ask(cid, {})).toMatchObject({ status: 409 });
    expect((await ask(cid, {})).body['detail']).toMatch(/has no primary/);
    expect((await ask(cid, { fewer: 0 })).status).toBe(400);
    await test.call('PATCH', `/api/membridge/spaces/${cid}`, { body: { encrypted: true } });
    expect((await ask(cid, {})).body['detail']).toMatch(/encrypted/);
  });
});
