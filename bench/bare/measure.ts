import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, DefaultLogger } from '@temporalio/worker';
import { distribution, single, type Result } from '../results.ts';

const SEQUENTIAL = 100;
const PARALLEL = 200;
const CLIENTS = 20;

/**
 * Measures the cost of Temporal itself: a workflow with one activity on another queue, first one after the other,
 * then many at the same time. It is the lower bound for our own figures in the same run.
 */
export async function measureBareWorkflow(address: string, namespace: string): Promise<Result[]> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const native = await NativeConnection.connect({ address });
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  const workflowQueue = `bench-${randomUUID()}`;
  const activityQueue = `bench-${randomUUID()}`;
  const workflows = await Worker.create({
    connection: native,
    namespace,
    taskQueue: workflowQueue,
    workflowsPath: fileURLToPath(new URL('workflow.ts', import.meta.url)),
  });
  const activities = await Worker.create({
    connection: native,
    namespace,
    taskQueue: activityQueue,
    activities: { echo: (text: string) => Promise.resolve(text) },
  });
  const running = Promise.all([workflows.run(), activities.run()]);
  const once = async (): Promise<number> => {
    const began = performance.now();
    await client.workflow.execute('bareWorkflow', {
      taskQueue: workflowQueue,
      workflowId: randomUUID(),
      args: [activityQueue],
    });
    return performance.now() - began;
  };
  try {
    for (let n = 0; n < 10; n += 1) await once();
    const latencies: number[] = [];
    for (let n = 0; n < SEQUENTIAL; n += 1) latencies.push(await once());

    const began = performance.now();
    let left = PARALLEL;
    const one = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await once();
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, one));
    const seconds = (performance.now() - began) / 1_000;
    return [
      distribution('bare one-activity workflow', 'start to result', 'ms', latencies),
      single(
        `bare one-activity workflow, ${CLIENTS} at once`,
        'throughput',
        'workflows/s',
        PARALLEL / seconds,
        PARALLEL,
      ),
    ];
  } finally {
    workflows.shutdown();
    activities.shutdown();
    await running;
    await native.close();
    await connection.close();
  }
}
