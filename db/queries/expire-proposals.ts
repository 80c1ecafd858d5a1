import { and, asc, eq, lte } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { proposals } from '../schema.ts';
import { recordProposal } from './record-proposal.ts';

/** Number of proposals that expire per call. */
const MAX_EXPIRED_PER_CALL = 200;

/**
 * Expires proposals that were not decided in time. Leaves one alone that a person decides at the same moment.
 * @param input.now the control plane's clock, epoch milliseconds
 * @returns how many
 */
export async function expireProposals(db: Database, input: { now: number }): Promise<number> {
  const { now } = input;
  let ended = 0;
  for (;;) {
    const due = await db.run((executor) =>
      executor
        .select({ id: proposals.id })
        .from(proposals)
        .where(and(eq(proposals.status, 'pending'), lte(proposals.expires_at, now)))
        .orderBy(asc(proposals.expires_at))
        .limit(MAX_EXPIRED_PER_CALL),
    );
    for (const { id } of due) {
      const change = { step: 'expire' } as const;
      const { outcome } = await recordProposal(db, {
        id,
        change,
        key: String(now),
        cause: 'its decision time has passed',
        now,
      });
      if (outcome === 'recorded') ended += 1;
    }
    if (due.length < MAX_EXPIRED_PER_CALL) return ended;
  }
}
