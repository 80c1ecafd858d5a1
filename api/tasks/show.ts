import type { Artifact } from '../../contract/tasks/artifacts.ts';
import type { Task } from '../../contract/tasks/tasks.ts';
import { explainWaiting } from '../../db/queries/explain-waiting.ts';
import { getTaskRow } from '../../db/queries/find-tasks.ts';
import { toArtifact, toTask, type ArtifactRow, type TaskRow } from '../../db/task-rows.ts';
import { historyUrl } from '../../engine/memory-workflows.ts';
import { blobKey } from '../../storage/blobs.ts';
import type { Deps } from '../deps.ts';
import { notFoundError } from '../http/not-found.ts';

/** Adds the address of a task's history in the Temporal UI. */
export function withTaskUrl({ config }: Pick<Deps, 'config'>, task: Task): Task {
  const ref = { workflowId: task.workflow_id, runId: task.run_id };
  return { ...task, history_url: historyUrl(config.temporalUi, config.engine.namespace, ref) };
}

/** Returns a task with its full prompt. */
export function showTask(deps: Pick<Deps, 'config'>, row: TaskRow): Task {
  return withTaskUrl(deps, toTask(row, 'whole'));
}

/** Returns the same, with what the task waits for. */
export async function showTaskWhole(deps: Deps, row: TaskRow): Promise<Task> {
  const waiting = await explainWaiting(deps.db, { task: row, now: deps.now() });
  return { ...showTask(deps, row), waiting };
}

/** Returns a task's row. @throws MembridgeError not_found */
export async function requireTask(deps: Pick<Deps, 'db'>, id: string): Promise<TaskRow> {
  const row = await getTaskRow(deps.db, { id });
  if (row === null) throw notFoundError('task', id);
  return row;
}

/** Returns an artifact with its address in the store. */
export function showArtifact({ config }: Pick<Deps, 'config'>, row: ArtifactRow): Artifact {
  return toArtifact(row, (sha256) => `minio://${config.store.bucket}/${blobKey(sha256)}`);
}
