import { z } from 'zod';
import { Artifact } from '../../../contract/tasks/artifacts.ts';
import { AuditLog } from '../../../contract/audit.ts';
import { Node } from '../../../contract/nodes/nodes.ts';
import { Lease, Run, TaskResult } from '../../../contract/tasks/leases.ts';
import { Proposal, ProposalPreview, ShownProposal } from '../../../contract/projects/proposals.ts';
import { OutputChunk } from '../../../contract/tasks/runs.ts';
import {
  Task,
  TaskSchedule,
  TaskSettings,
  type CreateTask,
  type CreateTaskSchedule,
} from '../../../contract/tasks/tasks.ts';
import { WebhookSecret } from '../../../contract/tasks/webhooks.ts';
import { withBasePath } from './base-path.ts';
import { queryOf, type AuditFilter, type TaskFilter } from './filters.ts';
import { request, requestPage, send } from './request.ts';

const encode = encodeURIComponent;
const TASKS = '/api/runtime/llm-tasks';
const taskPath = (id: string, rest = ''): string => `${TASKS}/${encode(id)}${rest}`;
const proposalPath = (id: string, rest = ''): string => `/api/runtime/proposals/${encode(id)}${rest}`;
const schedulePath = (id: string): string => `/api/runtime/task-schedules/${encode(id)}`;

/** A body that makes a task; the API chooses absent fields. */
export type NewTaskBody = z.input<typeof CreateTask>;
export type NewScheduleBody = z.input<typeof CreateTaskSchedule>;

/** How many rows a list requests at a time. */
export const ROWS_PER_PAGE = 50;

/** How many of the last lines an attempt's output starts with: as many as the page draws. */
const LINES_FROM_END = 3_000;
/** How many chunks of output are read at a time from the beginning. */
export const CHUNKS_PER_PAGE = 500;
const OutputPage = z.object({ chunks: z.array(OutputChunk) });

/** Returns the address of an attempt's live output, starting with its last lines. */
export function outputAddress(id: string, epoch: number): string {
  return withBasePath(taskPath(id, `/output/stream?epoch=${epoch}&tail=${LINES_FROM_END}`));
}

/** Returns the address of an artifact's bytes. */
export function contentAddress(id: string): string {
  return withBasePath(`/api/runtime/artifacts/${encode(id)}/content`);
}

/** Returns the address of the audit log as a file. */
export function exportAddress(filter: AuditFilter, format: 'jsonl' | 'csv'): string {
  return withBasePath(`/api/runtime/audit/export${queryOf({ ...filter, format })}`);
}

/** The calls of the pages of tasks, one function each. All throw ApiProblem. */
export const taskApi = {
  list: (filter: TaskFilter, cursor: string | null, signal?: AbortSignal) =>
    requestPage(`${TASKS}${queryOf({ ...filter, limit: ROWS_PER_PAGE, cursor })}`, Task, { signal }),
  get: (id: string, signal?: AbortSignal) => request(taskPath(id), Task, { signal }),
  /** Makes a task. @param key the same key makes the same task only once */
  create: (task: NewTaskBody, key: string, signal: AbortSignal) =>
    request(TASKS, Task, { method: 'POST', body: task, headers: { 'Idempotency-Key': key }, signal }),
  /** Gives it to agents; live events report the result. */
  dispatch: (id: string) =>
    send(taskPath(id, '/dispatch'), { method: 'POST', body: { wait: false, retry: true } }),
  cancel: (id: string, reason: string) =>
    request(taskPath(id, '/cancel'), Task, { method: 'POST', body: { reason } }),
  requeue: (id: string) => request(taskPath(id, '/requeue'), Task, { method: 'POST' }),

  /** Returns a page of an attempt's output after a sequence number. */
  output: async (id: string, epoch: number, after: number, signal?: AbortSignal) => {
    const query = queryOf({ epoch, after, limit: CHUNKS_PER_PAGE });
    return (await request(taskPath(id, `/output${query}`), OutputPage, { signal })).chunks;
  },
  leases: (id: string, signal?: AbortSignal) => request(taskPath(id, '/leases'), z.array(Lease), { signal }),
  results: (id: string, signal?: AbortSignal) =>
    request(taskPath(id, '/results'), z.array(TaskResult), { signal }),
  artifacts: (id: string, signal?: AbortSignal) =>
    request(`/api/runtime/artifacts${queryOf({ task_id: id, limit: 200 })}`, z.array(Artifact), { signal }),
  activeLeases: (signal?: AbortSignal) =>
    request('/api/runtime/leases?status=active', z.array(Lease), { signal }),
  runs: (limit: number, signal?: AbortSignal) =>
    request(`/api/runtime/runs?attempts=true&limit=${limit}`, z.array(Run), { signal }),

  allowPools: (node: string, pools: readonly string[]) =>
    request(`/api/runtime/workers/${encode(node)}/pools`, Node, { method: 'PUT', body: { pools } }),
  drain: (node: string, drained: boolean) =>
    send(`/api/runtime/workers/${encode(node)}/drain`, { method: 'POST', body: { drained } }),

  audit: (filter: AuditFilter, before: string | null, signal?: AbortSignal) =>
    requestPage(`/api/runtime/audit${queryOf({ ...filter, limit: ROWS_PER_PAGE, before })}`, AuditLog, {
      signal,
    }),

  proposals: (
    filter: { status?: string | undefined; task_id?: string },
    cursor: string | null,
    signal?: AbortSignal,
  ) =>
    requestPage(`/api/runtime/proposals${queryOf({ ...filter, limit: ROWS_PER_PAGE, cursor })}`, Proposal, {
      signal,
    }),
  proposal: (id: string, signal?: AbortSignal) => request(proposalPath(id), ShownProposal, { signal }),
  approve: (id: string, body: { expected_version?: string | null; tree_hash?: string }) =>
    request(proposalPath(id, '/approve'), Proposal, { method: 'POST', body }),
  remakePreview: (id: string) =>
    request(proposalPath(id, '/preview'), ProposalPreview, { method: 'POST', body: {} }),
  reject: (id: string, reason: string) =>
    request(proposalPath(id, '/reject'), Proposal, {
      method: 'POST',
      body: reason === '' ? {} : { reason },
    }),

  settings: (signal?: AbortSignal) => request('/api/runtime/task-settings', TaskSettings, { signal }),
  saveSettings: (settings: TaskSettings) =>
    request('/api/runtime/task-settings', TaskSettings, { method: 'PUT', body: settings }),
  webhookSecret: () => request('/api/runtime/webhook-secret', WebhookSecret),
  rotateWebhookSecret: () => request('/api/runtime/webhook-secret', WebhookSecret, { method: 'POST' }),
  schedules: (signal?: AbortSignal) =>
    request('/api/runtime/task-schedules', z.array(TaskSchedule), { signal }),
  createSchedule: (schedule: NewScheduleBody) =>
    request('/api/runtime/task-schedules', TaskSchedule, { method: 'POST', body: schedule }),
  pauseSchedule: (id: string, paused: boolean) =>
    request(schedulePath(id), TaskSchedule, { method: 'PATCH', body: { paused } }),
  removeSchedule: (id: string) => send(schedulePath(id), { method: 'DELETE' }),
};
