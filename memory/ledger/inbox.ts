import type Database from 'better-sqlite3';
import type { NodeCertificate } from '../../contract/nodes/nodes.ts';
import type { SegmentName } from '../format/layout.ts';
import type { Row } from '../format/values.ts';
import { statementsOf } from './statements.ts';

/** A fetched and verified segment with operations still to apply. */
export interface StagedSegment {
  readonly id: number;
  readonly node: string;
  readonly epoch: string;
  readonly seq: number;
  /** Operations applied so far, in the order of application. */
  readonly done: number;
  /** When the store received it, epoch milliseconds; when it arrived here if that is no longer known. */
  readonly stored: number;
  readonly bytes: Buffer;
}

/** An operation that could not be applied yet. */
export interface WaitingOperation {
  readonly key: Buffer;
  /** The operation's version as sortable text. */
  readonly version: string;
  readonly line: string;
  readonly origin: number;
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly since: number;
}

/**
 * Separates segments from parts of snapshots, which are stored under an incarnation that is not a hexadecimal
 * number.
 */
export const IS_SEGMENT = `epoch < 'g'`;

/** The ledger's records of what peers sent: segments, heads, certificates, waiting operations. */
export class Inbox {
  readonly #sql: ReturnType<typeof statementsOf>;

  /**
   * When the store received the segments that this process staged; for others only the time of arrival is
   * known.
   */
  readonly #stored = new Map<number, number>();

  /**
   * Whether any operations are parked or any unknown columns kept. Usually there are none, and a merge needs
   * no queries.
   */
  #hasParked: boolean;
  #hasExtra: boolean;

  constructor(db: Database.Database) {
    this.#sql = statementsOf(db);
    this.#hasParked = this.#sql('SELECT 1 FROM waiting WHERE parked = 1 LIMIT 1').get() !== undefined;
    this.#hasExtra = this.#sql('SELECT 1 FROM extra LIMIT 1').get() !== undefined;
  }

  /**
   * Records a verified segment. One that is recorded already, or was damaged before, gets the new bytes.
   * @param at when it arrived, by this node's clock
   * @param stored when the store received it, by the store's clock; kept until this process ends
   */
  stage(space: number, name: SegmentName, bytes: Buffer, at: number, stored = at): void {
    const filed = this.#sql(
      `INSERT INTO segment (space, node, epoch, seq, hash, state, at) VALUES (?, ?, ?, ?, ?, 'staged', ?)
         ON CONFLICT DO UPDATE SET state = 'staged', problem = NULL WHERE segment.state = 'damaged' RETURNING id`,
    ).get(space, name.node, name.epoch, name.seq, name.hash, at) as { id: number } | undefined;
    if (filed === undefined) return;
    this.#sql('INSERT OR REPLACE INTO staged (segment, bytes) VALUES (?, ?)').run(filed.id, bytes);
    this.#stored.set(filed.id, stored);
  }

  /** Records a segment that failed verification, so that it is reported and fetched again later. */
  markDamaged(space: number, name: SegmentName, problem: string, at: number): void {
    this.#sql(
      `INSERT INTO segment (space, node, epoch, seq, hash, state, problem, at) VALUES (?, ?, ?, ?, ?, 'damaged', ?, ?)
         ON CONFLICT DO UPDATE SET problem = excluded.problem, at = excluded.at WHERE segment.state = 'damaged'`,
    ).run(space, name.node, name.epoch, name.seq, name.hash, problem, at);
  }

  /** Records a segment of this node, so that a pull does not fetch it. */
  recordOwn(space: number, name: SegmentName, at: number): void {
    this.#sql(
      `INSERT OR IGNORE INTO segment (space, node, epoch, seq, hash, state, at) VALUES (?, ?, ?, ?, ?, 'own', ?)`,
    ).run(space, name.node, name.epoch, name.seq, name.hash, at);
  }

  /** Returns segments that this node sent, with this ledger or an earlier one. */
  listOwn(space: number, node: string): SegmentName[] {
    return this.#sql(
      `SELECT node, epoch, seq, hash FROM segment WHERE space = ? AND node = ? AND state = 'own'`,
    ).all(space, node) as SegmentName[];
  }

  /** Forgets every segment and head of a space. */
  forgetSpace(space: number): void {
    for (const table of ['segment', 'head', 'outbox', 'covered']) {
      this.#sql(`DELETE FROM ${table} WHERE space = ?`).run(space);
    }
  }

  /** Returns whether a listed segment needs no fetching. */
  has(space: number, name: SegmentName): boolean {
    return (
      this.#sql(
        `SELECT 1 FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = ? AND hash = ? AND state <> 'damaged'`,
      ).get(space, name.node, name.epoch, name.seq, name.hash) !== undefined
    );
  }

  /** Returns whether a segment is recorded, damaged or not; its successor's chain is checked against it. */
  hasPlace(space: number, { node, epoch, seq, hash }: SegmentName): boolean {
    return (
      this.#sql(
        'SELECT 1 FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = ? AND hash = ?',
      ).get(space, node, epoch, seq, hash) !== undefined
    );
  }

  /** Returns the last segment of a node in listing order, or null. */
  last(space: number, node: string): SegmentName | null {
    const row = this.#sql(
      `SELECT node, epoch, seq, hash FROM segment WHERE space = ? AND node = ? AND state <> 'damaged' AND ${IS_SEGMENT}
         ORDER BY epoch DESC, seq DESC, hash DESC LIMIT 1`,
    ).get(space, node) as SegmentName | undefined;
    return row ?? null;
  }

  /** Returns the last segment held of every node, as "epoch/seq". */
  applied(space: number): Record<string, string> {
    const rows = this.#sql(
      `SELECT node, max(epoch || '/' || printf('%012d', seq)) AS place FROM segment
         WHERE space = ? AND state IN ('own', 'applied') AND ${IS_SEGMENT} GROUP BY node`,
    ).all(space) as { node: string; place: string }[];
    return Object.fromEntries(rows.map(({ node, place }) => [node, place]));
  }

  /** Returns the segment with an id of this ledger, and when it arrived; null when it was forgotten. */
  segmentOf(id: number): (SegmentName & { at: number }) | null {
    const row = this.#sql('SELECT node, epoch, seq, hash, at FROM segment WHERE id = ?').get(id) as
      (SegmentName & { at: number }) | undefined;
    return row ?? null;
  }

  /** Returns the next segment with operations to apply, or null. */
  nextStaged(space: number): StagedSegment | null {
    const row = this.#sql(
      `SELECT id, node, epoch, seq, done, at, bytes FROM segment JOIN staged ON staged.segment = segment.id
         WHERE space = ? AND state = 'staged' ORDER BY id LIMIT 1`,
    ).get(space) as (Omit<StagedSegment, 'stored'> & { at: number }) | undefined;
    return row === undefined ? null : { ...row, stored: this.#stored.get(row.id) ?? row.at };
  }

  /**
   * Sets aside what waits from nodes that are no longer trusted, and releases what waits from trusted ones.
   */
  holdFrom(space: number, nodes: readonly string[]): void {
    const list = JSON.stringify(nodes);
    this.#sql(
      `UPDATE segment SET state = 'held' WHERE space = ? AND state = 'staged'
       AND node IN (SELECT value FROM json_each(?))`,
    ).run(space, list);
    this.#sql(
      `UPDATE segment SET state = 'staged' WHERE space = ? AND state = 'held' AND problem IS NULL
       AND node NOT IN (SELECT value FROM json_each(?))`,
    ).run(space, list);
  }

  /** Sets aside a segment that deletes more than is accepted without approval. */
  guard(id: number, problem: string): void {
    this.#sql(`UPDATE segment SET state = 'held', problem = ? WHERE id = ?`).run(problem, id);
  }

  /** Returns a space's segments that were set aside for deleting too much, each with the reason. */
  listGuarded(space: number): { id: number; node: string; stored: number; problem: string }[] {
    const rows = this.#sql(
      `SELECT id, node, at, problem FROM segment WHERE space = ? AND state = 'held' AND problem IS NOT NULL ORDER BY id`,
    ).all(space) as { id: number; node: string; at: number; problem: string }[];
    return rows.map(({ at, ...row }) => ({ ...row, stored: this.#stored.get(row.id) ?? at }));
  }

  /** Releases a segment that was set aside for its deletions. */
  release(id: number): void {
    this.#sql(`UPDATE segment SET state = 'staged', problem = NULL WHERE id = ?`).run(id);
  }

  /** Returns how many segments of nodes that are not trusted yet are set aside, in all spaces. */
  countHeldSegments(): number {
    return this.#sql(`SELECT count(*) FROM segment WHERE state = 'held'`).pluck().get() as number;
  }

  setDone(id: number, done: number): void {
    this.#sql('UPDATE segment SET done = ? WHERE id = ?').run(done, id);
  }

  /**
   * @param own whether this node wrote it with an earlier ledger: it then counts as sent by this node again,
   * if it is a segment
   */
  markApplied(id: number, own = false): void {
    this.#sql(
      `UPDATE segment SET state = CASE WHEN ? AND ${IS_SEGMENT} THEN 'own' ELSE 'applied' END WHERE id = ?`,
    ).run(own ? 1 : 0, id);
    this.#sql('DELETE FROM staged WHERE segment = ?').run(id);
    this.#stored.delete(id);
  }

  /** Records that the contents of a damaged segment arrived in another way. */
  markHealed(space: number, name: SegmentName | null): void {
    if (name === null) return;
    this.#sql(
      `UPDATE segment SET state = 'applied', problem = NULL
       WHERE space = ? AND node = ? AND epoch = ? AND seq = ? AND hash = ? AND state = 'damaged'`,
    ).run(space, name.node, name.epoch, name.seq, name.hash);
  }

  markUnreadable(id: number, problem: string): void {
    this.#sql(`UPDATE segment SET state = 'damaged', problem = ? WHERE id = ?`).run(problem, id);
    this.#sql('DELETE FROM staged WHERE segment = ?').run(id);
  }

  /** Returns the problem of a recorded segment; null when there is none. */
  problemOf(space: number, { node, epoch, seq, hash }: SegmentName): string | null {
    const row = this.#sql(
      'SELECT problem FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = ? AND hash = ?',
    ).get(space, node, epoch, seq, hash) as { problem: string | null } | undefined;
    return row?.problem ?? null;
  }

  /** Returns segments of a space that failed verification or could not be read, with the reason. */
  listDamaged(space: number): { node: string; seq: number; problem: string }[] {
    return this.#sql(
      `SELECT node, seq, problem FROM segment WHERE space = ? AND state = 'damaged' ORDER BY node, seq`,
    ).all(space) as { node: string; seq: number; problem: string }[];
  }

  /** Returns the names of a space's unusable segments, in order. */
  listDamagedNames(space: number): SegmentName[] {
    return this.#sql(
      `SELECT node, epoch, seq, hash FROM segment WHERE space = ? AND state = 'damaged' AND ${IS_SEGMENT}
       ORDER BY node, epoch, seq, hash`,
    ).all(space) as SegmentName[];
  }

  headEtag(space: number, node: string): string | null {
    const row = this.#sql('SELECT etag FROM head WHERE space = ? AND node = ?').get(space, node) as
      { etag: string } | undefined;
    return row?.etag ?? null;
  }

  setHeadEtag(space: number, node: string, etag: string): void {
    this.#sql(
      'INSERT INTO head (space, node, etag) VALUES (?, ?, ?) ON CONFLICT (space, node) DO UPDATE SET etag = excluded.etag',
    ).run(space, node, etag);
  }

  certificate(node: string, keyId: string): NodeCertificate | null {
    const row = this.#sql('SELECT json FROM certificate WHERE node = ? AND key_id = ?').get(node, keyId) as
      { json: string } | undefined;
    return row === undefined ? null : (JSON.parse(row.json) as NodeCertificate);
  }

  certificatesOf(node: string): NodeCertificate[] {
    const rows = this.#sql('SELECT json FROM certificate WHERE node = ?').pluck().all(node) as string[];
    return rows.map((json) => JSON.parse(json) as NodeCertificate);
  }

  addCertificate(certificate: NodeCertificate): void {
    this.#sql('INSERT OR REPLACE INTO certificate (node, key_id, json) VALUES (?, ?, ?)').run(
      certificate.node,
      certificate.key_id,
      JSON.stringify(certificate),
    );
  }

  /**
   * Makes an operation wait.
   * @param entry.parked until its memory is written again, instead of until the next try
   */
  wait(space: number, entry: Omit<WaitingOperation, 'since'> & { parked: boolean }, now: number): void {
    this.#sql(
      `INSERT INTO waiting (space, key, version, line, origin, reason, since, parked) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET line = excluded.line, reason = excluded.reason, parked = excluded.parked`,
    ).run(space, entry.key, entry.version, entry.line, entry.origin, entry.reason, now, entry.parked ? 1 : 0);
    this.#hasParked ||= entry.parked;
  }

  /** Returns operations that may be retried, oldest version first. */
  listWaiting(space: number): WaitingOperation[] {
    return this.#sql(
      `SELECT key, version, line, origin, reason, since FROM waiting WHERE space = ? AND parked = 0
         ORDER BY key, version`,
    ).all(space) as WaitingOperation[];
  }

  countWaiting(space: number): number {
    return this.#sql('SELECT count(*) FROM waiting WHERE space = ? AND parked = 0')
      .pluck()
      .get(space) as number;
  }

  stopWaiting(space: number, key: Buffer, version: string): void {
    this.#sql('DELETE FROM waiting WHERE space = ? AND key = ? AND version = ?').run(space, key, version);
  }

  /** Releases everything that was parked for one reason. */
  unparkReason(space: number, reason: string): void {
    this.#sql('UPDATE waiting SET parked = 0 WHERE space = ? AND reason = ? AND parked = 1').run(
      space,
      reason,
    );
  }

  /** Returns whether any operation on a memory waits, parked or not. */
  isWaiting(space: number, key: Buffer): boolean {
    return (
      this.#sql('SELECT 1 FROM waiting WHERE space = ? AND key = ? LIMIT 1').get(space, key) !== undefined
    );
  }

  /** Returns the operations parked for one reason. */
  listParkedFor(space: number, reason: string): string[] {
    return this.#sql('SELECT line FROM waiting WHERE space = ? AND reason = ?')
      .pluck()
      .all(space, reason) as string[];
  }

  /** Releases what was parked for a memory. */
  unpark(space: number, key: Buffer): void {
    if (!this.#hasParked) return;
    this.#sql('UPDATE waiting SET parked = 0 WHERE space = ? AND key = ?').run(space, key);
  }

  /** Records which session a peer's memory_session_id belongs to; the first record stays. */
  addAlias(memory: string, session: Buffer): void {
    this.#sql('INSERT OR IGNORE INTO alias (memory, session) VALUES (?, ?)').run(memory, session);
  }

  aliasOf(memory: string): Buffer | null {
    const row = this.#sql('SELECT session FROM alias WHERE memory = ?').get(memory) as
      { session: Buffer } | undefined;
    return row?.session ?? null;
  }

  /** Returns a peer's memory_session_id for a session, if one is known. */
  memoryOf(session: Buffer): string | null {
    const row = this.#sql('SELECT memory FROM alias WHERE session = ? LIMIT 1').get(session) as
      { memory: string } | undefined;
    return row?.memory ?? null;
  }

  /** Returns every memory_session_id under which peers know a session. */
  memoriesOf(session: Buffer): string[] {
    return this.#sql('SELECT memory FROM alias WHERE session = ? ORDER BY memory')
      .pluck()
      .all(session) as string[];
  }

  /** Returns everything that waits, parked or not: the operations as received. */
  listWaitingLines(space: number): { key: Buffer; line: string }[] {
    return this.#sql('SELECT key, line FROM waiting WHERE space = ? ORDER BY key, version').all(space) as {
      key: Buffer;
      line: string;
    }[];
  }

  /** Records that some operations of a segment could not be read, so that it does not count as used. */
  noteUnreadable(id: number, problem: string): void {
    this.#sql('UPDATE segment SET problem = ? WHERE id = ?').run(problem, id);
  }

  /**
   * Makes partly unreadable segments fetched again when this version reads more than the one that recorded
   * them.
   * @param reads operation.ts FORMAT_VERSION
   */
  fetchAgainSince(reads: number): void {
    const filed = this.#sql(`SELECT value FROM meta WHERE name = 'reads'`).get() as
      { value: number } | undefined;
    if (filed?.value === reads) return;
    this.#sql(`UPDATE segment SET state = 'damaged' WHERE state = 'applied' AND problem IS NOT NULL`).run();
    this.#sql('UPDATE space SET last_full_list = 0').run();
    this.#sql(`INSERT OR REPLACE INTO meta (name, value) VALUES ('reads', ?)`).run(reads);
  }

  /** Records segments as used without fetching them: a snapshot covered everything in them. */
  markCovered(space: number, names: readonly SegmentName[], at: number): void {
    for (const name of names) {
      this.#sql(
        `INSERT INTO segment (space, node, epoch, seq, hash, state, at) VALUES (?, ?, ?, ?, ?, 'applied', ?)
         ON CONFLICT DO UPDATE SET state = 'applied', problem = NULL WHERE segment.state = 'damaged'`,
      ).run(space, name.node, name.epoch, name.seq, name.hash, at);
    }
  }

  /**
   * Returns a node's segments that this ledger has used or sent, and when it recorded them (epoch
   * milliseconds).
   */
  listUsedOf(space: number, node: string): (SegmentName & { at: number })[] {
    return this.#sql(
      `SELECT node, epoch, seq, hash, at FROM segment
       WHERE space = ? AND node = ? AND state IN ('own', 'applied') AND ${IS_SEGMENT}`,
    ).all(space, node) as (SegmentName & { at: number })[];
  }

  /**
   * Returns when the first segment of a space was recorded, epoch milliseconds; Infinity when there is none.
   */
  firstRecordedAt(space: number): number {
    const at = this.#sql('SELECT min(at) FROM segment WHERE space = ?').pluck().get(space) as number | null;
    return at ?? Infinity;
  }

  /** Marks this node's segments that collection removes from the store, so that they are not restored. */
  markCollected(space: number, names: readonly SegmentName[]): void {
    for (const { node, epoch, seq, hash } of names) {
      this.#sql(
        `UPDATE segment SET state = 'applied' WHERE space = ? AND node = ? AND epoch = ? AND seq = ? AND hash = ?
         AND state = 'own'`,
      ).run(space, node, epoch, seq, hash);
    }
  }

  /** Keeps columns of a memory that this claude-mem lacks; null when there are none left. */
  setExtra(key: Buffer, columns: Row | null): void {
    if (columns === null) this.#sql('DELETE FROM extra WHERE key = ?').run(key);
    else {
      this.#sql('INSERT OR REPLACE INTO extra (key, columns) VALUES (?, ?)').run(
        key,
        JSON.stringify(columns),
      );
      this.#hasExtra = true;
    }
  }

  extraOf(key: Buffer): Row | null {
    if (!this.#hasExtra) return null;
    const text = this.#sql('SELECT columns FROM extra WHERE key = ?').pluck().get(key) as string | undefined;
    return text === undefined ? null : (JSON.parse(text) as Row);
  }

  /** Returns memories with kept columns, after a key; used when claude-mem gains columns. */
  extras(after: Buffer, limit: number): { key: Buffer; columns: Row }[] {
    const rows = this.#sql('SELECT key, columns FROM extra WHERE key > ? ORDER BY key LIMIT ?').all(
      after,
      limit,
    ) as { key: Buffer; columns: string }[];
    return rows.map(({ key, columns }) => ({ key, columns: JSON.parse(columns) as Row }));
  }
}
