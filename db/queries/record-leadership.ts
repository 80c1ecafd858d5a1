import { and, desc, eq, lt, sql, type SQL } from 'drizzle-orm';
import type { Leadership, LeadershipEvent } from '../../contract/memory/leadership.ts';
import type { LeadershipState } from '../../contract/workflows.ts';
import type { Database, Executor } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { leadershipEvents, leaderships, managedProjects } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { emitProjects } from './emit-project.ts';
import { recordAudit } from './record-audit.ts';

/** Maximum number of characters stored of an error. */
const MAX_ERROR_CHARS = 1_000;

/** Number of events shown per leadership. */
const SHOWN_EVENTS = 50;

/**
 * Records who is primary. A leadership epoch never goes back and has one primary. For the current epoch, this
 * records the end of the lease but no other primary. A renewal creates no row, because its space may have
 * been renamed.
 * @param input.event what happened, null for a renewal
 * @returns whether it was recorded
 */
export async function recordLeadership(
  db: Database,
  input: { state: LeadershipState; event: LeadershipEvent['event'] | null; by: string; now: number },
): Promise<boolean> {
  const { state, event, by, now } = input;
  const { cid, epoch, primary } = state;
  return await db.transaction(async (tx) => {
    const columns = {
      primary_node_id: primary,
      epoch,
      issued_at: state.issuedAt,
      expires_at: state.expiresAt,
      lease_seconds: state.leaseSeconds,
      issued_by: state.issuedBy,
    };
    const isSame = sql`${leaderships.epoch} = ${epoch} and ${leaderships.primary_node_id} is not distinct from ${primary}`;
    const isNew = event === 'selected' || event === 'released';
    const known = eq(leaderships.cid, cid);
    const recorded = isNew
      ? await tx
          .insert(leaderships)
          .values({ cid, ...columns })
          .onConflictDoUpdate({
            target: leaderships.cid,
            set: columns,
            setWhere: sql`${leaderships.epoch} < ${epoch} or ${isSame}`,
          })
          .returning({ cid: leaderships.cid })
      : await tx
          .update(leaderships)
          .set(columns)
          .where(and(known, event === 'expired' ? eq(leaderships.epoch, epoch) : isSame))
          .returning({ cid: leaderships.cid });
    if (recorded.length === 0) return false;
    if (event !== null) {
      const told = { cid, epoch, event, at: now, primary_node_id: primary, by };
      await tx.insert(leadershipEvents).values(told).onConflictDoNothing();
    }
    await auditLeadership(tx, input);
    // The clones of the project with this id start on its primary.
    const projects = isNew
      ? await tx
          .update(managedProjects)
          .set({ primary_node_id: primary, updated_at: now })
          .where(eq(managedProjects.canonical_id, cid))
          .returning({ id: managedProjects.id })
      : [];
    await emitLeadership(tx, cid, now);
    await emitProjects(
      tx,
      projects.map(({ id }) => id),
      now,
    );
    return true;
  });
}

/**
 * Writes audit entries about a leadership. Their keys follow from the state, so that repeated records write
 * them once. Automatic renewals are not recorded.
 */
async function auditLeadership(
  tx: Executor,
  input: { state: LeadershipState; event: LeadershipEvent['event'] | null; by: string; now: number },
): Promise<void> {
  const { state, event, by, now } = input;
  if (event === null && by === 'engine') return;
  const { cid, epoch, primary } = state;
  const [action, detail, cause] = ((): [string, string, string] => {
    switch (event) {
      case 'selected':
        return [
          'leadership_promote',
          `${primary ?? ''} is primary in leadership epoch ${epoch}`,
          `${by} selected it`,
        ];
      case 'released':
        return [
          'leadership_released',
          `no node is primary in leadership epoch ${epoch}`,
          `${by} released it`,
        ];
      case 'expired':
        return [
          'leadership_expired',
          `no node is primary after leadership epoch ${epoch}`,
          'the lease expired, and its node sent no heartbeat',
        ];
      case null:
        return [
          'leadership_promote',
          `${primary ?? ''} stays primary in leadership epoch ${epoch}; its lease was renewed`,
          `${by} selected it`,
        ];
    }
  })();
  await recordAudit(tx, [
    {
      eventKey: `leadership:${cid}:${epoch}:${event ?? `renewed:${state.expiresAt}`}`,
      action,
      entity_type: 'leadership',
      entity_id: cid,
      actor: by,
      detail,
      cause,
      correlation_id: cid,
      timestamp: now,
    },
  ]);
}

/**
 * Records what a primary did. Refuses a node that is no longer primary in this leadership epoch.
 * @param input.error why it failed, null when it did not
 * @returns whether it was recorded
 */
export async function recordPrimaryAction(
  db: Database,
  input: {
    cid: string;
    node: string;
    epoch: number;
    what: 'snapshot' | 'mirror';
    error: string | null;
    now: number;
  },
): Promise<boolean> {
  const { cid, node, epoch, what, error, now } = input;
  return await db.transaction(async (tx) => {
    const done = what === 'snapshot' ? { last_snapshot_at: now } : { last_mirror_at: now };
    const recorded = await tx
      .update(leaderships)
      .set(
        error === null ? { ...done, last_error: null } : { last_error: singleLine(error, MAX_ERROR_CHARS) },
      )
      .where(
        and(eq(leaderships.cid, cid), eq(leaderships.epoch, epoch), eq(leaderships.primary_node_id, node)),
      )
      .returning({ cid: leaderships.cid });
    if (recorded.length === 0) return false;
    await emitLeadership(tx, cid, now);
    return true;
  });
}

/** Moves a leadership to the new canonical id of a renamed space; its leadership epochs continue. */
export async function moveLeadership(tx: Executor, from: string, to: string): Promise<void> {
  const [old] = await tx.select().from(leaderships).where(eq(leaderships.cid, from));
  if (old === undefined) return;
  await tx.delete(leaderships).where(and(eq(leaderships.cid, to), lt(leaderships.epoch, old.epoch)));
  await tx
    .insert(leaderships)
    .values({ ...old, cid: to })
    .onConflictDoNothing();
  await tx.delete(leaderships).where(eq(leaderships.cid, from));
  await tx.update(leadershipEvents).set({ cid: to }).where(eq(leadershipEvents.cid, from));
}

/** The same for a renamed project. */
export async function renameLeadership(db: Database, input: { from: string; to: string }): Promise<void> {
  await db.transaction((tx) => moveLeadership(tx, input.from, input.to));
}

/** Returns the leadership of a canonical id; null when no primary was ever selected. */
export async function getLeadership(
  db: Database,
  input: { cid: string; now: number },
): Promise<Leadership | null> {
  const [found] = await db.run((executor) =>
    findLeadership(executor, input.now, eq(leaderships.cid, input.cid)),
  );
  return found ?? null;
}

/** Returns every leadership. */
export async function listLeaderships(db: Database, input: { now: number }): Promise<Leadership[]> {
  return await db.run((executor) => findLeadership(executor, input.now));
}

async function emitLeadership(tx: Executor, cid: string, now: number): Promise<void> {
  const [leadership] = await findLeadership(tx, now, eq(leaderships.cid, cid));
  if (leadership !== undefined) await emitEvents(tx, [{ type: 'leadership', leadership }], now);
}

async function findLeadership(executor: Executor, now: number, where?: SQL): Promise<Leadership[]> {
  const rows = await executor.select().from(leaderships).where(where);
  return await Promise.all(
    rows.map(async ({ cid, ...row }) => {
      const events = await executor
        .select()
        .from(leadershipEvents)
        .where(eq(leadershipEvents.cid, cid))
        .orderBy(desc(leadershipEvents.at))
        .limit(SHOWN_EVENTS);
      return {
        canonical_id: cid,
        ...row,
        policy: 'primary_authoritative' as const,
        // An expired lease no longer counts, even if no workflow has recorded that yet.
        status:
          row.primary_node_id === null || (row.expires_at ?? 0) <= now
            ? ('needs_selection' as const)
            : ('active' as const),
        events: events.map(({ cid: _cid, ...event }) => event),
      };
    }),
  );
}
