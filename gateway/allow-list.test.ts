import proto from '@temporalio/proto';
import { describe, expect, it } from 'vitest';
import { ALLOWED } from './allow-list.ts';
import { workflowServiceMethods } from './refusals.ts';
import { rightsOf } from './rights.ts';

const SERVICE = '/temporal.api.workflowservice.v1.WorkflowService/';
const { WORKER_VERSIONING_MODE_VERSIONED: VERSIONED } = proto.temporal.api.enums.v1.WorkerVersioningMode;
const STICKY = proto.temporal.api.enums.v1.TaskQueueKind.TASK_QUEUE_KIND_STICKY;
const rights = rightsOf('ada', 'fleet', ['gpu']);
const me = { namespace: 'fleet', identity: 'agent ada (pid 7)' };
const poll = (name: string, rest: object = {}): object => ({ ...me, taskQueue: { name }, ...rest });
const report = { workerIdentity: me.identity, taskQueue: 'node:ada' };

/** Returns the list's objection to a request, as the wire carries it. */
function objection(method: string, request: object): string | null {
  const allowed = ALLOWED.get(method.startsWith('/') ? method : `${SERVICE}${method}`);
  if (allowed === undefined) throw new Error(`${method} is not on the list`);
  return allowed.objection(allowed.request.decode(allowed.request.encode(request).finish()), rights);
}

describe('the allow-list', () => {
  it.each<[string, object]>([
    ['/grpc.health.v1.Health/Check', {}],
    ['GetSystemInfo', {}],
    ['DescribeNamespace', { namespace: 'fleet' }],
    ['PollActivityTaskQueue', poll('node:ada')],
    ['PollActivityTaskQueue', poll('node:ada:tasks')],
    ['PollActivityTaskQueue', poll('llm:default')],
    ['PollActivityTaskQueue', poll('llm:gpu')],
    ['PollActivityTaskQueue', poll('node:ada', { taskQueueMetadata: { maxTasksPerSecond: { value: 1 } } })],
    ['RecordActivityTaskHeartbeat', me],
    ['RespondActivityTaskCompleted', me],
    ['RespondActivityTaskFailed', me],
    ['RespondActivityTaskCanceled', me],
    ['RecordWorkerHeartbeat', { ...me, workerHeartbeat: [report] }],
    ['ShutdownWorker', { ...me, workerHeartbeat: report }],
    ['ShutdownWorker', { ...me, taskQueue: 'node:ada' }],
  ])('allows %s with %j', (method, request) => {
    expect(objection(method, request)).toBeNull();
  });

  it.each<[string, object, RegExp]>([
    ['DescribeNamespace', { namespace: 'other' }, /namespace "other"/],
    ['DescribeNamespace', {}, /namespace ""/],
    ['DescribeNamespace', { namespace: 'fleet', id: 'other' }, /by its id/],
    ['PollActivityTaskQueue', { ...poll('node:ada'), namespace: 'other' }, /namespace "other"/],
    ['PollActivityTaskQueue', { ...poll('node:ada'), namespace: '' }, /namespace ""/],
    ['PollActivityTaskQueue', poll('node:bob'), /task queue "node:bob"/],
    ['PollActivityTaskQueue', poll('node:bob:tasks'), /task queue "node:bob:tasks"/],
    ['PollActivityTaskQueue', poll('node:ada '), /task queue/],
    ['PollActivityTaskQueue', poll('NODE:ada'), /task queue/],
    ['PollActivityTaskQueue', poll('/_sys/node:ada/1'), /task queue/],
    ['PollActivityTaskQueue', poll('llm:big'), /task queue "llm:big"/],
    ['PollActivityTaskQueue', poll('control'), /task queue "control"/],
    ['PollActivityTaskQueue', poll(''), /task queue ""/],
    ['PollActivityTaskQueue', me, /task queue ""/],
    [
      'PollActivityTaskQueue',
      { ...me, taskQueue: { name: 'node:ada', kind: STICKY } },
      /another kind than the normal one/,
    ],
    ['PollActivityTaskQueue', poll('llm:gpu', { taskQueueMetadata: { maxTasksPerSecond: {} } }), /rate/],
    [
      'PollActivityTaskQueue',
      poll('node:ada', { deploymentOptions: { workerVersioningMode: VERSIONED } }),
      /version/,
    ],
    [
      'PollActivityTaskQueue',
      poll('node:ada', { workerVersionCapabilities: { useVersioning: true } }),
      /version/,
    ],
    ['PollActivityTaskQueue', poll('node:ada', { identity: 'agent bob (pid 7)' }), /worker "agent bob/],
    ['PollActivityTaskQueue', poll('node:ada', { identity: '' }), /worker ""/],
    ['PollActivityTaskQueue', poll('node:ada', { identity: 'agent ada (pid 7) x' }), /worker/],
    ['RecordActivityTaskHeartbeat', { ...me, namespace: 'other' }, /namespace "other"/],
    ['RespondActivityTaskCompleted', { ...me, namespace: 'other' }, /namespace "other"/],
    ['RespondActivityTaskFailed', { ...me, identity: 'agent bob (pid 7)' }, /worker "agent bob/],
    ['RespondActivityTaskCanceled', { ...me, namespace: '' }, /namespace ""/],
    ['RecordWorkerHeartbeat', { ...me, namespace: 'other' }, /namespace "other"/],
    [
      'RecordWorkerHeartbeat',
      { ...me, workerHeartbeat: [report, { ...report, taskQueue: 'node:bob' }] },
      /node:bob/,
    ],
    ['RecordWorkerHeartbeat', { ...me, workerHeartbeat: [{ ...report, workerIdentity: 'x' }] }, /worker "x"/],
    ['ShutdownWorker', { ...me, identity: 'control' }, /worker "control"/],
    ['ShutdownWorker', { ...me, stickyTaskQueue: 'somebody-sticky' }, /sticky/],
    ['ShutdownWorker', { ...me, taskQueue: 'control' }, /task queue "control"/],
    [
      'ShutdownWorker',
      { ...me, workerHeartbeat: { ...report, taskQueue: 'control' } },
      /task queue "control"/,
    ],
  ])('refuses %s with %j', (method, request, reason) => {
    expect(objection(method, request)).toMatch(reason);
  });

  it('holds nine methods of WorkflowService, and of other services only the health check', () => {
    const methods = workflowServiceMethods();
    expect(methods.length).toBeGreaterThan(100);
    const listed = [...ALLOWED.keys()].map((path) => path.replace(SERVICE, ''));
    expect(listed.filter((name) => methods.includes(name))).toHaveLength(9);
    expect(listed.filter((name) => !methods.includes(name))).toEqual(['/grpc.health.v1.Health/Check']);
  });

  it('needs a token for every report about an activity', () => {
    const needing = [...ALLOWED].filter(([, { needsToken }]) => needsToken === true);
    expect(needing.map(([path]) => path.replace(SERVICE, ''))).toEqual([
      'RecordActivityTaskHeartbeat',
      'RespondActivityTaskCompleted',
      'RespondActivityTaskFailed',
      'RespondActivityTaskCanceled',
    ]);
  });
});
