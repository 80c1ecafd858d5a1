import { randomBytes } from 'node:crypto';
import proto from '@temporalio/proto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { agentIdentity, nodeQueue } from '../../contract/names.ts';
import { startActivityRunner, type ActivityRunner } from '../support/activity-runner.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { openTunnelClient, pollRequest, type CallEnd, type TunnelClient } from '../gateway/tunnel-client.ts';
import { workflowServiceMethods } from '../../gateway/refusals.ts';

const wire = proto.temporal.api.workflowservice.v1;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

/** The methods of WorkflowService that nodes may call with a request of their own. */
const ALLOWED = [
  'DescribeNamespace',
  'GetSystemInfo',
  'PollActivityTaskQueue',
  'RecordActivityTaskHeartbeat',
  'RecordWorkerHeartbeat',
  'RespondActivityTaskCanceled',
  'RespondActivityTaskCompleted',
  'RespondActivityTaskFailed',
  'ShutdownWorker',
];

let test: TestPlane;
let keys: Record<'ada' | 'bob', string>;
let runners: Record<'ada' | 'bob', ActivityRunner>;
let ada: TunnelClient;
let bob: TunnelClient;
let namespace: string;

beforeAll(async () => {
  test = await startTestPlane();
  namespace = test.plane.deps.engine.address.namespace;
  keys = {
    ada: (await enrolNode(test, 'ada')).agent_key,
    bob: (await enrolNode(test, 'bob')).agent_key,
  };
  runners = {
    ada: await startActivityRunner(test.plane.deps.engine, nodeQueue('ada')),
    bob: await startActivityRunner(test.plane.deps.engine, nodeQueue('bob')),
  };
});
afterAll(async () => {
  await Promise.all([runners.ada.stop(), runners.bob.stop()]);
  await test.stop();
});
beforeEach(async () => {
  ada = await openTunnelClient(test.plane.url, keys.ada);
  bob = await openTunnelClient(test.plane.url, keys.bob);
});
afterEach(() => {
  ada.close();
  bob.close();
});

const named = (node: string) => ({ namespace, identity: agentIdentity(node, 1) });

/** Polls a queue under a node's name. */
async function poll(client: TunnelClient, node: string, queue: string, rest: object = {}): Promise<CallEnd> {
  const request = pollRequest(namespace, node, queue, rest);
  return await client.call('PollActivityTaskQueue', request, { 'grpc-timeout': '10S' });
}

/**
 * Starts a workflow whose activity waits on a node's queue, and makes the node take it. Returns the token as the node
 * received it.
 */
async function takeTask(client: TunnelClient, node: 'ada' | 'bob'): Promise<Uint8Array> {
  await runners[node].start('anything');
  const { status, body } = await poll(client, node, nodeQueue(node));
  expect(status).toBe(0);
  const { taskToken } = wire.PollActivityTaskQueueResponse.decode(body.subarray(5));
  expect(taskToken.length).toBeGreaterThan(32);
  return taskToken;
}

const complete = async (client: TunnelClient, node: string, taskToken: Uint8Array): Promise<CallEnd> =>
  await client.call(
    'RespondActivityTaskCompleted',
    wire.RespondActivityTaskCompletedRequest.encode({ ...named(node), taskToken }).finish(),
  );

describe('S26: a node that calls Temporal through its tunnel', () => {
  it('is refused every method of WorkflowService that is not on the list', async () => {
    const others = workflowServiceMethods().filter((name) => !ALLOWED.includes(name));
    expect(others).toContain('StartWorkflowExecution');
    expect(others).toContain('RespondActivityTaskCompletedById');
    for (const name of others) {
      const { status, message } = await ada.call(name, new Uint8Array());
      expect([name, status]).toEqual([name, PERMISSION_DENIED]);
      expect(message).toContain('Node ada');
      expect(message).toContain(name);
    }
  });

  it.each([
    '/temporal.api.operatorservice.v1.OperatorService/ListSearchAttributes',
    '/temporal.server.api.adminservice.v1.AdminService/DescribeCluster',
    '/temporal.api.workflowservice.v1.WorkflowService/getSystemInfo',
    '/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo/',
    '//temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo',
    '/grpc.health.v1.Health/Watch',
    '/',
  ])('is refused the path %s', async (path) => {
    expect(await ada.call(path, new Uint8Array())).toMatchObject({ status: PERMISSION_DENIED });
  });

  it('may ask for Temporal’s health and version', async () => {
    expect(await ada.call('/grpc.health.v1.Health/Check', new Uint8Array())).toMatchObject({ status: 0 });
    expect(await ada.call('GetSystemInfo', new Uint8Array())).toMatchObject({ status: 0 });
  });

  it.each<[string, string]>([
    ["another node's queue", 'node:bob'],
    ["another node's tasks", 'node:bob:tasks'],
    ['the queue of the control plane', 'control'],
    ['a pool that the node does not serve', 'llm:big'],
    ["a partition of another node's queue", '/_sys/node:bob/1'],
  ])('is refused a poll of %s', async (_what, queue) => {
    const { status, message } = await poll(ada, 'ada', queue);
    expect(status).toBe(PERMISSION_DENIED);
    expect(message).toMatch(/Node ada may not call .*PollActivityTaskQueue/);
  });

  it("is refused a poll of another namespace, and one under another node's name", async () => {
    const denied = { status: PERMISSION_DENIED };
    expect(await poll(ada, 'ada', 'node:ada', { namespace: 'default' })).toMatchObject(denied);
    expect(await poll(ada, 'bob', 'node:ada')).toMatchObject(denied);
  });

  it('is refused a call without the secret of the tunnel, or with another', async () => {
    for (const authorization of ['', 'Bearer wrong', `Bearer ${'x'.repeat(43)}`]) {
      const end = await ada.call('GetSystemInfo', new Uint8Array(), { authorization });
      expect(end).toMatchObject({ status: UNAUTHENTICATED });
    }
  });

  it('completes the task that it took, and Temporal refuses a second time', async () => {
    const token = await takeTask(ada, 'ada');
    expect(await complete(ada, 'ada', token)).toMatchObject({ status: 0 });
    expect(await complete(ada, 'ada', token)).toMatchObject({ status: NOT_FOUND });
  });

  it('completes its task through another tunnel of its own', async () => {
    const token = await takeTask(ada, 'ada');
    const second = await openTunnelClient(test.plane.url, keys.ada);
    expect(await complete(second, 'ada', token)).toMatchObject({ status: 0 });
    second.close();
  });

  it('is refused foreign, forged and swapped task tokens', async () => {
    const own = Buffer.from(await takeTask(ada, 'ada'));
    const foreign = Buffer.from(await takeTask(bob, 'bob'));
    const tokens = {
      foreign,
      'as Temporal knows it': foreign.subarray(0, -32),
      'with the code of another task': Buffer.concat([foreign.subarray(0, -32), own.subarray(-32)]),
      forged: Buffer.concat([foreign.subarray(0, -32), randomBytes(32)]),
      empty: Buffer.alloc(0),
    };
    for (const [what, token] of Object.entries(tokens)) {
      expect([what, (await complete(ada, 'ada', token)).status]).toEqual([what, PERMISSION_DENIED]);
    }
    expect(await complete(bob, 'bob', foreign)).toMatchObject({ status: 0 });
    expect(await complete(ada, 'ada', own)).toMatchObject({ status: 0 });
  });

  it('gets INVALID_ARGUMENT for a message that cannot be read', async () => {
    const end = await ada.call('PollActivityTaskQueue', Buffer.from([0x0a, 0xff, 0x01]));
    expect(end).toMatchObject({ status: INVALID_ARGUMENT });
  });

  it('is served although its message has a field of the future, which Temporal does not receive', async () => {
    // A field of the future, number 2000, beside what is known.
    const known = wire.DescribeNamespaceRequest.encode({ namespace }).finish();
    const end = await ada.call('DescribeNamespace', Buffer.concat([known, Buffer.from([0x82, 0x7d, 1, 7])]));
    expect(end).toMatchObject({ status: 0 });
  });

  it('causes one audit entry a minute for each method', async () => {
    for (let times = 0; times < 3; times += 1) await ada.call('QueryWorkflow', new Uint8Array());
    const entries = async (): Promise<{ actor: string; detail: string }[]> => {
      const { body } = await test.call('GET', '/api/runtime/audit?action=engine_call_refused&limit=1000');
      return body as unknown as { actor: string; detail: string }[];
    };
    const ofQueries = async (): Promise<unknown[]> =>
      (await entries()).filter(({ detail }) => detail.includes('QueryWorkflow'));
    await expect.poll(ofQueries).not.toHaveLength(0);
    // The test that calls every method called it too, in this minute or the one before.
    expect((await ofQueries()).length).toBeLessThanOrEqual(2);
    expect((await entries()).every(({ actor }) => actor === 'ada' || actor === 'bob')).toBe(true);
  });
});
