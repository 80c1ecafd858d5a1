import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNodeWorker } from '../agent/worker.ts';
import type { PullResult, PushResult } from '../contract/memory/memory.ts';
import type { SyncRoundResult } from '../contract/workflows.ts';
import type { KeptWorker } from '../engine/keep-worker.ts';
import { requestSync, syncAndWait } from '../engine/memory-workflows.ts';
import { startTestPlane, type TestPlane } from '../test/support/control-plane.ts';

/** The test holds rounds open, so a node's memory is a promise that it controls; everything else is real. */
const TRAFFIC = { requests: 0, bytesUp: 0, bytesDown: 0 };
const PUSH: PushResult = { rows: 0, segments: 0, head: null, traffic: TRAFFIC, ms: 1 };
const PULL: PullResult = {
  operations: 0,
  inserted: 0,
  updated: 0,
  waiting: 0,
  segments: 0,
  problems: [],
  traffic: TRAFFIC,
  ms: 1,
};
const space = { cid: '0123456789abcdef', projectId: 'p', projects: ['*'] };

/** More rows than PostgreSQL accepts in one statement with eleven columns each (65,535 parameters). */
const MANY = 6_200;

let test: TestPlane;
const workers: KeptWorker[] = [];

beforeAll(async () => {
  test = await startTestPlane();
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await test.stop();
});

function host(node: string, pull: () => Promise<PullResult>): void {
  const memory = { pull, push: () => Promise.resolve(PUSH) };
  const primary = {
    primary: () => Promise.resolve(''),
    mirror: () => Promise.reject(new Error('nobody leads here')),
  };
  const engine = test.plane.deps.engine.address;
  const log = pino({ level: 'silent' });
  const none = (): Promise<never> => Promise.reject(new Error('there are no projects here'));
  const folders = { reposBase: '/nowhere', workDir: '/nowhere' };
  const projects = { ...folders, node, dryrun: true, credentialOf: none, contentOf: none };
  workers.push(startNodeWorker({ engine, node, memory, primary, projects, dryrun: false, log }));
}

const withinSeconds = <T>(seconds: number, work: Promise<T>): Promise<T | 'never'> =>
  Promise.race([work, sleep(seconds * 1_000, 'never' as const)]);

it('a waiting sync that joins a running round is served by the next one', async () => {
  const [held, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  host('joined', async () => {
    begun.resolve();
    await held.promise;
    return PULL;
  });
  const { client } = test.plane.deps.engine;
  const input = { space, node: 'joined' };
  await requestSync(client, input, { jobId: 'job_1', action: 'sync', trigger: 'noticed' });
  await begun.promise;
  const second = syncAndWait(client, input, { jobId: 'job_2', action: 'sync', trigger: 'cli' });
  // The workflow has received the update once its history contains it.
  const handle = client.workflow.getHandle('memory-sync:0123456789abcdef:joined');
  for (let found = false; !found;) {
    const { events } = await handle.fetchHistory();
    found = events?.some((event) => event.workflowExecutionUpdateAcceptedEventAttributes != null) === true;
  }
  held.resolve();
  expect(await withinSeconds(20, second)).toMatchObject({ jobIds: ['job_2'] });
});

it('a problem with text that PostgreSQL rejects does not lose the round', async () => {
  const problem = `segment 1: unexpected "\0\0" ${'x'.repeat(10_000)}`;
  host('odd', () => Promise.resolve({ ...PULL, problems: [{ node: 'x', problem }] }));
  const { client } = test.plane.deps.engine;
  const request = { jobId: 'job_3', action: 'sync', trigger: 'cli' } as const;
  const result = await withinSeconds(20, syncAndWait(client, { space, node: 'odd' }, request));
  expect((result as SyncRoundResult).error).toBeNull();
  const { body } = await test.call('GET', '/api/membridge/jobs/job_3');
  expect(body).toMatchObject({
    status: 'completed',
    detail: expect.stringContaining('segment 1: unexpected'),
  });
});

it('thousands of requests during one round are served by one more round', async () => {
  const [held, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let rounds = 0;
  host('busy', async () => {
    rounds += 1;
    begun.resolve();
    await held.promise;
    return PULL;
  });
  const { client } = test.plane.deps.engine;
  const input = { space, node: 'busy' };
  await requestSync(client, input, { jobId: 'job_a', action: 'sync', trigger: 'noticed' });
  await begun.promise;
  for (let n = 0; n < MANY; n += 100) {
    const some = Array.from({ length: 100 }, (_, i) =>
      requestSync(client, input, { jobId: `job_b${n + i}`, action: 'pull', trigger: 'fan-out' }),
    );
    await Promise.all(some);
  }
  held.resolve();
  const result = client.workflow.getHandle('memory-sync:0123456789abcdef:busy').result();
  // The long history made the run continue as new, and its last part ends here.
  expect(await withinSeconds(60, result)).toMatchObject({ rounds: expect.any(Number) as number });
  expect(rounds).toBe(2);
});
