import type { InferSelectModel } from 'drizzle-orm';
import type {
  Job,
  Space,
  SpaceConfig,
  SpaceFacts,
  SpaceNode,
  SpaceNodeSettings,
} from '../contract/memory/memory.ts';
import { decideStanding, type NodeStanding } from '../contract/nodes/node-standing.ts';
import type { Node } from '../contract/nodes/nodes.ts';
import type { jobs, nodes, spaceNodes, spaceNodeSettings, spaces } from './schema.ts';

export type NodeRow = InferSelectModel<typeof nodes>;
export type SpaceRow = InferSelectModel<typeof spaces>;
export type SpaceNodeRow = InferSelectModel<typeof spaceNodes>;
export type SpaceNodeSettingsRow = InferSelectModel<typeof spaceNodeSettings>;
export type JobRow = InferSelectModel<typeof jobs>;

/**
 * Returns a node as the API shows it.
 * @param now the control plane's clock, epoch milliseconds; it alone decides whether the node is online
 */
export function toNode(row: NodeRow, now: number): Node {
  const { facts } = row;
  const standing = nodeStanding(row, now);
  return {
    id: row.id,
    node_id: row.id,
    kind: 'membridge',
    hostname: facts.hostname,
    url: facts.url,
    status: standing.presence,
    standing,
    last_heartbeat: row.last_heartbeat,
    registered_at: row.registered_at,
    capabilities: { ...facts.capabilities, labels: servedPools(row) },
    pools: { asked: facts.capabilities.labels, allowed: row.pools },
    ip_addrs: facts.ip_addrs,
    agent_version: facts.agent_version,
    os_info: facts.os_info,
    dryrun: facts.dryrun,
    memory: row.memory,
    obs_count: row.memory?.rows?.observations ?? 0,
    db_sha: '',
    active_leases: facts.tasks_running ?? 0,
    drained: row.drained_at !== null,
    task_sandbox: facts.task_sandbox ?? null,
    install_method: row.install_method,
  };
}

/** Returns the pools that a node serves besides the default one: it asks for them, and a person allowed them. */
export function servedPools({ facts, pools }: Pick<NodeRow, 'facts' | 'pools'>): string[] {
  return facts.capabilities.labels.filter((pool) => pools.includes(pool));
}

/**
 * Returns a node's standing.
 * @param now the control plane's clock, epoch milliseconds
 */
export function nodeStanding(
  row: Pick<NodeRow, 'id' | 'facts' | 'last_heartbeat' | 'drained_at' | 'pools'>,
  now: number,
): NodeStanding {
  const { facts } = row;
  return decideStanding(
    {
      id: row.id,
      lastHeartbeat: row.last_heartbeat,
      drained: row.drained_at !== null,
      dryrun: facts.dryrun,
      capabilities: { ...facts.capabilities, labels: servedPools(row) },
      sandbox: facts.task_sandbox ?? null,
      work: facts.work ?? null,
    },
    now,
  );
}

/** Returns a space without its nodes. */
export function toSpaceFacts(row: SpaceRow): SpaceFacts {
  return {
    canonical_id: row.cid,
    name: row.name,
    projects: row.projects,
    excluded: row.excluded,
    aliases: row.aliases,
    redact: row.redact,
    encrypted: row.encrypted,
    mirror: row.mirror,
    created_at: row.created_at,
  };
}

/** Returns a space, what each node last did in it, and people's settings for single nodes. */
export function toSpace(
  row: SpaceRow,
  nodeRows: readonly SpaceNodeRow[],
  settingsRows: readonly SpaceNodeSettingsRow[],
): Space {
  return {
    ...toSpaceFacts(row),
    settings: settingsRows.map(toSettings),
    nodes: nodeRows.map(toSpaceNode),
  };
}

/** Returns what a node did in a space, as the API shows it. */
export function toSpaceNode({ cid, ...rest }: SpaceNodeRow): SpaceNode {
  return { canonical_id: cid, ...rest };
}

function toSettings({ node_id, names, trust }: SpaceNodeSettingsRow): SpaceNodeSettings {
  return { node_id, names, trust };
}

/**
 * Returns a space as its workflow receives it. Leaves out defaults, so that an unchanged configuration looks
 * the same to every version.
 */
export function toSpaceConfig(
  row: Omit<SpaceRow, 'source' | 'created_at' | 'mirror' | 'encrypted_since'>,
): SpaceConfig {
  return {
    cid: row.cid,
    projectId: row.name,
    projects: row.projects,
    ...(row.aliases.length === 0 ? {} : { aliases: row.aliases }),
    ...(row.excluded.length === 0 ? {} : { excluded: row.excluded }),
    ...(row.redact ? {} : { redact: false }),
    ...(row.encrypted ? { encrypted: true } : {}),
  };
}

/**
 * Returns a space as one node receives it.
 * @param settings people's settings for this node, if any
 * @param members ids of all enrolled nodes: who may read an encrypted space
 */
export function toNodeSpaceConfig(
  row: SpaceRow,
  settings: SpaceNodeSettingsRow | undefined,
  members: readonly string[],
): SpaceConfig {
  const { names = {}, trust = {} } = settings ?? {};
  return {
    ...toSpaceConfig(row),
    ...(Object.keys(names).length === 0 ? {} : { names }),
    ...(row.encrypted ? { members: [...members] } : {}),
    ...(Object.keys(trust).length === 0 ? {} : { trust }),
  };
}

/**
 * Returns a job as the API shows it. The API fills in `history_url`, because it knows the address of the
 * Temporal UI.
 */
export function toJob(row: JobRow): Job {
  return { ...row, history_url: null };
}
