import { proxyLocalActivities, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { ProjectMemorySyncInput } from '../contract/workflows.ts';

const control = proxyLocalActivities<ControlActivities>({
  startToCloseTimeout: '20 seconds',
  retry: { maximumInterval: '10 seconds', maximumAttempts: 20 },
});

/** What a project's memory schedule starts: every live node sends and fetches in the project's space. */
export async function projectMemorySync({ projectId }: ProjectMemorySyncInput): Promise<void> {
  await control.syncProjectMemory({ projectId, runId: workflowInfo().runId });
}
