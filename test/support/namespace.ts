import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';

/** How long the server may take until it knows a new namespace everywhere, in milliseconds. */
const KNOWN_WITHIN_MS = 30_000;

/**
 * Makes a Temporal namespace for one test file. Without it, control planes of several files would poll one queue and
 * run each other's workflows on the wrong database.
 * @returns its name, usable immediately
 */
export async function freshNamespace(address: string): Promise<string> {
  const namespace = `test-${randomBytes(6).toString('hex')}`;
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 day'),
    });
    const deadline = Date.now() + KNOWN_WITHIN_MS;
    for (;;) {
      try {
        // The history service's own registry answers this; it is the last one to learn of a namespace.
        await connection.workflowService.listWorkflowExecutions({ namespace, pageSize: 1 });
        await connection.workflowService.describeTaskQueue({ namespace, taskQueue: { name: 'control' } });
        return namespace;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(100);
      }
    }
  } finally {
    await connection.close();
  }
}
