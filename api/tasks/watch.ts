import { deliverTaskEnd } from '../../activities/control/webhooks.ts';
import { errorMessage } from '../../contract/errors.ts';
import { MESSAGES, llmTaskId } from '../../contract/names.ts';
import { listOpenTasks, recordLostTask, type OpenTask } from '../../db/queries/record-lost-task.ts';
import type { TaskEnd } from '../../contract/tasks/webhooks.ts';
import type { TaskRow } from '../../db/task-rows.ts';
import { describeOutcome } from '../../engine/describe-outcome.ts';
import { signalWorkflow } from '../../engine/signal-workflow.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { applyRetention } from './retention.ts';

/** How often some tasks are checked, in milliseconds. */
const CHECK_MS = 5_000;
/** How many tasks are checked each time: with ten thousand open ones, each is checked every quarter of an hour. */
const TASKS_PER_CHECK = 50;
/** How many workflows are described at the same time. */
const MAX_CONCURRENT_DESCRIBES = 8;
/** How long Temporal may take to describe one. */
const DESCRIBE_MS = 3_000;
/** A workflow that ends records that within this time. After it, the workflow was terminated and never will. */
const SILENT_MS = 10_000;

/** How often retention runs, in milliseconds, and how soon after a start it runs first. */
const RETAIN_MS = 3_600_000;
const FIRST_RETAIN_MS = 60_000;

/**
 * Detects tasks whose workflow somebody terminated, so that nothing shows as running forever, and runs retention by
 * the task settings.
 * @returns a function that stops it and resolves when running rounds have ended
 */
export function watchTasks(deps: Deps): () => Promise<void> {
  let after: OpenTask | null = null;
  let retainAt = deps.now() + FIRST_RETAIN_MS;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    after = await lookAtTasks(deps, after);
    if (!stopped && deps.now() >= retainAt) {
      retainAt = deps.now() + RETAIN_MS;
      await removeExpired(deps);
    }
    if (!stopped) schedule();
  };
  const schedule = (): void => {
    timer = setTimeout(() => {
      looking = look();
    }, CHECK_MS);
  };
  schedule();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await looking;
  };
}

/**
 * Checks some tasks. Never throws: the next round repeats what failed.
 * @param after where the previous round ended
 * @returns where this one ended; null when it saw the last task
 */
async function lookAtTasks(deps: Deps, after: OpenTask | null): Promise<OpenTask | null> {
  try {
    const open = await listOpenTasks(deps.db, { after, limit: TASKS_PER_CHECK });
    for (let at = 0; at < open.length; at += MAX_CONCURRENT_DESCRIBES) {
      await Promise.all(open.slice(at, at + MAX_CONCURRENT_DESCRIBES).map((task) => lookAt(deps, task)));
    }
    return open.length < TASKS_PER_CHECK ? null : (open.at(-1) ?? null);
  } catch (error) {
    deps.logger.warn({ reason: errorMessage(error) }, 'tasks could not be checked');
    return after;
  }
}

async function lookAt(deps: Deps, seen: OpenTask): Promise<void> {
  if (deps.now() - seen.updated_at < SILENT_MS) return;
  try {
    const { workflow_id: workflowId } = seen;
    const how = await callEngine(
      deps.engine,
      (client) => describeOutcome(client, { workflowId }),
      DESCRIBE_MS,
    );
    if (how === null) return;
    const lost = await recordLostTask(deps.db, { seen, how, now: deps.now() });
    if (lost === null) return;
    deps.logger.warn({ task: seen.id, how }, 'a task failed, because its workflow ended without a result');
    const { row } = lost;
    await callEngine(deps.engine, (client) => deliverTaskEnd({ db: deps.db, client }, endOf(row)));
    for (const id of lost.dependents) {
      await callEngine(deps.engine, (client) =>
        signalWorkflow(client, llmTaskId(id), MESSAGES.dependencyEnded),
      );
    }
  } catch (error) {
    // A failure for one task must not keep the others from being checked.
    deps.logger.warn({ task: seen.id, reason: errorMessage(error) }, 'a task was not checked');
  }
}

/** Returns the end of a task, from its row. */
const endOf = (row: TaskRow): TaskEnd => ({
  taskId: row.id,
  seq: row.seq,
  status: row.status,
  attempts: row.attempts,
  error: { code: row.error_code ?? 'internal', message: row.error_message ?? '' },
  worker: row.worker_id,
  leaseId: null,
  at: row.updated_at,
});

async function removeExpired(deps: Deps): Promise<void> {
  try {
    const done = await applyRetention(deps);
    if (done.output + done.expired + done.removed > 0)
      deps.logger.info(done, 'retention removed old records');
  } catch (error) {
    deps.logger.warn({ reason: errorMessage(error) }, 'retention could not remove old records');
  }
}
