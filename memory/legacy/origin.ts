import type { Ledger } from '../ledger/ledger.ts';
import { legacyNode } from './objects.ts';

/**
 * Space number for the ledger's records of imported snapshots. They are stored among the segments, where
 * `blame` finds them, but belong to no space: spaces only receive segments of nodes.
 */
const NO_SPACE = -1;

/**
 * The bit of Entity.spaces that an import sets. Spaces use bits 0 to 51 (ledger/spaces.ts), so an imported
 * memory is unsent in all of them, and the next push sends it.
 */
export const IMPORT_BIT = 52;

/**
 * Records a snapshot to be merged.
 * @returns its id in the ledger, for the memories from it
 */
export function recordSnapshot(
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

/** Records that all of a snapshot was merged on these `terms` (projects and names). */
export function noteMerged(ledger: Ledger, cid: string, sha: string, terms: string): void {
  ledger.setMeta(`legacy:merged:${cid}`, `${sha} ${terms}`);
}

/**
 * Returns whether all of a snapshot was merged before on the same terms. The record of the terms survives a
 * reset of the ledger; the segment does not.
 */
export function isMerged(ledger: Ledger, cid: string, sha: string, terms: string): boolean {
  if (ledger.meta(`legacy:merged:${cid}`) !== `${sha} ${terms}`) return false;
  const filed = ledger.db
    .prepare(`SELECT 1 FROM segment WHERE space = ? AND epoch = ? AND hash = ? AND state = 'applied' LIMIT 1`)
    .get(NO_SPACE, cid, sha);
  return filed !== undefined;
}

/** Returns the waiting operations of a canonical id's snapshots. */
export function listWaitingFrom(
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
