import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { checkReferences } from '../../activities/control/make-task.ts';
import { badField, errorMessage } from '../../contract/errors.ts';
import type { CreateTaskSchedule, TaskSchedule, UpdateTaskSchedule } from '../../contract/tasks/tasks.ts';
import { byEngine } from '../../db/queries/record-audit.ts';
import {
  createTaskSchedule,
  deleteTaskSchedule,
  getTaskSchedule,
  updateTaskSchedule,
  type TaskScheduleRow,
} from '../../db/queries/task-schedules.ts';
import { describeNextTaskRun, removeTaskSchedule, setTaskSchedule } from '../../engine/task-schedules.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { auditByCaller } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import type { Caller } from '../http/route.ts';
import { makeTaskDeps } from './create.ts';

/** How long Temporal may take to describe a schedule. */
const DESCRIBE_MS = 3_000;

/** Returns a schedule's row. @throws MembridgeError not_found */
export async function requireTaskSchedule(deps: Deps, id: string): Promise<TaskScheduleRow> {
  const row = await getTaskSchedule(deps.db, { id });
  if (row === null) throw notFoundError('task schedule', id);
  return row;
}

/** Returns a schedule with its next run according to Temporal; null when that does not answer. */
export async function showTaskSchedule(deps: Deps, row: TaskScheduleRow): Promise<TaskSchedule> {
  const next = callEngine(deps.engine, (client) => describeNextTaskRun(client, row.id), DESCRIBE_MS);
  return { ...row, next_at: await next.catch(() => null) };
}

/**
 * Makes a schedule. Its template is checked like a task.
 * @throws MembridgeError bad_request naming the field; conflict when the name is taken; engine_unavailable, and then
 * there is no schedule
 */
export async function addTaskSchedule(
  deps: Deps,
  given: z.infer<typeof CreateTaskSchedule>,
  caller: Caller,
): Promise<TaskScheduleRow> {
  await checkReferences(makeTaskDeps(deps), given.task, { at: 'task.', made: new Set() });
  const now = deps.now();
  const id = `sched_${randomBytes(8).toString('hex')}`;
  const row = { ...given, id, last_task_id: null, created_at: now, updated_at: now };
  await createTaskSchedule(deps.db, row, auditByCaller(caller));
  try {
    await applyTaskSchedule(deps, row);
  } catch (error) {
    await deleteTaskSchedule(deps.db, { id, by: byEngine('it could not be made whole'), now: deps.now() });
    throw error;
  }
  return row;
}

/** Changes a schedule. An invalid schedule changes nothing. @throws MembridgeError as addTaskSchedule, and not_found */
export async function changeTaskSchedule(
  deps: Deps,
  id: string,
  given: z.infer<typeof UpdateTaskSchedule>,
  caller: Caller,
): Promise<TaskScheduleRow> {
  const before = await requireTaskSchedule(deps, id);
  if (given.task !== undefined) {
    await checkReferences(makeTaskDeps(deps), given.task, { at: 'task.', made: new Set() });
  }
  const change = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  // Applied first, because Temporal may refuse it.
  await applyTaskSchedule(deps, { ...before, ...change });
  let row: TaskScheduleRow | null;
  try {
    row = await updateTaskSchedule(deps.db, { id, change, by: auditByCaller(caller), now: deps.now() });
  } catch (error) {
    await applyTaskSchedule(deps, before).catch((problem: unknown) => {
      deps.logger.warn(
        { schedule: id, reason: errorMessage(problem) },
        'a schedule in Temporal could not be restored',
      );
    });
    throw error;
  }
  if (row === null) {
    await callEngine(deps.engine, (client) => removeTaskSchedule(client, id));
    throw notFoundError('task schedule', id);
  }
  return row;
}

/** Removes a schedule; its tasks stay. @throws MembridgeError not_found; engine_unavailable, and then it still exists */
export async function dropTaskSchedule(deps: Deps, id: string, caller: Caller): Promise<void> {
  await requireTaskSchedule(deps, id);
  await callEngine(deps.engine, (client) => removeTaskSchedule(client, id));
  await deleteTaskSchedule(deps.db, { id, by: auditByCaller(caller), now: deps.now() });
}

/** Sets Temporal's schedule to its row. @throws MembridgeError bad_request for an invalid cron expression */
export async function applyTaskSchedule(deps: Deps, row: TaskScheduleRow): Promise<void> {
  try {
    await callEngine(deps.engine, (client) => setTaskSchedule(client, row));
  } catch (error) {
    // The SDK throws a TypeError when Temporal refuses an expression.
    if (!(error instanceof TypeError)) throw error;
    throw badField('cron', `"${row.cron}" is not a schedule: ${error.message}`);
  }
}
