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

/** How long Temporal may take to say when a schedule is due, in milliseconds: the project is shown without it then. */
const SCHEDULE_DEADLINE_MS = 2_000;

const urlOf = ({ config }: Deps, ref: { workflow_id: string; run_id: string }): string | null =>
  ref.run_id === ''
    ? null
    : historyUrl(config.temporalUi, config.engine.namespace, {
        workflowId: ref.workflow_id,
        runId: ref.run_id,
      });

/** A clone with the address of its history in the Temporal UI. */
export function showClone(deps: Deps, status: ProjectNodeStatus): ProjectNodeStatus {
  return { ...status, history_url: urlOf(deps, status) };
}

/** A project's summary with the address of its propagation's history. */
export function showSummary(deps: Deps, project: ProjectSummary): ProjectSummary {
  const { propagation } = project;
  if (propagation === null) return project;
  return { ...project, propagation: { ...propagation, history_url: urlOf(deps, propagation) } };
}

/** A project with the addresses of its histories. */
export function showProject(deps: Deps, project: ManagedProject): ManagedProject {
  const { propagation } = project;
  return {
    ...project,
    propagation: propagation === null ? null : { ...propagation, history_url: urlOf(deps, propagation) },
    nodes: project.nodes.map((status) => showClone(deps, status)),
  };
}

/** When the schedules of a project are due next, as the engine says; without the times where it does not answer. */
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
      deps.logger.debug({ err: error, project: project.id }, 'a schedule could not be asked for');
      return schedule;
    }
  };
  return {
    fetch: await next('fetch', project.fetch_schedule),
    memory: await next('memory', project.memory_schedule),
    update: await next('update', project.update_schedule),
  };
}

/** A project with the addresses of its histories, and when its schedules are due. */
export async function showProjectWhole(deps: Deps, project: ManagedProject): Promise<ManagedProject> {
  const { fetch, memory, update } = await showSchedules(deps, project);
  const due = { fetch_schedule: fetch, memory_schedule: memory, update_schedule: update };
  return { ...showProject(deps, project), ...due };
}
