import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
} from '@temporalio/client';
import {
  CONTROL_QUEUE,
  fetchScheduleId,
  memoryScheduleId,
  scheduledRunId,
  updateScheduleId,
  type PropagateInput,
} from '../contract/workflows.ts';
import { findUnknownAttribute } from './known-attributes.ts';
import { searchAttributes } from './search-attributes.ts';

/** Maximum number of clones that ask their remote at once for a schedule. */
const FETCH_CONCURRENCY = 8;

/** Periodic actions of a project. */
export const SCHEDULE_KINDS = ['fetch', 'memory', 'update'] as const;
export type ScheduleKind = (typeof SCHEDULE_KINDS)[number];

const SCHEDULE_ID: Record<ScheduleKind, (projectId: string) => string> = {
  fetch: fetchScheduleId,
  memory: memoryScheduleId,
  update: updateScheduleId,
};
const scheduleIdOf = (kind: ScheduleKind, projectId: string): string => SCHEDULE_ID[kind](projectId);

const SUMMARIES: Record<ScheduleKind, string> = {
  fetch: 'check the clones of',
  memory: 'memory of',
  update: 'update the clones of',
};

function actionOf(kind: ScheduleKind, project: { id: string; name: string }) {
  const propagate = (action: 'fetch' | 'update'): PropagateInput => ({
    projectId: project.id,
    action,
    nodes: null,
    concurrency: FETCH_CONCURRENCY,
  });
  return {
    type: 'startWorkflow' as const,
    workflowType: kind === 'memory' ? 'projectMemorySync' : 'propagateProject',
    workflowId: scheduledRunId(scheduleIdOf(kind, project.id)),
    taskQueue: CONTROL_QUEUE,
    args: kind === 'memory' ? [{ projectId: project.id }] : [propagate(kind)],
    typedSearchAttributes: searchAttributes({ project: project.name }),
    staticSummary: `${SUMMARIES[kind]} ${project.name}`,
  };
}

/**
 * Creates, changes or deletes a Temporal Schedule.
 * @param cron five fields, UTC; null to delete the schedule
 * @throws TypeError with Temporal's message when the expression is invalid; other errors of Temporal
 */
export async function setSchedule(
  client: Client,
  input: { kind: ScheduleKind; project: { id: string; name: string }; cron: string | null },
): Promise<void> {
  const { kind, project, cron } = input;
  const scheduleId = scheduleIdOf(kind, project.id);
  if (cron === null) return await removeSchedule(client, scheduleId);
  const spec = { cronExpressions: [cron] };
  const action = actionOf(kind, project);
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 hour' as const };
  try {
    await client.schedule.create({ scheduleId, spec, action, policies });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const update = async (changed: Partial<typeof action>): Promise<void> =>
      await client.schedule
        .getHandle(scheduleId)
        .update((was) => ({ ...was, spec, action: { ...was.action, ...changed }, policies }));
    try {
      await update(action);
    } catch (refusal) {
      if (findUnknownAttribute(refusal) === null) throw refusal;
      const { typedSearchAttributes: _unknown, ...rest } = action;
      await update(rest);
    }
  }
}

async function removeSchedule(client: Client, scheduleId: string): Promise<void> {
  try {
    await client.schedule.getHandle(scheduleId).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

/**
 * Returns when a schedule is due next, epoch milliseconds; null when there is no schedule or the time is
 * unknown.
 */
export async function describeNextRun(
  client: Client,
  kind: ScheduleKind,
  projectId: string,
): Promise<number | null> {
  try {
    const { info } = await client.schedule.getHandle(scheduleIdOf(kind, projectId)).describe();
    return info.nextActionTimes[0]?.getTime() ?? null;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}
