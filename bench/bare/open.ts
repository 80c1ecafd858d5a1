import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, DefaultLogger } from '@temporalio/worker';
import { agentIdentity } from '../../contract/names.ts';
import { connectionOptions, type EngineAddress } from '../../engine/connect.ts';

/** Temporal without any of our code: the smallest workflow, and workers for its activity. */
export interface BareEngine {
  /**
   * Polls a queue for the activity.
   * @param node behind a tunnel: the node, by whose name the gateway knows its workers, and the tunnel's address
   * @returns a function that ends it
   */
  poll(queue: string, node?: { id: string; engine: EngineAddress }): Promise<() => Promise<void>>;
  /** Runs the workflow with its activity on that queue. @returns from start to result, in milliseconds */
  run(queue: string): Promise<number>;
  close(): Promise<void>;
}

/** Starts a worker for the smallest workflow. */
export async function openBareEngine(address: string, namespace: string): Promise<BareEngine> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const native = await NativeConnection.connect({ address });
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  const taskQueue = `bench-${randomUUID()}`;
  const workflows = await Worker.create({
    connection: native,
    namespace,
    taskQueue,
    workflowsPath: fileURLToPath(new URL('workflow.ts', import.meta.url)),
  });
  const running = workflows.run();
  return {
    poll: async (queue, node) => {
      const own = await NativeConnection.connect(connectionOptions(node?.engine ?? { address }));
      const worker = await Worker.create({
        connection: own,
        namespace,
        taskQueue: queue,
        ...(node === undefined ? {} : { identity: agentIdentity(node.id, process.pid) }),
        activities: { echo: (text: string) => Promise.resolve(text) },
      });
      const polling = worker.run();
      return async () => {
        worker.shutdown();
        await polling;
        await own.close();
      };
    },
    run: async (queue) => {
      const began = performance.now();
      await client.workflow.execute('bareWorkflow', { taskQueue, workflowId: randomUUID(), args: [queue] });
      return performance.now() - began;
    },
    close: async () => {
      workflows.shutdown();
      await running;
      await native.close();
      await connection.close();
    },
  };
}

/** Runs workflows with some at once. @returns workflows a second */
export async function throughputOf(
  once: () => Promise<unknown>,
  count: number,
  clients: number,
): Promise<number> {
  const began = performance.now();
  let left = count;
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await once();
    }
  };
  await Promise.all(Array.from({ length: clients }, one));
  return count / ((performance.now() - began) / 1_000);
}
