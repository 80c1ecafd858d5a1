import type Database from 'better-sqlite3';
import { segmentKey, snapshotPartKey, type SegmentName } from '../format/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { parseOperation, type Operation } from '../format/operation.ts';
import { readOperations } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import type { Manifest } from './manifest.ts';

/**
 * The set of memories in a snapshot. Kept on disk in a temporary table of the connection, because a space may
 * have millions.
 */
export class SnapshotMemories {
  readonly #db: Database.Database;
  readonly #add: Database.Statement<[Buffer]>;
  readonly #has: Database.Statement<[Buffer]>;

  constructor({ db }: Ledger) {
    this.#db = db;
    db.exec('CREATE TEMP TABLE IF NOT EXISTS told (key BLOB PRIMARY KEY) WITHOUT ROWID');
    this.#add = db.prepare('INSERT OR IGNORE INTO told (key) VALUES (?)');
    this.#has = db.prepare('SELECT 1 FROM told WHERE key = ?').pluck();
  }

  /** Adds the memories of a part's lines. A line that cannot be read adds none. */
  addLines(lines: readonly string[]): void {
    this.#db.transaction(() => {
      for (const line of lines) {
        const key = keyOf(line);
        if (key !== null) this.#add.run(key);
      }
    })();
  }

  /** Returns the operations whose memory is not in the set. */
  findMissing(operations: readonly Operation[]): Operation[] {
    return operations.filter(({ key }) => this.#has.get(key) === undefined);
  }

  clear(): void {
    this.#db.exec('DELETE FROM told');
  }
}

function keyOf(line: string): Buffer | null {
  try {
    return parseOperation(line).key;
  } catch {
    return null;
  }
}

/**
 * Describes how many memories of this node's segments are missing from the set.
 * @returns null when none are
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function describeMissingFromSegments(
  session: SyncSession,
  cid: string,
  names: readonly SegmentName[],
  told: SnapshotMemories,
): Promise<string | null> {
  for (const name of names) {
    session.signal.throwIfAborted();
    const bytes = await session.store.get(segmentKey(cid, name));
    // A rotted segment has nothing to lose any longer.
    const operations = bytes === null ? [] : (readOrNull(session, bytes) ?? []);
    const lacks = countMissing(session, operations, told);
    if (lacks > 0) return `it lacks ${lacks} memories of segment ${name.seq}, which it claims to cover`;
  }
  return null;
}

/**
 * The same for an earlier snapshot; an unreadable one cannot be compared.
 * @throws MembridgeError store_*
 */
export async function describeMissingFromSnapshot(
  session: SyncSession,
  cid: string,
  manifest: Manifest,
  told: SnapshotMemories,
): Promise<string | null> {
  for (const index of manifest.parts.keys()) {
    session.signal.throwIfAborted();
    const bytes = await session.store.get(snapshotPartKey(cid, manifest.name, index + 1));
    const operations = bytes === null ? null : readOrNull(session, bytes);
    if (operations === null) return `snapshot ${manifest.id} cannot be compared with it`;
    const lacks = countMissing(session, operations, told);
    if (lacks > 0) return `it lacks ${lacks} memories of snapshot ${manifest.id}, which it claims to cover`;
  }
  return null;
}

function readOrNull({ identity }: SyncSession, bytes: Buffer): Operation[] | null {
  try {
    return readOperations(bytes, identity.sealingKeys).operations;
  } catch {
    return null;
  }
}

/**
 * Returns the missing memories. A snapshot leaves out a session that has another name now; its empty remains
 * are no loss.
 */
function countMissing(
  { ledger, reader }: SyncSession,
  operations: readonly Operation[],
  told: SnapshotMemories,
): number {
  return told.findMissing(operations).filter(({ kind, key }) => {
    if (kind !== 'session') return true;
    const row = ledger.entities.byKey(key)?.row ?? null;
    return row !== null && reader.hasChildren(row);
  }).length;
}
