import { z } from 'zod';
import {
  CompleteTask,
  DispatchTask,
  HeartbeatTask,
  Lease,
  LeaseTask,
  ReleaseTask,
  TaskResult,
} from '../../contract/tasks/leases.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { Artifact } from '../../contract/tasks/artifacts.ts';
import { Node } from '../../contract/nodes/nodes.ts';
import { EpochMs } from '../../contract/http/primitives.ts';
import { CancelTask, CreateBatch, CreateTask, ListTasks, Task } from '../../contract/tasks/tasks.ts';
import { listTasks } from '../../db/queries/find-tasks.ts';
import { requeueTask, updateTask } from '../../engine/task-workflows.ts';
import { makeBatch } from '../tasks/batch.ts';
import { actorName } from '../auth/actor.ts';
import { askTask, fenceOf } from '../tasks/calls.ts';
import { makeTask } from '../tasks/create.ts';
import { resumedWorkflowInput } from '../../activities/control/make-task.ts';
import { readIdempotencyKey } from '../tasks/idempotency-key.ts';
import { complete, dispatch, heartbeat, lease } from '../tasks/lease.ts';
import { requireTask, showTaskWhole, withTaskUrl } from '../tasks/show.ts';
import { defineRoute } from '../http/route.ts';

const tag = 'Tasks';
const TaskParams = z.strictObject({ id: z.string() });
const path = '/api/runtime/llm-tasks';
const none = 'There is no such task';
const lost = 'The task’s status forbids this, or the lease is lost; nothing was changed';

/** Routes that make, watch and end tasks. What a task's program is and may do is decided on the node. */
export const taskRoutes = [
  defineRoute({
    method: 'post',
    path,
    auth: 'people',
    tag,
    summary: 'Make a task',
    description:
      'With the header Idempotency-Key, a repeated request makes the task only once; the same key with another body is refused. Without auto_dispatch the task waits for dispatch or lease, as in the original.',
    body: CreateTask,
    status: 201,
    response: Task,
    errors: { 409: 'The Idempotency-Key was used for another task' },
    handle: async ({ body, caller, req }, deps) => {
      const making = { by: actorName(caller), key: readIdempotencyKey(req), scheduleId: null };
      return (await makeTask(deps, body, making)).task;
    },
  }),
  defineRoute({
    method: 'post',
    path: `${path}/batch`,
    auth: 'people',
    tag,
    summary: 'Make up to 100 tasks, which may depend on each other',
    description:
      'Everything is checked before the first task is made. With an Idempotency-Key, an interrupted request can be repeated safely.',
    body: CreateBatch,
    status: 201,
    response: z.strictObject({ tasks: z.array(Task) }),
    errors: { 409: 'The Idempotency-Key was used for another batch' },
    handle: async ({ body, caller, req }, deps) => ({
      tasks: await makeBatch(deps, body, { by: actorName(caller), key: readIdempotencyKey(req) }),
    }),
  }),
  defineRoute({
    method: 'get',
    path,
    auth: 'people',
    tag,
    summary: 'List tasks, newest first',
    description:
      'When there are more, the header X-Next-Cursor is the cursor of the next page. Prompts are cut after 200 characters.',
    query: ListTasks,
    status: 200,
    response: z.array(Task),
    handle: async ({ query, res }, deps) => {
      const { tasks, next } = await listTasks(deps.db, query);
      if (next !== null) res.set('X-Next-Cursor', next);
      return tasks.map((task) => withTaskUrl(deps, task));
    },
  }),
  defineRoute({
    method: 'get',
    path: `${path}/:id`,
    auth: 'people',
    tag,
    summary: 'Get one task; while it is queued, with what it waits for',
    params: TaskParams,
    status: 200,
    response: Task,
    errors: { 404: none },
    handle: async ({ params }, deps) => await showTaskWhole(deps, await requireTask(deps, params.id)),
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:id/lease`,
    auth: 'people',
    tag,
    summary: 'Lease a task to a worker over HTTP',
    description:
      'The lease ends when no heartbeat comes for ttl_seconds. Its lease epoch rises with every lease; calls with an older one are refused.',
    params: TaskParams,
    body: LeaseTask,
    status: 201,
    response: z.strictObject({ lease: Lease, worker: Node.nullable() }),
    errors: { 404: none, 409: lost, 503: 'No worker was named and no node is free' },
    handle: async ({ params, body }, deps) => await lease(deps, params.id, body),
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:id/heartbeat`,
    auth: 'people',
    tag,
    summary: 'Renew a worker’s lease; the first call also reports that the work has begun',
    description:
      'lease_id or epoch (the lease epoch) may be left out only while the task was leased once; after that, the lease would be ambiguous.',
    params: TaskParams,
    body: HeartbeatTask,
    status: 200,
    response: z.strictObject({ lease: Lease, expires_at: EpochMs }),
    errors: { 404: none, 409: lost },
    unlimited: true,
    handle: async ({ params, body }, deps) => await heartbeat(deps, params.id, body),
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:id/complete`,
    auth: 'people',
    tag,
    summary: 'Report how a worker’s attempt ended: task, result and artifact in one step',
    params: TaskParams,
    body: CompleteTask,
    status: 200,
    response: z.strictObject({
      task: Task,
      artifact: Artifact.nullable(),
      result: TaskResult.nullable(),
    }),
    errors: { 404: none, 409: lost },
    unlimited: true,
    handle: async ({ params, body }, deps) => await complete(deps, params.id, body),
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:id/release`,
    auth: 'people',
    tag,
    summary: 'Give a task back: it is queued again, and the attempt does not count',
    params: TaskParams,
    body: ReleaseTask,
    status: 200,
    response: Task,
    errors: { 404: none, 409: lost },
    handle: async ({ params, body, caller }, deps) => {
      const args = { ...fenceOf(body), by: body.worker_id ?? actorName(caller), reason: body.reason };
      const { row } = await askTask(deps, params.id, (client) =>
        updateTask(client, params.id, 'releaseLease', args),
      );
      return await showTaskWhole(deps, row);
    },
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:id/dispatch`,
    auth: 'people',
    tag,
    summary: 'Give a task to agents, and wait for its end unless "wait" is false',
    params: TaskParams,
    body: DispatchTask,
    status: 200,
    accepted: 'It has not ended, and continues',
    response: z.strictObject({
      dispatched: z.literal(true),
      task_id: z.string(),
      status: z.string(),
      worker_id: z.string().nullable(),
      lease_id: z.string().nullable(),
      execution: z
        .strictObject({
          ok: z.boolean(),
          task_id: z.string(),
          output: z.string().nullable(),
          duration_ms: z.number(),
          returncode: z.number().int(),
          context_id: z.string(),
          /** How many messages its context has on that node. */
          session_messages: z.number().int(),
          worker_id: z.string().nullable(),
          detail: z.string(),
          /** The next three are present when it failed. */
          error: z.string().optional(),
          stdout: z.string().nullable().optional(),
          stderr: z.string().nullable().optional(),
        })
        .nullable(),
    }),
    errors: { 404: 'There is no such task or node', 409: lost, 503: 'No node can take it' },
    handle: async ({ params, body, caller, res }, deps) => {
      const left = new AbortController();
      res.once('close', () => left.abort());
      const answer = await dispatch(deps, params.id, { ...body, by: actorName(caller), left: left.signal });
      if (answer.execution === null) res.status(202);
      return answer;
    },
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:id/cancel`,
    auth: 'people',
    tag,
    summary: 'Cancel a task, and end its program with all processes that it started',
    description:
      'A waiting task is cancelled immediately. A task on an agent is cancelled when its program is dead; until then cancel_requested_at is set.',
    params: TaskParams,
    body: CancelTask,
    status: 200,
    response: Task,
    errors: { 404: none, 409: 'The task has ended, or is being cancelled' },
    handle: async ({ params, body, caller }, deps) => {
      const args = { by: actorName(caller), reason: body.reason };
      const { row } = await askTask(deps, params.id, (client) =>
        updateTask(client, params.id, 'cancelTask', args),
      );
      return await showTaskWhole(deps, row);
    },
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:id/requeue`,
    auth: 'people',
    tag,
    summary: 'Queue a failed or dead task again, with all its attempts',
    params: TaskParams,
    status: 200,
    response: Task,
    errors: { 404: none, 409: 'The task has not failed' },
    handle: async ({ params, caller }, deps) => {
      const before = await requireTask(deps, params.id);
      // A call to the workflow would start a new run of one that has ended.
      if (before.status !== 'failed' && before.status !== 'dead') {
        throw new MembridgeError(
          'conflict',
          `The task is ${before.status}. Only a failed or dead task can be queued again.`,
        );
      }
      const input = await resumedWorkflowInput(deps, before);
      const { row } = await askTask(deps, params.id, (client) =>
        requeueTask(client, input, actorName(caller)),
      );
      return await showTaskWhole(deps, row);
    },
  }),
];
