import { workflowInfo } from '@temporalio/workflow';
import type { ProjectMemorySyncInput } from '../contract/workflows.ts';
import { control } from './control.ts';

/** What a project's memory schedule starts: every live node sends and fetches in the project's space. */
export async function projectMemorySync({ projectId }: ProjectMemorySyncInput): Promise<void> {
  await control.syncProjectMemory({ projectId, runId: workflowInfo().runId });
}
