import { lte, sql } from 'drizzle-orm';
import type { ServerEvent } from '../../contract/events.ts';
import type { Executor } from '../connect.ts';
import { events } from '../schema.ts';

/** The channel on which the newest sequence number is told. */
export const EVENTS_CHANNEL = 'membridge_events';
/** How many events are kept for replay. */
export const EVENTS_KEPT = 5_000;
/** How often, in events, the old ones are removed. */
const PRUNE_EVERY = 500;
/** The advisory lock under which sequence numbers are given out; see emitEvents. */
const EVENTS_LOCK = 7_305_802;

/**
 * Takes the lock under which events are recorded. An event that tells of several rows, as a space with its nodes does,
 * must read them under it: of two transactions that change different rows of one space, neither would otherwise see the
 * other's, and the later event would undo the earlier one for whoever listens. Change nothing after it.
 */
export async function lockEvents(tx: Executor): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${EVENTS_LOCK})`);
}

/**
 * Records events in the transaction of the change they tell of, and wakes the listeners when it commits. Call it last in
 * the transaction: it takes a lock that every other writer of events waits for.
 *
 * The lock is held until the commit is visible, so a number is visible only when all smaller ones are: a reader that has
 * seen N never has to look back for N-1.
 */
export async function emitEvents(tx: Executor, payloads: readonly ServerEvent[], at: number): Promise<void> {
  if (payloads.length === 0) return;
  await lockEvents(tx);
  // One trip: every change of anything comes through here.
  const told = await tx.execute<{ newest: number }>(sql`
    with added as (
      insert into ${events} (payload, at)
      select payload, ${at}::bigint from jsonb_array_elements(${JSON.stringify(payloads)}::jsonb) as payload
      returning seq),
    last as (select max(seq) as newest from added)
    select newest::float8 as newest, pg_notify(${EVENTS_CHANNEL}, newest::text) from last`);
  const newest = told.rows[0]?.newest ?? 0;
  if (Math.floor(newest / PRUNE_EVERY) > Math.floor((newest - payloads.length) / PRUNE_EVERY)) {
    await tx.delete(events).where(lte(events.seq, newest - EVENTS_KEPT));
  }
}
