import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
} from '@temporalio/client';
import { CONTROL_QUEUE, scheduledRunId, taskScheduleId } from '../contract/names.ts';

/**
 * Makes a task schedule's Temporal Schedule what it is to be. Its runs may overlap: each only makes a task, and tasks wait for
 * nodes, not for each other.
 * @throws TypeError with the engine's words when the expression means nothing to it; other errors of the engine
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

/** Removes it; one that is not there is fine. */
export async function removeTaskSchedule(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(taskScheduleId(id)).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

/** When it is due next, epoch ms; null when it is paused, or not known. */
export async function nextTaskRun(client: Client, id: string): Promise<number | null> {
  try {
    const { info, state } = await client.schedule.getHandle(taskScheduleId(id)).describe();
    return state.paused ? null : (info.nextActionTimes[0]?.getTime() ?? null);
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}
