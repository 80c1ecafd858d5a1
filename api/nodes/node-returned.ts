import { errorMessage } from '../../contract/errors.ts';
import { MESSAGES, memorySpaceId } from '../../contract/workflows.ts';
import { listSpaceConfigs } from '../../db/queries/list-space-configs.ts';
import { signalWorkflow } from '../../engine/signal-workflow.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';

/** Signals the workflow of every space that a node is back, so that the node catches up. Errors are logged, never thrown. */
export async function announceReturn(deps: Deps, node: string): Promise<void> {
  try {
    for (const { cid } of await listSpaceConfigs(deps.db)) {
      // A space whose workflow is just being made asks for the live nodes itself.
      await callEngine(deps.engine, (client) =>
        signalWorkflow(client, memorySpaceId(cid), MESSAGES.nodeReturned, node),
      );
    }
  } catch (error) {
    deps.logger.warn(
      { node, reason: errorMessage(error) },
      'the workflows of spaces did not learn that a node is back',
    );
  }
}
