import { and, asc, eq, notExists, sql } from 'drizzle-orm';
import { standingOfOriginal } from '../../contract/nodes/node-standing.ts';
import type { Node, NodeCapabilities } from '../../contract/nodes/nodes.ts';
import type { Database, Executor } from '../connect.ts';
import { nodes, originalAgents, originalNodes } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/** Maximum number of machines on the original's agent; those silent the longest are removed first. */
const MAX_AGENTS = 1_000;

/**
 * Minimum time between two announcements about one machine to browsers, in milliseconds: it sends a heartbeat
 * for each of its projects.
 */
const TELL_EVERY_MS = 5_000;

/** The registration data of a machine on the original's agent. */
export interface OriginalRegistration {
  readonly name: string;
  readonly url: string;
  /** Its own status text; `unknown` for a machine that a person named. */
  readonly status: string;
  readonly capabilities: NodeCapabilities;
  readonly ip_addrs: string[];
  readonly agent_version: string;
  readonly os_info: string;
  readonly install_method: string;
}

type Row = typeof originalAgents.$inferSelect;

/** Leaves out a machine that enrolled since, because it is shown as a node. */
const isNotEnrolled = (sqlOf: Executor) =>
  notExists(sqlOf.select({ id: nodes.id }).from(nodes).where(eq(nodes.id, originalAgents.name)));

function toOriginalNode(row: Row, now: number): Node {
  const standing = standingOfOriginal(row.last_seen, now);
  return {
    id: row.name,
    node_id: row.name,
    kind: 'original',
    hostname: row.name,
    url: row.url,
    status: standing.presence,
    standing,
    last_heartbeat: row.last_seen,
    registered_at: row.registered_at,
    capabilities: row.capabilities,
    pools: { asked: row.capabilities.labels, allowed: [] },
    ip_addrs: row.ip_addrs,
    agent_version: row.agent_version,
    os_info: row.os_info,
    dryrun: false,
    memory: null,
    obs_count: 0,
    db_sha: '',
    active_leases: 0,
    drained: false,
    task_sandbox: null,
    install_method: row.install_method,
  };
}

/**
 * Returns every machine on the original's agent that is not enrolled, by name.
 * @param input.now epoch milliseconds
 */
export async function listOriginalAgents(db: Database, input: { now: number }): Promise<Node[]> {
  const rows = await db.run((executor) =>
    executor.select().from(originalAgents).where(isNotEnrolled(executor)).orderBy(asc(originalAgents.name)),
  );
  return rows.map((row) => toOriginalNode(row, input.now));
}

/** Returns a machine on the original's agent; null when the name is unknown or has enrolled. */
export async function getOriginalAgent(
  db: Database,
  input: { name: string; now: number },
): Promise<Node | null> {
  const [row] = await db.run((executor) =>
    executor
      .select()
      .from(originalAgents)
      .where(and(eq(originalAgents.name, input.name), isNotEnrolled(executor))),
  );
  return row === undefined ? null : toOriginalNode(row, input.now);
}

/** The install method of a machine that sent heartbeats but never registered. */
export const NEVER_REGISTERED = 'unknown';

/**
 * Records a registration.
 * @returns the machine as it is shown, and whether it had not registered before
 */
export async function registerOriginalAgent(
  db: Database,
  input: OriginalRegistration & { now: number; by: AuditBy },
): Promise<{ node: Node; isNew: boolean }> {
  const { now, by, ...given } = input;
  const isHeard = given.status !== 'unknown';
  return await db.transaction(async (tx) => {
    const [before] = await tx
      .select({ method: originalAgents.install_method })
      .from(originalAgents)
      .where(eq(originalAgents.name, given.name))
      .for('update');
    const isNew = before === undefined || before.method === NEVER_REGISTERED;
    const [row] = await tx
      .insert(originalAgents)
      .values({ ...given, last_seen: isHeard ? now : null, registered_at: now })
      .onConflictDoUpdate({
        target: originalAgents.name,
        set: { ...given, ...(isHeard ? { last_seen: now } : {}) },
      })
      .returning({ row: sql<Row>`to_jsonb(original_agents)` });
    if (row === undefined) throw new Error(`${given.name} was not recorded`);
    const node = toOriginalNode(row.row, now);
    await emitEvents(tx, [{ type: 'node', node }], now);
    if (isNew) {
      await prune(tx);
      await recordAudit(tx, [
        {
          eventKey: newEventKey('worker_registered'),
          action: 'worker_registered',
          entity_type: 'worker',
          entity_id: given.name,
          ...by,
          detail: `${given.name}, with the original's agent: it is listed, and gets no work`,
          correlation_id: given.name,
          timestamp: now,
        },
      ]);
    }
    return { node, isNew };
  });
}

/**
 * Records a heartbeat of a machine on the original's agent; one that never registered is shown with its
 * heartbeat's data.
 */
export async function touchOriginalAgent(
  db: Database,
  input: { name: string; ipAddresses: string[]; version: string | null; now: number },
): Promise<void> {
  const { name, ipAddresses, version, now } = input;
  await db.transaction(async (tx) => {
    const said = { ip_addrs: ipAddresses, ...(version === null ? {} : { agent_version: version }) };
    const [row] = await tx
      .insert(originalAgents)
      .values({
        name,
        url: '',
        status: 'online',
        capabilities: { claude_cli: false, max_concurrency: 1, labels: [] },
        os_info: '',
        agent_version: 'unknown',
        install_method: NEVER_REGISTERED,
        last_seen: now,
        registered_at: now,
        ...said,
      })
      .onConflictDoUpdate({
        target: originalAgents.name,
        set: { ...said, last_seen: now },
        setWhere: sql`${originalAgents.last_seen} is null or ${originalAgents.last_seen} < ${now - TELL_EVERY_MS}`,
      })
      .returning({ row: sql<Row>`to_jsonb(original_agents)`, isNew: sql<boolean>`xmax = 0` });
    if (row === undefined) return;
    if (row.isNew) await prune(tx);
    const [enrolled] = await tx.select({ id: nodes.id }).from(nodes).where(eq(nodes.id, name));
    if (enrolled !== undefined) return;
    await emitEvents(tx, [{ type: 'node', node: toOriginalNode(row.row, now) }], now);
  });
}

/**
 * Deletes a machine on the original's agent and its reports, until its next heartbeat.
 * @returns whether it was known
 */
export async function deleteOriginalAgent(
  db: Database,
  input: { name: string; now: number; by: AuditBy },
): Promise<boolean> {
  const { name, now, by } = input;
  return await db.transaction(async (tx) => {
    const gone = await tx
      .delete(originalAgents)
      .where(eq(originalAgents.name, name))
      .returning({ name: originalAgents.name });
    if (gone.length === 0) return false;
    await tx.delete(originalNodes).where(eq(originalNodes.node_id, name));
    await recordAudit(tx, [
      {
        eventKey: newEventKey('worker_removed'),
        action: 'worker_removed',
        entity_type: 'worker',
        entity_id: name,
        ...by,
        detail: `${name}, on the original's agent`,
        correlation_id: name,
        timestamp: now,
      },
    ]);
    await emitEvents(tx, [{ type: 'node-removed', id: name }], now);
    return true;
  });
}

/** Limits the table, because anybody with the original's shared key can invent machines. */
async function prune(tx: Executor): Promise<void> {
  await tx.execute(sql`
    delete from original_agents where name in (
      select name from original_agents order by coalesce(last_seen, registered_at) desc, name offset ${MAX_AGENTS})`);
}
