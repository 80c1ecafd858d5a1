import type { ServerEvent } from '../../../contract/events.ts';
import type { ProjectNodeStatus, ProjectSummary } from '../../../contract/projects/projects.ts';

/** Applies events, in order, to the list of managed projects; returns the same array when no event touches it. */
export function applyToProjects(
  projects: ProjectSummary[],
  events: readonly ServerEvent[],
): ProjectSummary[] {
  const byId = new Map(projects.map((project) => [project.id, project]));
  let touched = false;
  for (const event of events) {
    if (event.type === 'project') {
      touched = true;
      byId.set(event.project.id, event.project);
    }
    if (event.type === 'project-removed') touched = byId.delete(event.id) || touched;
    if (event.type === 'project-node') {
      const project = byId.get(event.status.project_id);
      // The project was deleted, or is not known here yet: its own event will bring the counts.
      if (project === undefined) continue;
      touched = true;
      const { clone_status, clones, error_message } = event;
      byId.set(project.id, { ...project, clone_status, clones, error_message });
    }
  }
  return touched ? [...byId.values()] : projects;
}

/**
 * Applies events, in order, to the clones of one project; returns the same array when no event touches it. A removed
 * node takes its clone with it. Rows that no event names stay the same objects, so that a page of two hundred nodes
 * redraws only the changed row.
 */
export function applyToClones(
  clones: ProjectNodeStatus[],
  events: readonly ServerEvent[],
  project: string,
): ProjectNodeStatus[] {
  // Null is the clone of a removed node.
  const changed = new Map<string, ProjectNodeStatus | null>();
  const known = new Set(clones.map((clone) => clone.node_id));
  for (const event of events) {
    if (event.type === 'project-node' && event.status.project_id === project) {
      changed.set(event.status.node_id, event.status);
    }
    if (event.type === 'node-removed' && (known.has(event.id) || changed.has(event.id))) {
      changed.set(event.id, null);
    }
  }
  if (changed.size === 0) return clones;
  const after = clones.flatMap((clone) => {
    const status = changed.get(clone.node_id);
    return status === undefined ? [clone] : status === null ? [] : [status];
  });
  const added = [...changed.values()].flatMap((status) =>
    status === null || known.has(status.node_id) ? [] : [status],
  );
  return [...after, ...added];
}
