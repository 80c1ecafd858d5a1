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
 * A node as the API shows it.
 * @param now the control plane's clock, epoch ms: whether the node is online is told from it alone
 */
export function toNode(row: NodeRow, now: number): Node {
  const { facts } = row;
  const standing = standingOf(row, now);
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
    capabilities: facts.capabilities,
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

/** How a node stands. @param now the control plane's clock, epoch ms */
export function standingOf(
  row: Pick<NodeRow, 'id' | 'facts' | 'last_heartbeat' | 'drained_at'>,
  now: number,
): NodeStanding {
  const { facts } = row;
  return decideStanding(
    {
      id: row.id,
      lastHeartbeat: row.last_heartbeat,
      drained: row.drained_at !== null,
      dryrun: facts.dryrun,
      capabilities: facts.capabilities,
      sandbox: facts.task_sandbox ?? null,
      work: facts.work ?? null,
    },
    now,
  );
}

/** What a space is, without its nodes. */
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

/** A space, what each node last did in it, and what people set for single nodes. */
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

/** What a node did in a space, as the API shows it. */
export function toSpaceNode({ cid, ...rest }: SpaceNodeRow): SpaceNode {
  return { canonical_id: cid, ...rest };
}

function toSettings({ node_id, names, trust }: SpaceNodeSettingsRow): SpaceNodeSettings {
  return { node_id, names, trust };
}

/**
 * A space as its workflow takes it. What has its default is left out, so that a configuration that nobody changed looks
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
 * A space as one node takes part in it.
 * @param settings what people set for this node, if anything
 * @param members ids of all enrolled nodes: who may read the space where it is encrypted
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

/** A job as the API shows it; `history_url` is filled in by the API, which knows where the Temporal UI is. */
export function toJob(row: JobRow): Job {
  return { ...row, history_url: null };
}
