import type { Ledger } from '../ledger/ledger.ts';
import { legacyNode } from './objects.ts';

/**
 * What the ledger notes of imported snapshots. They are filed among the segments, where `blame` finds them, but in no
 * space's: a space is told of its nodes' segments only.
 */
const NO_SPACE = -1;

/**
 * The bit of Entity.spaces that merging an import sets. Spaces use bits 0 to 51 (ledger/spaces.ts), so that to all of
 * them an imported memory is unsent: the next push tells the fleet.
 */
export const IMPORT_BIT = 52;

/** Files a snapshot that is to be merged. @returns the ledger's id of it, for what it brings */
export function fileSnapshot(
  ledger: Ledger,
  snapshot: { cid: string; host: string | null; sha: string },
  at: number,
): number {
  const node = legacyNode(snapshot.host);
  ledger.db
    .prepare(
      `INSERT OR IGNORE INTO segment (space, node, epoch, seq, hash, state, at) VALUES (?, ?, ?, 1, ?, 'staged', ?)`,
    )
    .run(NO_SPACE, node, snapshot.cid, snapshot.sha, at);
  const row = ledger.db
    .prepare('SELECT id FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = 1 AND hash = ?')
    .get(NO_SPACE, node, snapshot.cid, snapshot.sha) as { id: number };
  return row.id;
}

/** Notes that all of a snapshot was merged, as `terms` (which projects, under which names) had it. */
export function noteMerged(ledger: Ledger, cid: string, sha: string, terms: string): void {
  ledger.setMeta(`legacy:merged:${cid}`, `${sha} ${terms}`);
}

/**
 * Whether all of a snapshot was merged before, on the same terms. What is noted of the terms outlives a ledger that
 * starts anew; the segment does not.
 */
export function isMerged(ledger: Ledger, cid: string, sha: string, terms: string): boolean {
  if (ledger.meta(`legacy:merged:${cid}`) !== `${sha} ${terms}`) return false;
  const filed = ledger.db
    .prepare(`SELECT 1 FROM segment WHERE space = ? AND epoch = ? AND hash = ? AND state = 'applied' LIMIT 1`)
    .get(NO_SPACE, cid, sha);
  return filed !== undefined;
}

/** Operations of a canonical id's snapshots that wait. */
export function waitingFrom(
  ledger: Ledger,
  cid: string,
): { key: Buffer; version: string; line: string; origin: number }[] {
  return ledger.db
    .prepare(
      `SELECT w.key, w.version, w.line, w.origin FROM waiting w JOIN segment s ON s.id = w.origin
       WHERE w.space = ? AND s.space = ? AND s.epoch = ? ORDER BY w.key, w.version`,
    )
    .all(IMPORT_BIT, NO_SPACE, cid) as { key: Buffer; version: string; line: string; origin: number }[];
}
