import { WorkflowNotFoundError } from '@temporalio/client';
import { errorMessage } from '../contract/errors.ts';
import { MESSAGES, memorySpaceId } from '../contract/workflows.ts';
import { listSpaceConfigs } from '../db/queries/list-space-configs.ts';
import type { Deps } from './deps.ts';
import { callEngine } from './engine-calls.ts';

/** Tells the workflow of every space that a node is back, so that it is caught up. Errors are logged, never thrown. */
export async function announceReturn(deps: Deps, node: string): Promise<void> {
  try {
    for (const { cid } of await listSpaceConfigs(deps.db)) {
      await callEngine(deps.engine, (client) =>
        client.workflow.getHandle(memorySpaceId(cid)).signal(MESSAGES.nodeReturned, node),
      ).catch((error: unknown) => {
        // A space whose workflow is just being made asks for the live nodes itself.
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      });
    }
  } catch (error) {
    deps.logger.warn({ node, reason: errorMessage(error) }, 'spaces could not be told that a node is back');
  }
}
