import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
} from '@temporalio/client';
import { CONTROL_QUEUE, scheduledRunId, taskScheduleId } from '../contract/names.ts';

/**
 * Creates or changes a task schedule's Temporal Schedule. Its runs may overlap: each only creates a task, and
 * tasks wait for nodes, not for each other.
 * @throws TypeError with Temporal's message when the expression is invalid; other errors of Temporal
 */
export async function setTaskSchedule(
  client: Client,
  given: { id: string; name: string; cron: string; paused: boolean },
): Promise<void> {
  const { id, name, cron, paused } = given;
  const scheduleId = taskScheduleId(id);
  const spec = { cronExpressions: [cron] };
  const action = {
    type: 'startWorkflow' as const,
    workflowType: 'runTaskSchedule',
    workflowId: scheduledRunId(scheduleId),
    taskQueue: CONTROL_QUEUE,
    args: [{ scheduleId: id }],
    staticSummary: `a task of ${name.slice(0, 100)}`,
  };
  const policies = { overlap: ScheduleOverlapPolicy.ALLOW_ALL, catchupWindow: '1 hour' as const };
  try {
    await client.schedule.create({ scheduleId, spec, action, policies, state: { paused } });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await client.schedule.getHandle(scheduleId).update((was) => ({
      ...was,
      spec,
      action: { ...was.action, ...action },
      policies,
      state: { ...was.state, paused },
    }));
  }
}

/** Deletes the schedule; does nothing if it does not exist. */
export async function removeTaskSchedule(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(taskScheduleId(id)).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

/** Returns when it is due next, epoch milliseconds; null when it is paused or the time is unknown. */
export async function describeNextTaskRun(client: Client, id: string): Promise<number | null> {
  try {
    const { info, state } = await client.schedule.getHandle(taskScheduleId(id)).describe();
    return state.paused ? null : (info.nextActionTimes[0]?.getTime() ?? null);
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}
