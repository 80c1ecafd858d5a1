import type Database from 'better-sqlite3';
import type { Value } from '../format/values.ts';
import type { Version } from '../format/versions.ts';
import { IS_SEGMENT } from './inbox.ts';
import { statementsOf } from './statements.ts';

/** A revocation: everything that a node wrote in a space since a time. */
export interface Revocation {
  readonly id: string;
  readonly space: number;
  readonly node: string;
  /** Epoch milliseconds, like `at`, the time of the revocation. */
  readonly since: number;
  readonly at: number;
  readonly undone: boolean;
}

/** A memory, or one register of it, that was revoked. */
export interface Revoked {
  readonly key: Buffer;
  /** The register; empty for the whole memory. */
  readonly unit: string;
  /** The operation's line, or the register's value in JSON. */
  readonly what: string;
}

/** Joins the segment, as `signing`, that delivered a write not signed by the node it names. */
const signedBySql = (table: string, unit: string): string =>
  `LEFT JOIN signer ON signer.key = ${table}.key AND signer.unit = ${unit} AND signer.counter = ${table}.counter
     AND signer.hlc = ${table}.hlc AND signer.node = ${table}.node
   LEFT JOIN segment AS signing ON signing.id = signer.segment`;

/** The ledger's tables of replaced and of revoked writes. Callers hold the transaction. */
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

  /** Returns the last write of a register except those of a node since a time, or null when none is known. */
  formerWriteOf(key: Buffer, unit: string, but: { node: string; hlc: number }): { value: Value } | null {
    const text = this.#sql(
      `SELECT value FROM former ${signedBySql('former', 'former.unit')}
       WHERE former.key = ? AND former.unit = ? AND NOT (former.node = ? AND former.hlc >= ?)
         AND signing.node IS NOT ?
       ORDER BY former.counter DESC, former.hlc DESC, former.node DESC LIMIT 1`,
    )
      .pluck()
      .get(key, unit, but.node, but.hlc, but.node) as string | undefined;
    return text === undefined ? null : { value: JSON.parse(text) as Value };
  }

  /**
   * Returns the keys of existing memories that first arrived here from a node since a time, rows before their
   * sessions. The segment proves the sender; the author and clock in its operations do not. A memory counts
   * if its operation is dated since then, or arrived since then in a ledger that already knew segments of the
   * node. Memories from a snapshot count by their stated author and clock, because nothing else is known.
   * @param since.at epoch milliseconds, and the same as a reading of the hybrid clock
   */
  keysFirstSentBy(node: string, since: { at: number; hlc: number }): Buffer[] {
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
   * Returns the keys of existing memories that a node sent as a whole since a time, but not as the first. A
   * write signed by another node than its author counts for the signer, by time of arrival.
   * @param since.at epoch milliseconds, and the same as a reading of the hybrid clock
   */
  keysResentBy(node: string, since: { at: number; hlc: number }): Buffer[] {
    return this.#sql(
      `SELECT entity.key FROM entity LEFT JOIN segment ON segment.id = entity.origin ${signedBySql('entity', "''")}
       WHERE CASE WHEN signing.node IS NULL THEN entity.node = @node AND entity.hlc >= @hlc
           ELSE signing.node = @node AND signing.at >= @at END
         AND entity.dead = 0 AND entity.row IS NOT NULL
         AND (entity.origin IS NULL OR (segment.${IS_SEGMENT} AND segment.node <> @node)) ORDER BY entity.kind DESC`,
    )
      .pluck()
      .all({ node, ...since }) as Buffer[];
  }

  /**
   * Returns the registers that a node wrote since a time. A write signed by another node than its author
   * counts for the signer, by time of arrival.
   * @param since.at epoch milliseconds, and the same as a reading of the hybrid clock
   */
  registersWrittenBy(node: string, since: { at: number; hlc: number }): { key: Buffer; unit: string }[] {
    return this.#sql(
      `SELECT register.key, register.unit FROM register ${signedBySql('register', 'register.unit')}
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

  /** Returns what a revocation took back; the caller must put sessions before their rows. */
  listRevokedBy(id: string): Revoked[] {
    return this.#sql('SELECT key, unit, what FROM revoked WHERE revocation = ?').all(id) as Revoked[];
  }

  setUndone(id: string): void {
    this.#sql('UPDATE revocation SET undone = 1 WHERE id = ?').run(id);
  }

  find(id: string): Revocation | null {
    return this.all().find((revocation) => revocation.id === id) ?? null;
  }

  /** Returns every revocation made here, newest first. */
  all(): Revocation[] {
    const rows = this.#sql('SELECT * FROM revocation ORDER BY at DESC').all() as (Omit<
      Revocation,
      'undone'
    > & { undone: number })[];
    return rows.map((row) => ({ ...row, undone: row.undone === 1 }));
  }
}
