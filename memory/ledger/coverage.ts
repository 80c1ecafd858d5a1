import type Database from 'better-sqlite3';
import type { SegmentName } from '../format/layout.ts';
import { IS_SEGMENT } from './inbox.ts';
import { statementsOf } from './statements.ts';

/** How far one incarnation of a node is known without gaps. */
export interface Reach {
  readonly node: string;
  readonly epoch: string;
  /** Every segment up to this one. */
  readonly seq: number;
  /** The name hashes of the segments at that position: one, or several where a machine was cloned. */
  readonly hashes: readonly string[];
}

interface FiledSegment extends SegmentName {
  readonly state: string;
  readonly problem: string | null;
}

/** Tracks which segments this node has used without gaps, whether fetched or covered by a snapshot. */
export class Coverage {
  readonly #sql: ReturnType<typeof statementsOf>;

  constructor(db: Database.Database) {
    this.#sql = statementsOf(db);
  }

  /**
   * Returns how far every incarnation of every node is known. Each reach ends before the first segment that is
   * missing, damaged, not applied yet, or only partly readable.
   */
  listReaches(space: number): Reach[] {
    const reached = new Map<string, { reach: Reach; ended: boolean }>();
    const key = (node: string, epoch: string): string => `${node}/${epoch}`;
    for (const reach of this.#floors(space)) {
      reached.set(key(reach.node, reach.epoch), { reach, ended: false });
    }
    const segments = this.#sql(
      `SELECT node, epoch, seq, hash, state, problem FROM segment WHERE space = ? AND ${IS_SEGMENT}
       ORDER BY node, epoch, seq, hash`,
    ).iterate(space) as IterableIterator<FiledSegment>;
    for (const { node, epoch, seq, hash, state, problem } of segments) {
      const known = reached.get(key(node, epoch));
      const before = known?.reach ?? { node, epoch, seq: 0, hashes: [] };
      if (known?.ended === true || seq < before.seq) continue;
      const isUsed = (state === 'own' || state === 'applied') && problem === null;
      if (!isUsed && seq === before.seq) {
        // Two segments share a position and one is unused, so the position does not count as reached.
        reached.set(key(node, epoch), { reach: { ...before, seq: seq - 1, hashes: [] }, ended: true });
      } else if (!isUsed || seq > before.seq + 1) {
        reached.set(key(node, epoch), { reach: before, ended: true });
      } else {
        const hashes = seq === before.seq ? [...new Set([...before.hashes, hash])] : [hash];
        reached.set(key(node, epoch), { reach: { node, epoch, seq, hashes }, ended: false });
      }
    }
    return [...reached.values()].map(({ reach }) => reach).filter(({ seq }) => seq > 0);
  }

  /** Returns whether a segment is known to be covered by a snapshot that this node used. */
  includes(space: number, { node, epoch, seq, hash }: SegmentName): boolean {
    const floor = this.#floors(space).find((reach) => reach.node === node && reach.epoch === epoch);
    if (floor === undefined || seq > floor.seq) return false;
    return seq < floor.seq || floor.hashes.includes(hash);
  }

  /** Returns the segments recorded at a position, including damaged ones. */
  listSegmentsAt(space: number, { node, epoch, seq }: SegmentName): SegmentName[] {
    return this.#sql(
      'SELECT node, epoch, seq, hash FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = ?',
    ).all(space, node, epoch, seq) as SegmentName[];
  }

  /** Records that everything up to a position is here. */
  raise(space: number, { node, epoch, seq, hashes }: Reach): void {
    this.#sql(
      `INSERT INTO covered (space, node, epoch, seq, hashes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET seq = excluded.seq, hashes = excluded.hashes WHERE covered.seq < excluded.seq`,
    ).run(space, node, epoch, seq, hashes.join(','));
  }

  #floors(space: number): Reach[] {
    const rows = this.#sql('SELECT node, epoch, seq, hashes FROM covered WHERE space = ?').all(space) as {
      node: string;
      epoch: string;
      seq: number;
      hashes: string;
    }[];
    return rows.map((row) => ({ ...row, hashes: row.hashes === '' ? [] : row.hashes.split(',') }));
  }
}
