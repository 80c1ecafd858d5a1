import { expect } from 'vitest';
import type { Lease, TaskResult } from '../../contract/tasks/leases.ts';
import type { Task } from '../../contract/tasks/tasks.ts';
import type { AgentHeartbeat } from '../../contract/nodes/nodes.ts';
import { heartbeat, type Answer, type CallOptions, type TestPlane } from '../support/control-plane.ts';

/** Pause between checks, and how long a task may take to change, in milliseconds. */
export const SOON = { timeout: 30_000, interval: 50 };

/** A lease as its worker uses it. */
interface HeldLease {
  readonly lease_id: string;
  readonly epoch: number;
  readonly worker_id: string;
}

/** Calls about tasks, as scripts and workers over HTTP make them. */
export interface TaskCalls {
  /** Makes a task and expects success. @returns its id */
  make(body?: Record<string, unknown>): Promise<string>;
  get(id: string): Promise<Task>;
  post(id: string, what: string, body?: unknown): Promise<Answer>;
  /** A list under /api/runtime/. */
  list<T = Record<string, unknown>>(path: string): Promise<T[]>;
  results(id: string): Promise<TaskResult[]>;
  leases(id: string): Promise<Lease[]>;
  /** Leases a task to a worker over HTTP. */
  lease(id: string, worker?: string, ttlSeconds?: number): Promise<HeldLease>;
  /** Waits until a task is as expected; otherwise shows how it is. */
  becomes(id: string, expected: Partial<Task>, timeout?: number): Promise<Task>;
  /** Returns the audit actions of a task, oldest first. */
  story(id: string): Promise<string[]>;
}

/** @param call sends a request with the runtime key */
export function taskCalls({
  call,
}: {
  call: (method: string, path: string, options?: CallOptions) => Promise<Answer>;
}): TaskCalls {
  const tasks = '/api/runtime/llm-tasks';
  const get = async (id: string): Promise<Task> =>
    (await call('GET', `${tasks}/${id}`)).body as unknown as Task;
  const post = (id: string, what: string, body?: unknown): Promise<Answer> =>
    call('POST', `${tasks}/${id}/${what}`, body === undefined ? {} : { body });
  const list = async <T>(path: string): Promise<T[]> => {
    const { status, body } = await call('GET', `/api/runtime/${path}`);
    expect(status, JSON.stringify(body)).toBe(200);
    return body as unknown as T[];
  };
  return {
    make: async (body = {}) => {
      const answer = await call('POST', tasks, { body: { prompt: 'say hello', ...body } });
      expect(answer.status, JSON.stringify(answer.body)).toBe(201);
      return String(answer.body['id']);
    },
    get,
    post,
    list,
    results: (id) => list(`llm-tasks/${id}/results`),
    leases: (id) => list(`llm-tasks/${id}/leases`),
    lease: async (id, worker = 'w1', ttlSeconds = 60) => {
      const { status, body } = await post(id, 'lease', { worker_id: worker, ttl_seconds: ttlSeconds });
      expect(status, JSON.stringify(body)).toBe(201);
      const lease = body['lease'] as Lease;
      return { lease_id: lease.id, epoch: lease.epoch, worker_id: lease.worker_id };
    },
    becomes: async (id, expected, timeout = SOON.timeout) => {
      await expect.poll(() => get(id), { ...SOON, timeout }).toMatchObject(expected);
      return await get(id);
    },
    story: async (id) => {
      const rows = await list<{ action: string }>(`audit?entity_id=${id}&limit=200`);
      return rows.map(({ action }) => action).toReversed();
    },
  };
}

/** Returns a heartbeat of an agent that can run tasks. */
function taskNodeHeartbeat(
  capabilities: Partial<AgentHeartbeat['facts']['capabilities']> = {},
): AgentHeartbeat {
  const beat = heartbeat();
  const all = { ...beat.facts.capabilities, claude_cli: true, ...capabilities };
  return { ...beat, facts: { ...beat.facts, capabilities: all } };
}

/** Sends such a heartbeat. */
export async function sendTaskHeartbeat(
  test: TestPlane,
  key: string,
  capabilities: Parameters<typeof taskNodeHeartbeat>[0] = {},
): Promise<void> {
  const answer = await test.call('POST', '/api/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': key },
    body: taskNodeHeartbeat(capabilities),
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
}
