import type { InferSelectModel } from 'drizzle-orm';
import type { Job, Space, SpaceConfig, SpaceNode } from '../contract/memory.ts';
import { ONLINE_WITHIN_MS, type Node } from '../contract/nodes.ts';
import type { jobs, nodes, spaceNodes, spaces } from './schema.ts';

export type NodeRow = InferSelectModel<typeof nodes>;
export type SpaceRow = InferSelectModel<typeof spaces>;
export type SpaceNodeRow = InferSelectModel<typeof spaceNodes>;
export type JobRow = InferSelectModel<typeof jobs>;

/**
 * A node as the API shows it.
 * @param now the control plane's clock, epoch ms: whether the node is online is told from it alone
 */
export function toNode(row: NodeRow, now: number): Node {
  const { facts } = row;
  return {
    id: row.id,
    node_id: row.id,
    hostname: facts.hostname,
    url: facts.url,
    status: nodeStatus(row.last_heartbeat, now),
    last_heartbeat: row.last_heartbeat,
    registered_at: row.registered_at,
    capabilities: facts.capabilities,
    ip_addrs: facts.ip_addrs,
    agent_version: facts.agent_version,
    os_info: facts.os_info,
    dryrun: facts.dryrun,
    memory: row.memory,
    obs_count: row.memory?.rows?.observations ?? 0,
    db_sha: '',
    active_leases: 0,
    install_method: row.install_method,
  };
}

function nodeStatus(lastHeartbeat: number | null, now: number): Node['status'] {
  if (lastHeartbeat === null) return 'unknown';
  return now - lastHeartbeat <= ONLINE_WITHIN_MS ? 'online' : 'offline';
}

/** A space and what each node last did in it. */
export function toSpace(row: SpaceRow, nodeRows: readonly SpaceNodeRow[]): Space {
  return {
    canonical_id: row.cid,
    name: row.name,
    projects: row.projects,
    created_at: row.created_at,
    nodes: nodeRows.map(toSpaceNode),
  };
}

function toSpaceNode({ cid, ...rest }: SpaceNodeRow): SpaceNode {
  return { canonical_id: cid, ...rest };
}

/** A space as workflows and agents take it. */
export function toSpaceConfig(row: SpaceRow): SpaceConfig {
  return { cid: row.cid, projectId: row.name, projects: row.projects };
}

/** A job as the API shows it; `history_url` is filled in by the API, which knows where the Temporal UI is. */
export function toJob(row: JobRow): Job {
  return { ...row, history_url: null };
}
