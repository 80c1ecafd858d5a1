import { asc, gt, max, min } from 'drizzle-orm';
import type { ServerEvent } from '../../contract/events.ts';
import type { Database } from '../connect.ts';
import { events } from '../schema.ts';

/** An event and its sequence number. */
export interface NumberedEvent {
  readonly seq: number;
  readonly event: ServerEvent;
}

/** Returns events after a sequence number, oldest first, at most `limit`. */
export async function readEvents(
  db: Database,
  input: { after: number; limit: number },
): Promise<NumberedEvent[]> {
  const rows = await db.run((sql) =>
    sql.select().from(events).where(gt(events.seq, input.after)).orderBy(asc(events.seq)).limit(input.limit),
  );
  return rows.map((row) => ({ seq: row.seq, event: row.payload }));
}

/** Returns the first and last stored sequence number; both null when there is no event. */
export async function readEventRange(db: Database): Promise<{ first: number | null; last: number | null }> {
  const [row] = await db.run((sql) =>
    sql.select({ first: min(events.seq), last: max(events.seq) }).from(events),
  );
  return { first: row?.first ?? null, last: row?.last ?? null };
}
