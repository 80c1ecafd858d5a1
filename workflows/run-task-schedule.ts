import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';

const { makeScheduledTask } = proxyActivities<ControlActivities>({
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '24 hours',
  retry: { maximumInterval: '30 seconds' },
});

/** What a task schedule starts each time it is due: makes one task. */
export async function runTaskSchedule({ scheduleId }: { scheduleId: string }): Promise<string | null> {
  // The engine puts the scheduled time into the id, which so names this very occasion.
  return await makeScheduledTask({ scheduleId, occasion: workflowInfo().workflowId });
}
