import { and, desc, eq, lt, or, sql } from 'drizzle-orm';
import type { Leadership, LeadershipEvent } from '../../contract/leadership.ts';
import type { LeadershipState } from '../../contract/workflows.ts';
import type { Database, Executor } from '../connect.ts';
import { leadershipEvents, leaderships, managedProjects } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { emitProjects } from './emit-project.ts';

/** Events of one leadership that are shown. */
const SHOWN = 50;

/**
 * Records who is primary. An epoch never goes back: what an earlier epoch says is not recorded.
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
    const recorded = await tx
      .insert(leaderships)
      .values({ cid, ...columns })
      .onConflictDoUpdate({
        target: leaderships.cid,
        set: columns,
        setWhere: sql`${leaderships.epoch} <= ${epoch}`,
      })
      .returning({ cid: leaderships.cid });
    if (recorded.length === 0) return false;
    if (event !== null) {
      const told = { cid, epoch, event, at: now, primary_node_id: primary, by };
      await tx.insert(leadershipEvents).values(told).onConflictDoNothing();
    }
    // The project of this id begins its clones there.
    const projects =
      event === 'selected'
        ? await tx
            .update(managedProjects)
            .set({ primary_node_id: primary, updated_at: now })
            .where(eq(managedProjects.canonical_id, cid))
            .returning({ id: managedProjects.id })
        : [];
    await tell(tx, cid, now);
    await emitProjects(
      tx,
      projects.map(({ id }) => id),
      now,
    );
    return true;
  });
}

/**
 * Records what a primary did. One that is not primary in this epoch any more is refused.
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
        error === null ? { ...done, last_error: null } : { last_error: error.replaceAll(/\p{Cc}+/gu, ' ') },
      )
      .where(
        and(eq(leaderships.cid, cid), eq(leaderships.epoch, epoch), eq(leaderships.primary_node_id, node)),
      )
      .returning({ cid: leaderships.cid });
    if (recorded.length === 0) return false;
    await tell(tx, cid, now);
    return true;
  });
}

/** Gives a leadership to the new canonical id of a renamed space; its epochs go on. */
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

/** The leadership of a canonical id; null when nobody was ever selected. */
export async function getLeadership(db: Database, input: { cid: string }): Promise<Leadership | null> {
  const [found] = await db.run((executor) => find(executor, [input.cid]));
  return found ?? null;
}

/** Every leadership. */
export async function listLeaderships(db: Database): Promise<Leadership[]> {
  return await db.run((executor) => find(executor, null));
}

async function tell(tx: Executor, cid: string, now: number): Promise<void> {
  const [leadership] = await find(tx, [cid]);
  if (leadership !== undefined) await emitEvents(tx, [{ type: 'leadership', leadership }], now);
}

async function find(executor: Executor, cids: readonly string[] | null): Promise<Leadership[]> {
  const rows = await executor
    .select()
    .from(leaderships)
    .where(cids === null ? undefined : or(...cids.map((cid) => eq(leaderships.cid, cid))));
  return await Promise.all(
    rows.map(async ({ cid, ...row }) => {
      const events = await executor
        .select()
        .from(leadershipEvents)
        .where(eq(leadershipEvents.cid, cid))
        .orderBy(desc(leadershipEvents.at))
        .limit(SHOWN);
      return {
        canonical_id: cid,
        ...row,
        policy: 'primary_authoritative' as const,
        status: row.primary_node_id === null ? ('needs_selection' as const) : ('active' as const),
        events: events.map(({ cid: _cid, ...event }) => event),
      };
    }),
  );
}
