import { errorMessage } from '../../contract/errors.ts';
import { listLeases } from '../../db/queries/find-leases.ts';
import { updateTask } from '../../engine/task-workflows.ts';
import type { Deps } from '../deps.ts';
import { askTask } from './calls.ts';

/**
 * Gives back the tasks of a removed node: they are queued again, and the attempts do not count. If that fails for a
 * task, it is queued again when its lease expires.
 * @param by who removed the node
 */
export async function giveBackTasks(deps: Deps, node: string, by: string): Promise<void> {
  const held = await listLeases(deps.db, { status: 'active', worker: node });
  await Promise.all(
    held.map(async ({ id: leaseId, task_id: id, epoch }) => {
      const args = { leaseId, epoch, worker: node, by, reason: 'the node was removed' };
      try {
        await askTask(deps, id, (client) => updateTask(client, id, 'releaseLease', args));
      } catch (error) {
        deps.logger.warn(
          { task: id, node, reason: errorMessage(error) },
          'a task of a removed node could not be given back',
        );
      }
    }),
  );
}
