import { makeTaskRow, type TaskOrigin, type MakeTaskDeps } from '../../activities/control/make-task.ts';
import type { CreateTask, Task } from '../../contract/tasks/tasks.ts';
import { acceptTask } from '../../engine/task-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { showTask } from './show.ts';

/** Returns what making a task needs. */
export const makeTaskDeps = (deps: Deps): MakeTaskDeps => ({
  db: deps.db,
  store: deps.store,
  webhookHosts: deps.config.webhookHosts,
  now: deps.now,
  accept: (input) => callEngine(deps.engine, (client) => acceptTask(client, input)),
});

/**
 * Makes a task. Once this resolves it is recorded, and survives a restart or a lost connection.
 * @returns the task, and whether an earlier request with the same key had made it
 * @throws MembridgeError bad_request naming the field; conflict when the key was used for another task;
 * engine_unavailable
 */
export async function makeTask(
  deps: Deps,
  body: CreateTask,
  making: TaskOrigin,
): Promise<{ task: Task; repeated: boolean }> {
  const { row, repeated } = await makeTaskRow(makeTaskDeps(deps), body, making);
  return { task: showTask(deps, row), repeated };
}
