import { z } from 'zod';
import { KINDS } from './kinds.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { StagedSegment } from './ledger/inbox.ts';
import { letsDeletionsThrough } from './membership.ts';
import type { Operation } from './operation.ts';
import type { SyncSession } from './session.ts';

/**
 * Deletions of one node in two days that are believed without asking: up to this many memories, or this share of all that are here if
 * that is more. Twice what a node tells without asking its own person (guard.ts), since others may have fewer memories than it.
 */
const BELIEVED_ROWS = 100;
const BELIEVED_SHARE = 0.02;
const DAY_MS = 86_400_000;

const Tally = z.object({
  /** The newest segment that is in the tally: one that is begun again after a crash counts once. */
  counted: z.number().int(),
  /** How many memories each node deleted here, by the day on which the store took its segments. */
  nodes: z.record(z.string(), z.record(z.string(), z.number().int())),
});
const NOTHING = JSON.stringify({ counted: 0, nodes: {} });
const tallyName = (space: number): string => `deleted-by:${space}`;

/**
 * Judges what a segment would delete here, before any of it is applied.
 * @param cid the space's canonical id
 * @returns why it must wait for a person, or null when it may be applied; then its deletions are counted
 */
export function judgeDeletions(
  { ledger, membership }: Pick<SyncSession, 'ledger' | 'membership'>,
  { space, cid }: { space: number; cid: string },
  segment: StagedSegment,
  operations: readonly Operation[],
): string | null {
  // A snapshot tells of deletions of all nodes since the beginning, and begun segments were judged before.
  if (membership === null || segment.done > 0 || segment.epoch.startsWith('snap')) return null;
  const deleted = operations.filter(({ type, key }) => type === 'delete' && isHere(ledger, key)).length;
  if (deleted === 0) return null;
  const day = Math.floor(segment.stored / DAY_MS);
  const tally = Tally.parse(JSON.parse(String(ledger.meta(tallyName(space)) ?? NOTHING)));
  if (segment.id <= tally.counted) return null;
  const ofNode = tally.nodes[segment.node] ?? {};
  const before = (ofNode[day] ?? 0) + (ofNode[day - 1] ?? 0);
  const rows = KINDS.reduce((sum, kind) => sum + ledger.marks.count(kind), 0);
  const believed = Math.max(BELIEVED_ROWS, rows * BELIEVED_SHARE);
  const { node, stored: at } = segment;
  if (before + deleted > believed && !letsDeletionsThrough(membership, { cid, node, at })) {
    return `${node} deletes ${before + deleted} of the ${rows} memories here within two days. Nothing of segment ${segment.seq} was merged. If they were deleted on purpose, let them through on the page (Membridge, the space, settings of ${node}).`;
  }
  const days: Record<string, number> = { [day]: (ofNode[day] ?? 0) + deleted };
  if (ofNode[day - 1] !== undefined) days[day - 1] = ofNode[day - 1] ?? 0;
  const nodes = { ...tally.nodes, [node]: days };
  ledger.setMeta(tallyName(space), JSON.stringify({ counted: segment.id, nodes }));
  return null;
}

function isHere(ledger: Ledger, key: Buffer): boolean {
  const entity = ledger.entities.byKey(key);
  return entity !== null && !entity.dead && entity.row !== null;
}
