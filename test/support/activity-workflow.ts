/** A workflow that runs one activity by its name, for tests of activities on a real worker without our workflows. */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';

const activities = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

export async function runActivity(name: string, input: unknown): Promise<unknown> {
  return await activities[name]?.(input);
}
