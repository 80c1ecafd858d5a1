import type { InferSelectModel } from 'drizzle-orm';
import {
  CloneStatus,
  projectStatus,
  type CloneCounts,
  type CloneSpec,
  type ManagedProject,
  type ProjectCloneStatus,
  type ProjectNodeStatus,
  type ProjectSummary,
} from '../contract/projects/projects.ts';
import type { managedProjects, projectNodeStatus } from './schema.ts';

export type ManagedProjectRow = InferSelectModel<typeof managedProjects>;
export type ProjectNodeRow = InferSelectModel<typeof projectNodeStatus>;

/** The fields shown of a failed clone. */
export type FailedClone = Pick<ProjectNodeRow, 'node_id' | 'error_message' | 'detail'>;

/**
 * Returns a node's clone as the API shows it. The API fills in `history_url`, because it knows the address of
 * the Temporal UI.
 */
export function toProjectNode(row: ProjectNodeRow): ProjectNodeStatus {
  return { ...row, history_url: null };
}

/** Returns a project with its clones as the API shows it. */
export function toManagedProject(
  row: ManagedProjectRow,
  nodeRows: readonly ProjectNodeRow[],
): ManagedProject {
  const nodes = nodeRows.map(toProjectNode);
  const failed = nodes.find((node) => node.clone_status === 'failed');
  return {
    ...toFacts(row),
    clone_status: projectStatus(nodes, row.propagation),
    propagation: row.propagation === null ? null : { ...row.propagation, history_url: null },
    error_message: shownError(failed),
    nodes,
  };
}

/**
 * Returns a project with counts instead of its clones.
 * @param failed its first failed clone, by the node's name
 */
export function toProjectSummary(
  row: ManagedProjectRow,
  clones: CloneCounts,
  failed: FailedClone | undefined,
): ProjectSummary {
  return {
    ...toFacts(row),
    clone_status: statusFromCounts(clones, row.propagation),
    propagation: withoutNodes(row.propagation),
    error_message: shownError(failed),
    clones,
  };
}

/** Returns a project's status from the counts of its clones. */
export function statusFromCounts(
  clones: CloneCounts,
  propagation: ManagedProjectRow['propagation'],
): ProjectCloneStatus {
  const present = CloneStatus.options.filter((status) => clones[status] > 0);
  return projectStatus(
    present.map((clone_status) => ({ clone_status })),
    propagation,
  );
}

function withoutNodes(propagation: ManagedProjectRow['propagation']): ProjectSummary['propagation'] {
  if (propagation === null) return null;
  const { nodes: _nodes, ...rest } = propagation;
  return { ...rest, history_url: null };
}

function toFacts(row: ManagedProjectRow) {
  const schedule = (cron: string | null) => (cron === null ? null : { cron, next_at: null });
  return {
    id: row.id,
    name: row.name,
    repo_url: row.repo_url,
    canonical_id: row.canonical_id,
    aliases: row.aliases,
    target_path: row.target_path,
    branch: row.branch,
    depth: row.depth,
    submodules: row.submodules,
    primary_node_id: row.primary_node_id,
    space: row.space,
    tags: row.tags,
    new_nodes: row.new_nodes_since !== null,
    credential: row.credential_info,
    known_hosts: row.known_hosts,
    memory_schedule: schedule(row.memory_cron),
    fetch_schedule: schedule(row.fetch_cron),
    update_schedule: schedule(row.update_cron),
    push_webhook: row.push_secret_at === null ? null : { made_at: row.push_secret_at },
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

/**
 * Returns what a node receives of a project: everything except its secret.
 * @param hosts that git may contact (MEMBRIDGE_GIT_HOSTS); empty for all
 */
export function toCloneSpec(
  project: Pick<
    ManagedProject,
    'id' | 'name' | 'repo_url' | 'target_path' | 'branch' | 'depth' | 'submodules'
  > & {
    readonly credential: unknown;
    readonly known_hosts: string | null;
  },
  hosts: readonly string[],
): CloneSpec {
  return {
    projectId: project.id,
    name: project.name,
    repoUrl: project.repo_url,
    targetPath: project.target_path,
    options: { branch: project.branch, depth: project.depth, submodules: project.submodules },
    hasCredential: project.credential !== null || project.known_hosts !== null,
    // Left out when there is no limit: an agent of an earlier version does not know the field.
    ...(hosts.length === 0 ? {} : { hosts: [...hosts] }),
  };
}

/** Returns the error that a project shows for a failed clone. */
export function shownError(failed: FailedClone | undefined): string | null {
  return failed === undefined ? null : `${failed.node_id}: ${failed.error_message ?? failed.detail}`;
}
