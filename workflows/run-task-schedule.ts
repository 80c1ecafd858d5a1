import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';

const { makeScheduledTask } = proxyActivities<ControlActivities>({
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '24 hours',
  retry: { maximumInterval: '30 seconds' },
});

/** Started by a task schedule each time that it is due: creates one task. */
export async function runTaskSchedule({ scheduleId }: { scheduleId: string }): Promise<string | null> {
  // Temporal puts the scheduled time into the workflow id, so the id identifies this occasion.
  return await makeScheduledTask({ scheduleId, occasion: workflowInfo().workflowId });
}
