import type { Client } from '@temporalio/client';
import { ERRORS, MembridgeError } from '../../contract/errors.ts';
import { CreateTask } from '../../contract/tasks/tasks.ts';
import type { Database } from '../../db/connect.ts';
import { getTaskRow } from '../../db/queries/find-tasks.ts';
import { recordAudit } from '../../db/queries/record-audit.ts';
import { getTaskSchedule, recordScheduledTask } from '../../db/queries/task-schedules.ts';
import { acceptTask } from '../../engine/task-workflows.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { makeTaskRow, taskIdForKey } from './make-task.ts';
import type { WebhookAccess } from './webhooks.ts';

/** Activities of task schedules; idempotent. */
export function createTaskScheduleActivities(dependencies: {
  db: Database;
  client: Client;
  store: ObjectStore;
  webhooks: WebhookAccess;
}) {
  const { db, client, store, webhooks } = dependencies;
  return {
    /**
     * Creates the task for one occasion of a schedule. If something that its template names is gone, records
     * that in the audit log, because a retry would not help.
     * @param input.occasion names the schedule and the time; the task's id is derived from it, so that
     * retries create one task
     * @returns the task's id; null when none was created
     */
    async makeScheduledTask(input: { scheduleId: string; occasion: string }): Promise<string | null> {
      const { scheduleId: id, occasion } = input;
      const schedule = await getTaskSchedule(db, { id });
      if (schedule === null) return null;
      // Contains a space, so it cannot equal a client's Idempotency-Key.
      const key = `schedule ${occasion}`;
      const taskId = taskIdForKey(key);
      // An earlier try created it, perhaps from an older template.
      if ((await getTaskRow(db, { id: taskId })) === null) {
        const parsed = CreateTask.safeParse({ ...schedule.task, auto_dispatch: true });
        try {
          if (!parsed.success) {
            throw new MembridgeError(
              'bad_request',
              'its template is no longer valid; save the schedule again',
            );
          }
          const accept = acceptTask.bind(null, client);
          await makeTaskRow({ db, store, webhookHosts: webhooks.hosts, now: Date.now, accept }, parsed.data, {
            by: 'schedule',
            key,
            scheduleId: id,
          });
        } catch (error) {
          if (!(error instanceof MembridgeError) || ERRORS[error.code].retryable) throw error;
          const { message } = error;
          await db.transaction((tx) =>
            recordAudit(tx, [
              {
                eventKey: `${occasion}:failed`,
                action: 'task_schedule_failed',
                entity_type: 'task_schedule',
                entity_id: id,
                actor: 'engine',
                detail: `${schedule.name} made no task: ${message}`,
                cause: occasion,
                correlation_id: id,
                timestamp: Date.now(),
              },
            ]),
          );
          return null;
        }
      }
      await recordScheduledTask(db, { id, taskId });
      return taskId;
    },
  };
}
