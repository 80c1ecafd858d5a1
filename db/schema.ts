import {
  bigint,
  bigserial,
  boolean,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
} from 'drizzle-orm/pg-core';
import type { ServerEvent } from '../contract/events.ts';
import type { Job, MemoryStatus, SpaceNode, SpaceNodeSettings } from '../contract/memory/memory.ts';
import type { LeadershipEvent } from '../contract/memory/leadership.ts';
import type { NodeCapabilities, NodeFacts } from '../contract/nodes/nodes.ts';
import type {
  CloneProgress,
  CloneStatus,
  CredentialInfo,
  Propagation,
} from '../contract/projects/projects.ts';

/**
 * A time in epoch milliseconds, or a duration in milliseconds; exact as a JavaScript number for 285,000
 * years.
 */
const epochMs = (name: string) => bigint(name, { mode: 'number' });
/** A count that may exceed 2^31 (bytes, rows over years). */
const count = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0);

/** The machines of the fleet. `online` is the last announced state; `last_heartbeat` decides. */
export const nodes = pgTable('nodes', {
  id: text('id').primaryKey(),
  key_hash: text('key_hash').notNull().unique(),
  public_key: text('public_key').notNull(),
  facts: jsonb('facts').$type<NodeFacts>().notNull(),
  memory: jsonb('memory').$type<MemoryStatus>(),
  online: boolean('online').notNull().default(false),
  last_heartbeat: epochMs('last_heartbeat'),
  registered_at: epochMs('registered_at').notNull(),
  install_method: text('install_method').notNull(),
  /**
   * The ids of the keys that it encrypts for, the current one first, as it reports; null until it reports
   * any.
   */
  sealing_key_ids: jsonb('sealing_key_ids').$type<string[]>(),
  /** Since when it receives no new tasks; null when it does. */
  drained_at: epochMs('drained_at'),
  /** Pools that a person allowed, besides the default one. The node serves those of them that it asks for. */
  pools: jsonb('pools').$type<string[]>().notNull().default([]),
});

/** One-time tokens for enrolling a machine; only their hashes are stored. */
export const enrolmentTokens = pgTable('enrolment_tokens', {
  token_hash: text('token_hash').primaryKey(),
  node_id: text('node_id'),
  created_at: epochMs('created_at').notNull(),
  expires_at: epochMs('expires_at').notNull(),
  used_at: epochMs('used_at'),
  used_by: text('used_by'),
  /** Pools that its node may serve. */
  pools: jsonb('pools').$type<string[]>().notNull().default([]),
});

/** The spaces: each has one canonical id and the claude-mem project names that it covers. */
export const spaces = pgTable('spaces', {
  cid: text('cid').primaryKey(),
  name: text('name').notNull().unique(),
  projects: jsonb('projects').$type<string[]>().notNull(),
  excluded: jsonb('excluded').$type<string[]>().notNull().default([]),
  aliases: jsonb('aliases').$type<string[]>().notNull().default([]),
  redact: boolean('redact').notNull().default(true),
  encrypted: boolean('encrypted').notNull().default(false),
  /** Since when; null when it is not encrypted, or was before version 0.5. */
  encrypted_since: epochMs('encrypted_since'),
  /**
   * Whether the primary publishes the original's whole-file snapshot, for machines that still run its
   * scripts.
   */
  mirror: boolean('mirror').notNull().default(false),
  created_at: epochMs('created_at').notNull(),
  source: text('source').$type<'manual' | 'heartbeat'>().notNull(),
});

/** The last activity of each node in each space. */
export const spaceNodes = pgTable(
  'space_nodes',
  {
    cid: text('cid').notNull(),
    node_id: text('node_id').notNull(),
    last_push_at: epochMs('last_push_at'),
    last_pull_at: epochMs('last_pull_at'),
    head_epoch: text('head_epoch'),
    head_seq: bigint('head_seq', { mode: 'number' }).notNull().default(0),
    rows_sent: count('rows_sent'),
    rows_received: count('rows_received'),
    bytes_up: count('bytes_up'),
    bytes_down: count('bytes_down'),
    status: text('status').$type<SpaceNode['status']>().notNull(),
    detail: text('detail').notNull().default(''),
  },
  (table) => [
    primaryKey({ columns: [table.cid, table.node_id] }),
    index('space_nodes_node').on(table.node_id),
  ],
);

/** Settings that people made for one node in one space; a node without a row has the defaults. */
export const spaceNodeSettings = pgTable(
  'space_node_settings',
  {
    cid: text('cid').notNull(),
    node_id: text('node_id').notNull(),
    names: jsonb('names').$type<SpaceNodeSettings['names']>().notNull(),
    trust: jsonb('trust').$type<SpaceNodeSettings['trust']>().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.cid, table.node_id] }),
    index('space_node_settings_node').on(table.node_id),
  ],
);

/** The history of syncs, one row per request. */
export const jobs = pgTable(
  'jobs',
  {
    id: text('id').primaryKey(),
    action: text('action').$type<Job['action']>().notNull(),
    trigger: text('trigger').$type<Job['trigger']>().notNull(),
    project: text('project').notNull(),
    canonical_id: text('canonical_id').notNull(),
    agent: text('agent').notNull(),
    status: text('status').$type<Job['status']>().notNull(),
    detail: text('detail').notNull(),
    error_code: text('error_code'),
    workflow_id: text('workflow_id').notNull(),
    run_id: text('run_id').notNull(),
    rows_sent: count('rows_sent'),
    rows_inserted: count('rows_inserted'),
    rows_updated: count('rows_updated'),
    rows_deleted: count('rows_deleted'),
    bytes_up: count('bytes_up'),
    bytes_down: count('bytes_down'),
    requests: count('requests'),
    created_at: epochMs('created_at').notNull(),
    finished_at: epochMs('finished_at'),
    ms: epochMs('ms'),
  },
  (table) => [
    // Lists are sorted by time and id: without the id in the index, rows of equal time would need a sort.
    index('jobs_newest').on(table.created_at.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('jobs_of_project').on(
      table.project,
      table.created_at.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    index('jobs_of_agent').on(
      table.agent,
      table.created_at.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    index('jobs_of_both').on(
      table.project,
      table.agent,
      table.created_at.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    index('jobs_finished_at').on(table.finished_at),
    index('jobs_status').on(table.status),
  ],
);

/** Keys that no longer sign for their node, because it was deleted or enrolled again. */
export const retiredKeys = pgTable('retired_keys', {
  key_id: text('key_id').primaryKey(),
  node_id: text('node_id').notNull(),
  /** Its signatures are valid on objects that the store received by then. */
  until: epochMs('until').notNull(),
});

/** Deletions that a person lets through: those that a node sent to a space until then. */
export const allowedDeletions = pgTable(
  'allowed_deletions',
  {
    cid: text('cid').notNull(),
    node_id: text('node_id').notNull(),
    until: epochMs('until').notNull(),
  },
  (table) => [primaryKey({ columns: [table.cid, table.node_id] })],
);

/** Changes in commit order, for replay to browsers. See queries/emit-events.ts. */
export const events = pgTable('events', {
  seq: bigserial('seq', { mode: 'number' }).primaryKey(),
  payload: jsonb('payload').$type<ServerEvent>().notNull(),
  at: epochMs('at').notNull(),
});

/** Signed-in browsers; only the hash of the cookie is stored. */
export const browserSessions = pgTable('browser_sessions', {
  id_hash: text('id_hash').primaryKey(),
  /** A hash of the keys under which it was created; a session ends when the keys change. */
  keys_hash: text('keys_hash').notNull().default(''),
  /** The browser's address and name, so that people can distinguish sessions. */
  address: text('address').notNull().default(''),
  user_agent: text('user_agent').notNull().default(''),
  created_at: epochMs('created_at').notNull(),
  expires_at: epochMs('expires_at').notNull(),
});

/** Settings that people change while the control plane runs. */
export const settings = pgTable('settings', {
  key: text('key').primaryKey(),
  value: text('value').notNull(),
});

/** Reports of original agents by `POST /agent/heartbeat`, one row per project and node. */
export const originalNodes = pgTable(
  'original_nodes',
  {
    cid: text('cid').notNull(),
    node_id: text('node_id').notNull(),
    project_id: text('project_id').notNull(),
    obs_count: integer('obs_count').notNull(),
    db_sha: text('db_sha').notNull(),
    ip_addrs: jsonb('ip_addrs').$type<string[]>().notNull(),
    last_seen: epochMs('last_seen').notNull(),
    registered_at: epochMs('registered_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.cid, table.node_id] })],
);

/**
 * Machines on the original's agent, as they registered themselves. These rows are for display only; nothing
 * calls `url`.
 */
export const originalAgents = pgTable('original_agents', {
  name: text('name').primaryKey(),
  url: text('url').notNull(),
  /** Its own status from the registration: the original's `status`. */
  status: text('status').notNull(),
  capabilities: jsonb('capabilities').$type<NodeCapabilities>().notNull(),
  ip_addrs: jsonb('ip_addrs').$type<string[]>().notNull(),
  agent_version: text('agent_version').notNull(),
  os_info: text('os_info').notNull(),
  install_method: text('install_method').notNull(),
  /** Null for a machine that a person named and that has sent no heartbeat. */
  last_seen: epochMs('last_seen'),
  registered_at: epochMs('registered_at').notNull(),
});

/** Git repositories that are kept on nodes. project_node_status holds the state of each clone. */
export const managedProjects = pgTable('managed_projects', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  repo_url: text('repo_url').notNull(),
  canonical_id: text('canonical_id').notNull().unique(),
  aliases: jsonb('aliases').$type<string[]>().notNull().default([]),
  target_path: text('target_path'),
  branch: text('branch'),
  depth: integer('depth'),
  submodules: boolean('submodules').notNull().default(false),
  primary_node_id: text('primary_node_id'),
  /** Canonical id of the memory space that belongs to it. */
  space: text('space'),
  tags: jsonb('tags').$type<string[]>().notNull().default([]),
  /** Nodes that enrolled after this time get a clone; null for requested clones only. */
  new_nodes_since: epochMs('new_nodes_since'),
  known_hosts: text('known_hosts'),
  /** Sealed by api/auth/sealed.ts; credential_info holds what may be shown of it. */
  credential: text('credential'),
  credential_info: jsonb('credential_info').$type<CredentialInfo>(),
  memory_cron: text('memory_cron'),
  fetch_cron: text('fetch_cron'),
  update_cron: text('update_cron'),
  /** Sealed by api/auth/sealed.ts: the key that forges sign their calls with. */
  push_secret: text('push_secret'),
  push_secret_at: epochMs('push_secret_at'),
  propagation: jsonb('propagation').$type<Omit<Propagation, 'history_url'>>(),
  created_at: epochMs('created_at').notNull(),
  updated_at: epochMs('updated_at').notNull(),
});

/** One node's clone of a project. */
export const projectNodeStatus = pgTable(
  'project_node_status',
  {
    id: text('id').primaryKey(),
    project_id: text('project_id')
      .notNull()
      .references(() => managedProjects.id, { onDelete: 'cascade' }),
    node_id: text('node_id').notNull(),
    clone_status: text('clone_status').$type<CloneStatus>().notNull(),
    detail: text('detail').notNull().default(''),
    progress: jsonb('progress').$type<CloneProgress>(),
    error_code: text('error_code'),
    error_message: text('error_message'),
    repo_path: text('repo_path'),
    commit: text('commit'),
    branch: text('branch'),
    size_bytes: bigint('size_bytes', { mode: 'number' }),
    behind: integer('behind'),
    ahead: integer('ahead'),
    dirty: integer('dirty'),
    checked_at: epochMs('checked_at'),
    last_sync_at: epochMs('last_sync_at'),
    updated_at: epochMs('updated_at').notNull(),
    workflow_id: text('workflow_id').notNull(),
    run_id: text('run_id').notNull(),
  },
  (table) => [
    unique('project_node_status_project_node').on(table.project_id, table.node_id),
    index('project_node_status_open').on(table.clone_status),
    index('project_node_status_node').on(table.node_id),
  ],
);

/**
 * The primary of each space or project. A row's leadership epoch never goes back; see
 * queries/record-leadership.ts.
 */
export const leaderships = pgTable('leaderships', {
  cid: text('cid').primaryKey(),
  primary_node_id: text('primary_node_id'),
  epoch: bigint('epoch', { mode: 'number' }).notNull(),
  issued_at: epochMs('issued_at'),
  expires_at: epochMs('expires_at'),
  lease_seconds: integer('lease_seconds').notNull(),
  issued_by: text('issued_by'),
  last_snapshot_at: epochMs('last_snapshot_at'),
  last_mirror_at: epochMs('last_mirror_at'),
  last_error: text('last_error'),
});

/** Events of leaderships, for people. */
export const leadershipEvents = pgTable(
  'leadership_events',
  {
    cid: text('cid').notNull(),
    epoch: bigint('epoch', { mode: 'number' }).notNull(),
    event: text('event').$type<LeadershipEvent['event']>().notNull(),
    at: epochMs('at').notNull(),
    primary_node_id: text('primary_node_id'),
    by: text('by').notNull(),
  },
  (table) => [primaryKey({ columns: [table.cid, table.epoch, table.event] })],
);
export * from './task-schema.ts';
