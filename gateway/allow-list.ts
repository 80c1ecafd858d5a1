import proto from '@temporalio/proto';
import type { grpc, temporal } from '@temporalio/proto';
import { POOL_PREFIX, agentIdentity } from '../contract/names.ts';
import type { Rights } from './rights.ts';

/** Encodes and decodes messages of one type. */
interface Codec<T> {
  decode(bytes: Uint8Array): T;
  encode(message: T): { finish(): Uint8Array };
}

/** A method that nodes may call. */
export interface AllowedMethod<Q = unknown> {
  readonly request: Codec<Q>;
  /** Returns why a request is refused; null when it is allowed. */
  readonly objection: (request: Q, rights: Rights) => string | null;
  /** The type of the answer, where that carries a task with its token. */
  readonly task?: Codec<Task>;
  /** Whether the request must name a task that this node received. */
  readonly needsToken?: true;
}

type Task = temporal.api.workflowservice.v1.IPollActivityTaskQueueResponse;
type Poll = temporal.api.workflowservice.v1.IPollActivityTaskQueueRequest;
type Shutdown = temporal.api.workflowservice.v1.IShutdownWorkerRequest;
type WorkerReport = temporal.api.worker.v1.IWorkerHeartbeat;
interface Named {
  readonly namespace?: string | null;
  readonly identity?: string | null;
}

const wire = proto.temporal.api.workflowservice.v1;
const { TaskQueueKind, WorkerVersioningMode } = proto.temporal.api.enums.v1;
const SERVICE = '/temporal.api.workflowservice.v1.WorkflowService/';

/**
 * Every method that a node may call, by its HTTP/2 path. All others are refused. A new method of Temporal stays
 * refused until somebody adds it here.
 */
export const ALLOWED: ReadonlyMap<string, AllowedMethod> = new Map([
  method<grpc.health.v1.IHealthCheckRequest>('/grpc.health.v1.Health/Check', {
    request: proto.grpc.health.v1.HealthCheckRequest,
    objection: () => null,
  }),
  method<temporal.api.workflowservice.v1.IGetSystemInfoRequest>(`${SERVICE}GetSystemInfo`, {
    request: wire.GetSystemInfoRequest,
    objection: () => null,
  }),
  method<temporal.api.workflowservice.v1.IDescribeNamespaceRequest>(`${SERVICE}DescribeNamespace`, {
    request: wire.DescribeNamespaceRequest,
    // An id would select a namespace, whatever the name is.
    objection: ({ namespace, id }, rights) =>
      isGiven(id) ? 'it names a namespace by its id' : objectToNamespace(namespace, rights),
  }),
  method<Poll>(`${SERVICE}PollActivityTaskQueue`, {
    request: wire.PollActivityTaskQueueRequest,
    objection: objectToPoll,
    task: wire.PollActivityTaskQueueResponse,
  }),
  method<temporal.api.workflowservice.v1.IRecordActivityTaskHeartbeatRequest>(
    `${SERVICE}RecordActivityTaskHeartbeat`,
    { request: wire.RecordActivityTaskHeartbeatRequest, objection: objectToName, needsToken: true },
  ),
  method<temporal.api.workflowservice.v1.IRespondActivityTaskCompletedRequest>(
    `${SERVICE}RespondActivityTaskCompleted`,
    { request: wire.RespondActivityTaskCompletedRequest, objection: objectToName, needsToken: true },
  ),
  method<temporal.api.workflowservice.v1.IRespondActivityTaskFailedRequest>(
    `${SERVICE}RespondActivityTaskFailed`,
    { request: wire.RespondActivityTaskFailedRequest, objection: objectToName, needsToken: true },
  ),
  method<temporal.api.workflowservice.v1.IRespondActivityTaskCanceledRequest>(
    `${SERVICE}RespondActivityTaskCanceled`,
    { request: wire.RespondActivityTaskCanceledRequest, objection: objectToName, needsToken: true },
  ),
  method<temporal.api.workflowservice.v1.IRecordWorkerHeartbeatRequest>(`${SERVICE}RecordWorkerHeartbeat`, {
    request: wire.RecordWorkerHeartbeatRequest,
    objection: (report, rights) =>
      objectToName(report, rights) ?? objectToReports(report.workerHeartbeat ?? [], rights),
  }),
  method<Shutdown>(`${SERVICE}ShutdownWorker`, {
    request: wire.ShutdownWorkerRequest,
    objection: objectToShutdown,
  }),
]);

/** Declares a method with the type of its request; the table holds all of them with unknown requests. */
function method<Q>(path: string, declared: AllowedMethod<Q>): [string, AllowedMethod] {
  return [path, declared as AllowedMethod];
}

/** Returns whether a message's text is set: an absent one reads as an empty one. */
const isGiven = (text: string | null | undefined): text is string => text != null && text !== '';

function objectToNamespace(namespace: string | null | undefined, rights: Rights): string | null {
  return namespace === rights.namespace ? null : `it names the namespace ${quote(namespace)}`;
}

function objectToIdentity(identity: string | null | undefined, { node }: Rights): string | null {
  const pid = /\(pid (\d{1,10})\)$/.exec(identity ?? '')?.[1];
  if (pid !== undefined && identity === agentIdentity(node, Number(pid))) return null;
  return `it names the worker ${quote(identity)}`;
}

function objectToQueue(queue: string | null | undefined, { queues }: Rights): string | null {
  return isGiven(queue) && queues.has(queue) ? null : `it names the task queue ${quote(queue)}`;
}

function objectToName({ namespace, identity }: Named, rights: Rights): string | null {
  return objectToNamespace(namespace, rights) ?? objectToIdentity(identity, rights);
}

function objectToPoll(poll: Poll, rights: Rights): string | null {
  const { taskQueue, taskQueueMetadata, deploymentOptions, workerVersionCapabilities } = poll;
  const named = objectToName(poll, rights) ?? objectToQueue(taskQueue?.name, rights);
  if (named !== null) return named;
  if ((taskQueue?.kind ?? TaskQueueKind.TASK_QUEUE_KIND_UNSPECIFIED) > TaskQueueKind.TASK_QUEUE_KIND_NORMAL) {
    return 'it polls a queue of another kind than the normal one';
  }
  // Temporal applies the rate of one poller to the whole queue: one node could slow a pool down for all others.
  if (taskQueueMetadata?.maxTasksPerSecond != null && taskQueue?.name?.startsWith(POOL_PREFIX) === true) {
    return 'it limits the rate of a pool';
  }
  const mode = deploymentOptions?.workerVersioningMode ?? 0;
  if (
    mode === WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED ||
    workerVersionCapabilities?.useVersioning === true
  ) {
    return 'it polls for a version of its own';
  }
  return null;
}

function objectToReports(reports: readonly WorkerReport[], rights: Rights): string | null {
  for (const { workerIdentity, taskQueue } of reports) {
    const objection = objectToIdentity(workerIdentity, rights) ?? objectToQueue(taskQueue, rights);
    if (objection !== null) return objection;
  }
  return null;
}

function objectToShutdown(shutdown: Shutdown, rights: Rights): string | null {
  const { stickyTaskQueue, taskQueue, workerHeartbeat } = shutdown;
  const objection =
    objectToName(shutdown, rights) ??
    objectToReports(workerHeartbeat == null ? [] : [workerHeartbeat], rights);
  if (objection !== null) return objection;
  // A node runs no workflows, so a sticky queue would belong to another worker.
  if (isGiven(stickyTaskQueue)) return `it names the sticky task queue ${quote(stickyTaskQueue)}`;
  return isGiven(taskQueue) ? objectToQueue(taskQueue, rights) : null;
}

const quote = (text: string | null | undefined): string => JSON.stringify((text ?? '').slice(0, 128));
