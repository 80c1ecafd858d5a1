import type { ServerEvent } from '../../../contract/events.ts';
import type { ManagedProject, ProjectNodeStatus } from '../../../contract/projects.ts';

/**
 * The list of managed projects after some events, in order; the same array when no event touches it. What an event does not
 * tell of stays the same object, so that a page of two hundred nodes draws the one row that changed.
 */
export function applyToProjects(
  projects: ManagedProject[],
  events: readonly ServerEvent[],
): ManagedProject[] {
  const byId = new Map(projects.map((project) => [project.id, project]));
  const rows = new Map<string, ProjectNodeStatus[]>();
  let touched = false;
  for (const event of events) {
    if (event.type === 'project') {
      touched = true;
      rows.delete(event.project.id);
      byId.set(event.project.id, withSameRows(byId.get(event.project.id), event.project));
    }
    if (event.type === 'project-removed') touched = byId.delete(event.id) || touched;
    if (event.type === 'project-node') {
      const { status } = event;
      const project = byId.get(status.project_id);
      // A row of a project that is gone, or that this page has not heard of yet: its own event brings all of its rows.
      if (project === undefined) continue;
      touched = true;
      // One copy of the rows a batch, however many of them changed.
      const nodes = rows.get(project.id) ?? [...project.nodes];
      const at = nodes.findIndex(({ node_id }) => node_id === status.node_id);
      if (at === -1) nodes.push(status);
      else nodes[at] = status;
      rows.set(project.id, nodes);
      const { clone_status, error_message } = event;
      byId.set(project.id, { ...project, nodes, clone_status, error_message });
    }
  }
  return touched ? [...byId.values()] : projects;
}

/** A project as an event tells it, with the row objects of before wherever they say the same. */
function withSameRows(before: ManagedProject | undefined, after: ManagedProject): ManagedProject {
  if (before === undefined) return after;
  const known = new Map(before.nodes.map((row) => [row.node_id, row]));
  const nodes = after.nodes.map((row) => {
    const old = known.get(row.node_id);
    return old !== undefined && JSON.stringify(old) === JSON.stringify(row) ? old : row;
  });
  return { ...after, nodes };
}
