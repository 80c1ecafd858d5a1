import type Database from 'better-sqlite3';
import type { Value } from '../format/values.ts';
import type { Version } from '../format/versions.ts';
import { IS_SEGMENT } from './inbox.ts';
import { statementsOf } from './statements.ts';

/** Something that was revoked: everything that a node wrote in a space since a time. */
export interface Revocation {
  readonly id: string;
  readonly space: number;
  readonly node: string;
  /** Epoch ms; so is `at`, when it was revoked. */
  readonly since: number;
  readonly at: number;
  readonly undone: boolean;
}

/** A memory, or one register of it, that was revoked. */
export interface Revoked {
  readonly key: Buffer;
  /** The register; empty for the memory as a whole. */
  readonly unit: string;
  /** The operation's line, or the register's value in JSON. */
  readonly what: string;
}

/** Joins the segment, as `signing`, that brought a write which another node signed than the write names. */
const SIGNED_BY = (table: string, unit: string): string =>
  `LEFT JOIN signer ON signer.key = ${table}.key AND signer.unit = ${unit} AND signer.counter = ${table}.counter
     AND signer.hlc = ${table}.hlc AND signer.node = ${table}.node
   LEFT JOIN segment AS signing ON signing.id = signer.segment`;

/** The ledger's tables of what was replaced and of what was revoked. Callers bring the transaction. */
export class Revocations {
  readonly #sql: ReturnType<typeof statementsOf>;

  constructor(db: Database.Database) {
    this.#sql = statementsOf(db);
  }

  /** Keeps a write that a later one replaced. */
  keepFormer(key: Buffer, unit: string, version: Version, value: Value): void {
    const { counter, hlc, node } = version;
    this.#sql(
      'INSERT OR IGNORE INTO former (key, unit, counter, hlc, node, value) VALUES (?, ?, ?, ?, ?, ?)',
    ).run(key, unit, counter, hlc, node, JSON.stringify(value));
  }

  /** The last write of a register that is not a node's since a time, or null when none is known. */
  formerOf(key: Buffer, unit: string, but: { node: string; hlc: number }): { value: Value } | null {
    const text = this.#sql(
      `SELECT value FROM former ${SIGNED_BY('former', 'former.unit')}
       WHERE former.key = ? AND former.unit = ? AND NOT (former.node = ? AND former.hlc >= ?)
         AND signing.node IS NOT ?
       ORDER BY former.counter DESC, former.hlc DESC, former.node DESC LIMIT 1`,
    )
      .pluck()
      .get(key, unit, but.node, but.hlc, but.node) as string | undefined;
    return text === undefined ? null : { value: JSON.parse(text) as Value };
  }

  /**
   * Keys of memories that a node was the first to tell this one of since a time, and that are here, children before their
   * sessions. A segment is proof of who told, whatever name and clock its operations bear: they count when they bear a
   * time since then, or came in since then to a ledger that knew segments of the node from before. What came with a
   * snapshot counts by the name and the clock that it bears: nothing else is known of it.
   * @param since.at epoch ms, and the same as a reading of the hybrid clock
   */
  toldBy(node: string, since: { at: number; hlc: number }): Buffer[] {
    const followed = this.#sql(`SELECT 1 FROM segment WHERE node = ? AND at < ? AND ${IS_SEGMENT} LIMIT 1`)
      .pluck()
      .get(node, since.at);
    return this.#sql(
      `SELECT key FROM entity LEFT JOIN segment ON segment.id = entity.origin
       WHERE dead = 0 AND row IS NOT NULL AND origin IS NOT NULL
         AND CASE WHEN segment.${IS_SEGMENT} THEN segment.node = @node
           AND (hlc >= @hlc AND (entity.node = @node OR NOT @followed) OR (segment.at >= @at AND @followed))
         ELSE entity.node = @node AND hlc >= @hlc END
       ORDER BY kind DESC`,
    )
      .pluck()
      .all({ ...since, node, followed: followed === undefined ? 0 : 1 }) as Buffer[];
  }

  /**
   * Keys of memories that a node told of as a whole since a time, and that are here, but not first by it. Of one that another node signed
   * than it names, the signer counts, and when it came in.
   * @param since.at epoch ms, and the same as a reading of the hybrid clock
   */
  retoldBy(node: string, since: { at: number; hlc: number }): Buffer[] {
    return this.#sql(
      `SELECT entity.key FROM entity LEFT JOIN segment ON segment.id = entity.origin ${SIGNED_BY('entity', "''")}
       WHERE CASE WHEN signing.node IS NULL THEN entity.node = @node AND entity.hlc >= @hlc
           ELSE signing.node = @node AND signing.at >= @at END
         AND entity.dead = 0 AND entity.row IS NOT NULL
         AND (entity.origin IS NULL OR (segment.${IS_SEGMENT} AND segment.node <> @node)) ORDER BY entity.kind DESC`,
    )
      .pluck()
      .all({ node, ...since }) as Buffer[];
  }

  /**
   * Registers that a node wrote since a time. Of a write that another node signed than it names, the signer counts, and when it came in.
   * @param since.at epoch ms, and the same as a reading of the hybrid clock
   */
  registersWrittenBy(node: string, since: { at: number; hlc: number }): { key: Buffer; unit: string }[] {
    return this.#sql(
      `SELECT register.key, register.unit FROM register ${SIGNED_BY('register', 'register.unit')}
       WHERE register.unit <> 'life' AND CASE WHEN signing.node IS NULL THEN register.node = @node AND register.hlc >= @hlc
         ELSE signing.node = @node AND signing.at >= @at END`,
    ).all({ node, ...since }) as { key: Buffer; unit: string }[];
  }

  begin({ id, space, node, since, at }: Omit<Revocation, 'undone'>): void {
    this.#sql('INSERT INTO revocation (id, space, node, since, at) VALUES (?, ?, ?, ?, ?)').run(
      id,
      space,
      node,
      since,
      at,
    );
  }

  add(id: string, { key, unit, what }: Revoked): void {
    this.#sql('INSERT OR IGNORE INTO revoked (revocation, key, unit, what) VALUES (?, ?, ?, ?)').run(
      id,
      key,
      unit,
      what,
    );
  }

  /** What a revocation took, sessions before what belongs to them is the caller's to see to. */
  takenBy(id: string): Revoked[] {
    return this.#sql('SELECT key, unit, what FROM revoked WHERE revocation = ?').all(id) as Revoked[];
  }

  setUndone(id: string): void {
    this.#sql('UPDATE revocation SET undone = 1 WHERE id = ?').run(id);
  }

  find(id: string): Revocation | null {
    return this.all().find((revocation) => revocation.id === id) ?? null;
  }

  /** Every revocation made here, newest first. */
  all(): Revocation[] {
    const rows = this.#sql('SELECT * FROM revocation ORDER BY at DESC').all() as (Omit<
      Revocation,
      'undone'
    > & { undone: number })[];
    return rows.map((row) => ({ ...row, undone: row.undone === 1 }));
  }
}
