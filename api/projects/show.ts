import type {
  ManagedProject,
  ProjectNodeStatus,
  ProjectSchedules,
  ProjectSummary,
} from '../../contract/projects/projects.ts';
import { historyUrl } from '../../engine/memory-workflows.ts';
import { describeNextRun, type ScheduleKind } from '../../engine/schedules.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';

/**
 * How long Temporal may take to report when a schedule runs next, in milliseconds; after that the project is shown
 * without it.
 */
const SCHEDULE_DEADLINE_MS = 2_000;

const workflowUrl = ({ config }: Deps, ref: { workflow_id: string; run_id: string }): string | null =>
  ref.run_id === ''
    ? null
    : historyUrl(config.temporalUi, config.engine.namespace, {
        workflowId: ref.workflow_id,
        runId: ref.run_id,
      });

/** Adds the address of a clone's history in the Temporal UI. */
export function showClone(deps: Deps, status: ProjectNodeStatus): ProjectNodeStatus {
  return { ...status, history_url: workflowUrl(deps, status) };
}

/** Adds the address of its propagation's history to a project's summary. */
export function showSummary(deps: Deps, project: ProjectSummary): ProjectSummary {
  const { propagation } = project;
  if (propagation === null) return project;
  return { ...project, propagation: { ...propagation, history_url: workflowUrl(deps, propagation) } };
}

/** Adds the addresses of its histories to a project. */
export function showProject(deps: Deps, project: ManagedProject): ManagedProject {
  const { propagation } = project;
  return {
    ...project,
    propagation:
      propagation === null ? null : { ...propagation, history_url: workflowUrl(deps, propagation) },
    nodes: project.nodes.map((status) => showClone(deps, status)),
  };
}

/** Returns when the schedules of a project run next, according to Temporal; without the times when it does not answer. */
export async function showSchedules(
  deps: Deps,
  project: Pick<ManagedProject, 'id' | 'fetch_schedule' | 'memory_schedule' | 'update_schedule'>,
): Promise<ProjectSchedules> {
  const next = async (kind: ScheduleKind, schedule: ManagedProject['fetch_schedule']) => {
    if (schedule === null) return null;
    try {
      const at = await callEngine(
        deps.engine,
        (client) => describeNextRun(client, kind, project.id),
        SCHEDULE_DEADLINE_MS,
      );
      return { ...schedule, next_at: at };
    } catch (error) {
      deps.logger.debug({ err: error, project: project.id }, 'Temporal did not describe a schedule');
      return schedule;
    }
  };
  return {
    fetch: await next('fetch', project.fetch_schedule),
    memory: await next('memory', project.memory_schedule),
    update: await next('update', project.update_schedule),
  };
}

/** Returns a project with the addresses of its histories, and when its schedules run next. */
export async function showProjectWhole(deps: Deps, project: ManagedProject): Promise<ManagedProject> {
  const { fetch, memory, update } = await showSchedules(deps, project);
  const due = { fetch_schedule: fetch, memory_schedule: memory, update_schedule: update };
  return { ...showProject(deps, project), ...due };
}
