import type Database from 'better-sqlite3';
import type { SegmentName } from '../format/layout.ts';
import { IS_SEGMENT } from './inbox.ts';
import { statementsOf } from './statements.ts';

/** How far one incarnation of a node is known without a gap. */
export interface Reach {
  readonly node: string;
  readonly epoch: string;
  /** Every segment up to this one. */
  readonly seq: number;
  /** The names' hashes of the segments at that place: one, or more where a machine was cloned. */
  readonly hashes: readonly string[];
}

interface FiledSegment extends SegmentName {
  readonly state: string;
  readonly problem: string | null;
}

/** Which segments this node has used without a gap, whether they were fetched or a snapshot told of them. */
export class Coverage {
  readonly #sql: ReturnType<typeof statementsOf>;

  constructor(db: Database.Database) {
    this.#sql = statementsOf(db);
  }

  /**
   * How far every incarnation of every node is known: up to the first segment that is missing, damaged, waits to be
   * applied, or could not be read whole.
   */
  reaches(space: number): Reach[] {
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
        // Of two at one place, one is not used: the place is not reached.
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

  /** Whether a segment is one that a snapshot told of, as far as that can be said without it. */
  includes(space: number, { node, epoch, seq, hash }: SegmentName): boolean {
    const floor = this.#floors(space).find((reach) => reach.node === node && reach.epoch === epoch);
    if (floor === undefined || seq > floor.seq) return false;
    return seq < floor.seq || floor.hashes.includes(hash);
  }

  /** The segments that are filed at a place, damaged ones among them. */
  filedAt(space: number, { node, epoch, seq }: SegmentName): SegmentName[] {
    return this.#sql(
      'SELECT node, epoch, seq, hash FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = ?',
    ).all(space, node, epoch, seq) as SegmentName[];
  }

  /** Files that everything up to a place is here. */
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
