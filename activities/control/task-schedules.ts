import type { Client } from '@temporalio/client';
import { ERRORS, MembridgeError } from '../../contract/errors.ts';
import { CreateTask } from '../../contract/tasks/tasks.ts';
import type { Database } from '../../db/connect.ts';
import { getTaskRow } from '../../db/queries/find-tasks.ts';
import { recordAudit } from '../../db/queries/record-audit.ts';
import { getTaskSchedule, recordScheduledTask } from '../../db/queries/task-schedules.ts';
import { acceptTask } from '../../engine/task-workflows.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { makeTaskRow, taskIdOfKey } from './make-task.ts';
import type { WebhookAccess } from './webhooks.ts';

/** Activities of task schedules. They may run twice with the effect of once. */
export function createTaskScheduleActivities(dependencies: {
  db: Database;
  client: Client;
  store: ObjectStore;
  webhooks: WebhookAccess;
}) {
  const { db, client, store, webhooks } = dependencies;
  return {
    /**
     * Makes the task of one occasion of a schedule. What its template names may be gone: that is told to the audit log, and trying
     * again would not help.
     * @param input.occasion names the schedule and the time; the task's id follows from it, so that there is one however often this runs
     * @returns the task's id; null when none was made
     */
    async makeScheduledTask(input: { scheduleId: string; occasion: string }): Promise<string | null> {
      const { scheduleId: id, occasion } = input;
      const schedule = await getTaskSchedule(db, { id });
      if (schedule === null) return null;
      // Nobody's Idempotency-Key has a space.
      const key = `schedule ${occasion}`;
      const taskId = taskIdOfKey(key);
      // Made by an earlier try, perhaps of a template that was changed since.
      if ((await getTaskRow(db, { id: taskId })) === null) {
        const parsed = CreateTask.safeParse({ ...schedule.task, auto_dispatch: true });
        try {
          if (!parsed.success) {
            throw new MembridgeError('bad_request', 'its template is not valid any more; save it again');
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
