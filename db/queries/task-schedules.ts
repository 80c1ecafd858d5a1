import { asc, eq, sql } from 'drizzle-orm';
import type { InferSelectModel } from 'drizzle-orm';
import { MembridgeError } from '../../contract/errors.ts';
import type { Database, Executor } from '../connect.ts';
import { taskSchedules } from '../schema.ts';
import { newEventKey, recordAudit, type AuditBy, type NewAudit } from './record-audit.ts';

export type TaskScheduleRow = InferSelectModel<typeof taskSchedules>;

/** The advisory lock for assigning names of task schedules. */
const NAMES_LOCK = 7_305_806;

/** Returns every task schedule, by name. */
export async function listTaskSchedules(db: Database): Promise<TaskScheduleRow[]> {
  return await db.run((executor) => executor.select().from(taskSchedules).orderBy(asc(taskSchedules.name)));
}

/** Returns one task schedule; null when it does not exist. */
export async function getTaskSchedule(db: Database, input: { id: string }): Promise<TaskScheduleRow | null> {
  const [row] = await db.run((executor) =>
    executor.select().from(taskSchedules).where(eq(taskSchedules.id, input.id)),
  );
  return row ?? null;
}

/**
 * Records a new one.
 * @throws MembridgeError conflict when its name is taken
 */
export async function createTaskSchedule(db: Database, row: TaskScheduleRow, by: AuditBy): Promise<void> {
  await db.transaction(async (tx) => {
    await refuseTaken(tx, row);
    await tx.insert(taskSchedules).values(row);
    await recordAudit(tx, [entry('task_schedule_created', row, by, row.created_at)]);
  });
}

/**
 * Changes one.
 * @returns null when it is gone
 * @throws MembridgeError conflict when its new name is taken
 */
export async function updateTaskSchedule(
  db: Database,
  input: { id: string; change: Partial<TaskScheduleRow>; by: AuditBy; now: number },
): Promise<TaskScheduleRow | null> {
  const { id, change, by, now } = input;
  return await db.transaction(async (tx) => {
    if (change.name !== undefined) await refuseTaken(tx, { id, name: change.name });
    const [row] = await tx
      .update(taskSchedules)
      .set({ ...change, updated_at: now })
      .where(eq(taskSchedules.id, id))
      .returning();
    if (row === undefined) return null;
    await recordAudit(tx, [entry('task_schedule_updated', row, by, now)]);
    return row;
  });
}

/**
 * Deletes one; the tasks that it created stay.
 * @returns whether it existed
 */
export async function deleteTaskSchedule(
  db: Database,
  input: { id: string; by: AuditBy; now: number },
): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const [row] = await tx.delete(taskSchedules).where(eq(taskSchedules.id, input.id)).returning();
    if (row === undefined) return false;
    await recordAudit(tx, [entry('task_schedule_deleted', row, input.by, input.now)]);
    return true;
  });
}

/** Records the newest task of a schedule. */
export async function recordScheduledTask(
  db: Database,
  input: { id: string; taskId: string },
): Promise<void> {
  await db.run((executor) =>
    executor.update(taskSchedules).set({ last_task_id: input.taskId }).where(eq(taskSchedules.id, input.id)),
  );
}

async function refuseTaken(tx: Executor, wanted: Pick<TaskScheduleRow, 'id' | 'name'>): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${NAMES_LOCK})`);
  const [taken] = await tx
    .select({ id: taskSchedules.id })
    .from(taskSchedules)
    .where(eq(taskSchedules.name, wanted.name));
  if (taken === undefined || taken.id === wanted.id) return;
  throw new MembridgeError('conflict', `A task schedule named ${wanted.name} exists. Choose another name.`);
}

function entry(
  action: string,
  { id, name, cron, paused }: TaskScheduleRow,
  by: AuditBy,
  timestamp: number,
): NewAudit {
  return {
    eventKey: newEventKey(action),
    action,
    entity_type: 'task_schedule',
    entity_id: id,
    ...by,
    detail: `${name}: ${cron}${paused ? ', paused' : ''}`,
    correlation_id: id,
    timestamp,
  };
}
