import { lte, sql } from 'drizzle-orm';
import type { ServerEvent } from '../../contract/events.ts';
import type { Executor } from '../connect.ts';
import { events } from '../schema.ts';

/** The channel that announces the newest sequence number. */
export const EVENTS_CHANNEL = 'membridge_events';
/** Number of events kept for replay. */
export const EVENTS_KEPT = 5_000;
/** How often old events are removed, in events. */
const PRUNE_EVERY = 500;
/** The advisory lock for assigning sequence numbers; see emitEvents. */
const EVENTS_LOCK = 7_305_802;

/**
 * Takes the lock for recording events. An event about several rows, such as a space with its nodes, must read
 * them under it. Otherwise, two transactions that change different rows of one space would not see each
 * other's changes. The later event would then undo the earlier one for its listeners. Change nothing after
 * taking it.
 */
export async function lockEvents(tx: Executor): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${EVENTS_LOCK})`);
}

/**
 * Records events in the transaction of the change that they describe, and wakes the listeners when it
 * commits. Call it last in the transaction: it takes a lock that every other writer of events waits for.
 *
 * The lock is held until the commit is visible, so a number is visible only when all smaller ones are. A
 * reader that has seen N never has to look back for N-1.
 */
export async function emitEvents(tx: Executor, payloads: readonly ServerEvent[], at: number): Promise<void> {
  if (payloads.length === 0) return;
  await lockEvents(tx);
  // One round trip, because every change of anything passes here.
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
