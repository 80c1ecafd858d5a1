import { randomBytes } from 'node:crypto';
import type Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { SHAPES, type Kind } from '../format/kinds.ts';
import { FIRST_PREV_SHA } from '../format/segment.ts';
import { statementsOf } from './statements.ts';

/** Spaces are bits of an integer that must stay exact in JavaScript. */
const MAX_SPACES = 52;

/** A space in the ledger. */
export interface LedgerSpace {
  /** Its bit in Entity.spaces. */
  readonly id: number;
  readonly cid: string;
  /** The projects it covered when its rows were last considered, as text. */
  readonly covers: string;
  /** This node's current incarnation in the space, null before its first push. */
  readonly incarnation: string | null;
  /** The last segment sealed in this incarnation. */
  readonly seq: number;
  /** SHA-256 of that segment. */
  readonly chain: string;
  /** The ETag of the head that this ledger last wrote. */
  readonly headEtag: string | null;
  /** When the whole seg/ prefix was last listed, epoch milliseconds. */
  readonly lastFullList: number;
}

interface RawSpace {
  id: number;
  cid: string;
  projects: string;
  epoch: string | null;
  seq: number;
  chain: string;
  head_etag: string | null;
  last_full_list: number;
}

/** The ledger's table of spaces: this node's progress in each. */
export class Spaces {
  readonly #db: Database.Database;
  readonly #sql: ReturnType<typeof statementsOf>;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#sql = statementsOf(db);
  }

  /**
   * Returns the space of this configuration; creates it if it is new. If its projects changed, all rows are
   * considered again.
   */
  configure(config: SpaceConfig): LedgerSpace {
    // The first word names the rule for which rows belong to a project. When the rule changes, all rows are
    // considered again.
    const covers = JSON.stringify([
      'worktrees',
      [...config.projects].sort(),
      [...(config.excluded ?? [])].sort(),
      Object.entries(config.names ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
    ]);
    return this.#db.transaction(() => {
      const found = this.find(config.cid);
      if (found === null) {
        const { count } = this.#sql('SELECT count(*) AS count FROM space').get() as { count: number };
        if (count >= MAX_SPACES) {
          throw new MembridgeError('conflict', `A node can take part in at most ${MAX_SPACES} spaces.`);
        }
        this.#sql('INSERT INTO space (id, cid, projects, chain) VALUES (?, ?, ?, ?)').run(
          count,
          config.cid,
          covers,
          FIRST_PREV_SHA,
        );
      } else if (found.covers !== covers) {
        this.#sql('UPDATE space SET projects = ? WHERE id = ?').run(covers, found.id);
        this.#sql('DELETE FROM emitted WHERE space = ?').run(found.id);
        // The excluded projects may have changed, so the next push considers withheld parts again.
        this.#sql(
          `INSERT INTO dirty (space, key, parts) SELECT space, key, parts FROM withheld WHERE space = ?
           ON CONFLICT (space, key) DO UPDATE SET parts = dirty.parts | excluded.parts`,
        ).run(found.id);
        this.#sql('DELETE FROM withheld WHERE space = ?').run(found.id);
      }
      return this.get(config.cid);
    })();
  }

  find(cid: string): LedgerSpace | null {
    const raw = this.#sql('SELECT * FROM space WHERE cid = ?').get(cid) as RawSpace | undefined;
    if (raw === undefined) return null;
    return {
      id: raw.id,
      cid: raw.cid,
      covers: raw.projects,
      incarnation: raw.epoch,
      seq: raw.seq,
      chain: raw.chain,
      headEtag: raw.head_etag,
      lastFullList: raw.last_full_list,
    };
  }

  /** Returns every space that this ledger has taken part in. */
  all(): { id: number; cid: string }[] {
    return this.#sql('SELECT id, cid FROM space').all() as { id: number; cid: string }[];
  }

  get(cid: string): LedgerSpace {
    const space = this.find(cid);
    if (space === null) throw new Error(`the ledger has no space ${cid}`);
    return space;
  }

  /**
   * Begins a new incarnation: its segments start at 1 with no predecessor. Its id is time-ordered, so that
   * listings show it last.
   */
  beginIncarnation(cid: string, now: number): LedgerSpace {
    const epoch = now.toString(16).padStart(12, '0') + randomBytes(4).toString('hex');
    this.#sql('UPDATE space SET epoch = ?, seq = 0, chain = ?, head_etag = NULL WHERE cid = ?').run(
      epoch,
      FIRST_PREV_SHA,
      cid,
    );
    return this.get(cid);
  }

  advance(id: number, seq: number, chain: string): void {
    this.#sql('UPDATE space SET seq = ?, chain = ? WHERE id = ?').run(seq, chain, id);
  }

  setHeadEtag(id: number, etag: string): void {
    this.#sql('UPDATE space SET head_etag = ? WHERE id = ?').run(etag, id);
  }

  setLastFullList(id: number, at: number): void {
    this.#sql('UPDATE space SET last_full_list = ? WHERE id = ?').run(at, id);
  }

  /** Returns the local id up to which rows of a kind were considered for sending. */
  emittedTo(id: number, kind: Kind): number {
    const row = this.#sql('SELECT high FROM emitted WHERE space = ? AND kind = ?').get(
      id,
      SHAPES[kind].code,
    ) as { high: number } | undefined;
    return row?.high ?? 0;
  }

  setEmittedTo(id: number, kind: Kind, row: number): void {
    this.#sql(
      'INSERT INTO emitted (space, kind, high) VALUES (?, ?, ?) ON CONFLICT (space, kind) DO UPDATE SET high = max(high, excluded.high)',
    ).run(id, SHAPES[kind].code, row);
  }
}
