import { workflowInfo } from '@temporalio/workflow';
import type { ProjectMemorySyncInput } from '../contract/workflows.ts';
import { control } from './control.ts';

/** Started by a project's memory schedule: every live node pushes and pulls in the project's space. */
export async function projectMemorySync({ projectId }: ProjectMemorySyncInput): Promise<void> {
  await control.syncProjectMemory({ projectId, runId: workflowInfo().runId });
}
