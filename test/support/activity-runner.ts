import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Engine } from '../../engine/connect.ts';

/** Runs workflows of one activity each, on a queue whose activities another worker takes. */
export interface ActivityRunner {
  /** Starts a workflow that runs an activity by its name. */
  start(activity: string, input?: unknown): Promise<WorkflowHandle>;
  stop(): Promise<void>;
}

/** Polls a queue for workflows, directly at Temporal, as the control plane does. */
export async function startActivityRunner(engine: Engine, taskQueue: string): Promise<ActivityRunner> {
  const { address, namespace } = engine.address;
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowsPath: join(import.meta.dirname, 'activity-workflow.ts'),
  });
  const running = worker.run();
  return {
    start: async (activity, input = null) =>
      await engine.client.workflow.start('runActivity', {
        taskQueue,
        workflowId: `${taskQueue}-${randomBytes(6).toString('hex')}`,
        args: [activity, input],
      }),
    stop: async () => {
      worker.shutdown();
      await running;
      await connection.close();
    },
  };
}
