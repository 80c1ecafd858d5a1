import type { AgentHeartbeat } from '../../contract/nodes/nodes.ts';
import type { OutputChunk } from '../../contract/tasks/runs.ts';
import type { Task } from '../../contract/tasks/tasks.ts';
import { appendOutput } from '../../db/queries/task-output.ts';
import { enrolNode, heartbeat, type TestPlane } from '../support/control-plane.ts';

/** A worker that leases tasks over HTTP, like a worker that somebody wrote. */
export interface TaskWorker {
  /** Makes a task; by default not dispatched. */
  make(body?: Record<string, unknown>): Promise<Task>;
  lease(task: string, ttlSeconds?: number): Promise<void>;
  heartbeat(task: string): Promise<void>;
  /** Writes output as the leased attempt's program would, starting with sequence number `seq`. */
  write(task: string, pieces: readonly Pick<OutputChunk, 'stream' | 'text'>[], seq?: number): Promise<void>;
  complete(task: string, body: Record<string, unknown>): Promise<void>;
}

/** Starts a worker with the name of a node. */
export function startTaskWorker(test: TestPlane, node: string): TaskWorker {
  const epochs = new Map<string, number>();
  const ask = async (path: string, body: Record<string, unknown>) => {
    const answer = await test.call('POST', `/api/runtime/llm-tasks${path}`, { body });
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const fence = (task: string) => ({ worker_id: node, epoch: epochs.get(task) ?? 0 });
  return {
    make: async (body = {}) => (await ask('', { prompt: 'Say hello.', ...body })) as unknown as Task,
    lease: async (task, ttlSeconds = 300) => {
      const { lease } = await ask(`/${task}/lease`, { worker_id: node, ttl_seconds: ttlSeconds });
      epochs.set(task, Number((lease as Record<string, unknown>)['epoch']));
    },
    heartbeat: async (task) => void (await ask(`/${task}/heartbeat`, fence(task))),
    write: async (task, pieces, seq = 0) => {
      const { epoch } = fence(task);
      const chunks = pieces.map((piece, index) => ({ ...piece, seq: seq + index, at: Date.now() }));
      const kept = await appendOutput(test.plane.deps.db, { taskId: task, epoch, node, chunks });
      if (!kept) throw new Error(`${node} has no lease on ${task} with epoch ${epoch}`);
    },
    complete: async (task, body) => void (await ask(`/${task}/complete`, { ...fence(task), ...body })),
  };
}

/** Enrols a node that reports once, with a program for tasks. */
export async function enrolRunner(
  test: TestPlane,
  node: string,
  capabilities: Partial<AgentHeartbeat['facts']['capabilities']> = {},
): Promise<void> {
  const { agent_key: key } = await enrolNode(test, node, false);
  const { facts, ...rest } = heartbeat(node);
  const runs = { claude_cli: true, max_concurrency: 2, labels: ['gpu'], ...capabilities };
  await test.call('PUT', `/api/runtime/workers/${node}/pools`, { body: { pools: runs.labels } });
  await test.call('POST', '/api/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': key },
    body: { ...rest, facts: { ...facts, capabilities: runs } },
  });
}
