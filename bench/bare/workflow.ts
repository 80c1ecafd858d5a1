import { proxyActivities } from '@temporalio/workflow';

/** The smallest workflow that uses a second queue: one activity, nothing else. */
export async function bareWorkflow(activityQueue: string): Promise<string> {
  const { echo } = proxyActivities<{ echo(text: string): Promise<string> }>({
    taskQueue: activityQueue,
    startToCloseTimeout: '10 seconds',
  });
  return await echo('done');
}
