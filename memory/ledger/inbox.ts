import type Database from 'better-sqlite3';
import type { NodeCertificate } from '../../contract/nodes.ts';
import type { SegmentName } from '../layout.ts';

/** A segment that was fetched and verified, with operations still to apply. */
export interface StagedSegment {
  readonly id: number;
  readonly node: string;
  readonly epoch: string;
  readonly seq: number;
  /** Operations applied so far, in the order of application. */
  readonly done: number;
  readonly bytes: Buffer;
}

/** An operation that could not be applied yet. */
export interface WaitingOperation {
  readonly key: Buffer;
  readonly line: string;
  readonly origin: number;
  readonly reason: string;
  /** Epoch ms. */
  readonly since: number;
}

/** What the ledger holds of the peers' side: segments, heads, certificates, operations that wait. */
export class Inbox {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** Files a verified segment; one that is filed already, or was damaged before, takes the new bytes. */
  stage(space: number, name: SegmentName, bytes: Buffer, at: number): void {
    const filed = this.#db
      .prepare(
        `INSERT INTO segment (space, node, epoch, seq, hash, state, at) VALUES (?, ?, ?, ?, ?, 'staged', ?)
         ON CONFLICT DO UPDATE SET state = 'staged', problem = NULL WHERE segment.state = 'damaged' RETURNING id`,
      )
      .get(space, name.node, name.epoch, name.seq, name.hash, at) as { id: number } | undefined;
    if (filed === undefined) return;
    this.#db.prepare('INSERT OR REPLACE INTO staged (segment, bytes) VALUES (?, ?)').run(filed.id, bytes);
  }

  /** Files a segment that failed verification, so that it is reported and fetched anew later. */
  markDamaged(space: number, name: SegmentName, problem: string, at: number): void {
    this.#db
      .prepare(
        `INSERT INTO segment (space, node, epoch, seq, hash, state, problem, at) VALUES (?, ?, ?, ?, ?, 'damaged', ?, ?)
         ON CONFLICT DO UPDATE SET problem = excluded.problem, at = excluded.at WHERE segment.state = 'damaged'`,
      )
      .run(space, name.node, name.epoch, name.seq, name.hash, problem, at);
  }

  /** Files a segment of our own, so that a pull does not fetch it. */
  recordOwn(space: number, name: SegmentName, at: number): void {
    this.#db
      .prepare(
        `INSERT OR IGNORE INTO segment (space, node, epoch, seq, hash, state, at) VALUES (?, ?, ?, ?, ?, 'own', ?)`,
      )
      .run(space, name.node, name.epoch, name.seq, name.hash, at);
  }

  /** Segments that this ledger sent. */
  own(space: number, node: string): SegmentName[] {
    return this.#db
      .prepare(`SELECT node, epoch, seq, hash FROM segment WHERE space = ? AND node = ? AND state = 'own'`)
      .all(space, node) as SegmentName[];
  }

  /** Forgets every segment and head of a space. */
  forgetSpace(space: number): void {
    for (const table of ['segment', 'head', 'outbox']) {
      this.#db.prepare(`DELETE FROM ${table} WHERE space = ?`).run(space);
    }
  }

  /** Whether a listed segment needs no fetching. */
  has(space: number, name: SegmentName): boolean {
    return (
      this.#db
        .prepare(
          `SELECT 1 FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = ? AND hash = ? AND state <> 'damaged'`,
        )
        .get(space, name.node, name.epoch, name.seq, name.hash) !== undefined
    );
  }

  /** Whether a segment is filed, damaged or not: what the chain of its successor is checked against. */
  hasPlace(space: number, node: string, epoch: string, seq: number, hash: string): boolean {
    return (
      this.#db
        .prepare('SELECT 1 FROM segment WHERE space = ? AND node = ? AND epoch = ? AND seq = ? AND hash = ?')
        .get(space, node, epoch, seq, hash) !== undefined
    );
  }

  /** The last segment of a node in listing order, or null. */
  last(space: number, node: string): SegmentName | null {
    const row = this.#db
      .prepare(
        `SELECT node, epoch, seq, hash FROM segment WHERE space = ? AND node = ? AND state <> 'damaged'
         ORDER BY epoch DESC, seq DESC, hash DESC LIMIT 1`,
      )
      .get(space, node) as SegmentName | undefined;
    return row ?? null;
  }

  /** The last segment held of every node, as "epoch/seq": what this node can vouch to have. */
  applied(space: number): Record<string, string> {
    const rows = this.#db
      .prepare(
        `SELECT node, max(epoch || '/' || printf('%012d', seq)) AS place FROM segment
         WHERE space = ? AND state IN ('own', 'applied') GROUP BY node`,
      )
      .all(space) as { node: string; place: string }[];
    return Object.fromEntries(rows.map(({ node, place }) => [node, place]));
  }

  /** The next segment with operations to apply, or null. */
  nextStaged(space: number): StagedSegment | null {
    const row = this.#db
      .prepare(
        `SELECT id, node, epoch, seq, done, bytes FROM segment JOIN staged ON staged.segment = segment.id
         WHERE space = ? AND state = 'staged' ORDER BY id LIMIT 1`,
      )
      .get(space) as StagedSegment | undefined;
    return row ?? null;
  }

  setDone(id: number, done: number): void {
    this.#db.prepare('UPDATE segment SET done = ? WHERE id = ?').run(done, id);
  }

  markApplied(id: number): void {
    this.#db.prepare(`UPDATE segment SET state = 'applied' WHERE id = ?`).run(id);
    this.#db.prepare('DELETE FROM staged WHERE segment = ?').run(id);
  }

  markUnreadable(id: number, problem: string): void {
    this.#db.prepare(`UPDATE segment SET state = 'damaged', problem = ? WHERE id = ?`).run(problem, id);
    this.#db.prepare('DELETE FROM staged WHERE segment = ?').run(id);
  }

  /** Segments of a space that failed verification or could not be read, with the reason. */
  damaged(space: number): { node: string; seq: number; problem: string }[] {
    return this.#db
      .prepare(
        `SELECT node, seq, problem FROM segment WHERE space = ? AND state = 'damaged' ORDER BY node, seq`,
      )
      .all(space) as { node: string; seq: number; problem: string }[];
  }

  headEtag(space: number, node: string): string | null {
    const row = this.#db.prepare('SELECT etag FROM head WHERE space = ? AND node = ?').get(space, node) as
      { etag: string } | undefined;
    return row?.etag ?? null;
  }

  setHeadEtag(space: number, node: string, etag: string): void {
    this.#db
      .prepare(
        'INSERT INTO head (space, node, etag) VALUES (?, ?, ?) ON CONFLICT (space, node) DO UPDATE SET etag = excluded.etag',
      )
      .run(space, node, etag);
  }

  certificate(node: string, keyId: string): NodeCertificate | null {
    const row = this.#db
      .prepare('SELECT json FROM certificate WHERE node = ? AND key_id = ?')
      .get(node, keyId) as { json: string } | undefined;
    return row === undefined ? null : (JSON.parse(row.json) as NodeCertificate);
  }

  addCertificate(certificate: NodeCertificate): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO certificate (node, key_id, json) VALUES (?, ?, ?)')
      .run(certificate.node, certificate.key_id, JSON.stringify(certificate));
  }

  wait(space: number, operation: Omit<WaitingOperation, 'since'>, now: number): void {
    this.#db
      .prepare(
        `INSERT INTO waiting (space, key, line, origin, reason, since) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (space, key) DO UPDATE SET line = excluded.line, origin = excluded.origin, reason = excluded.reason`,
      )
      .run(space, operation.key, operation.line, operation.origin, operation.reason, now);
  }

  /** The line of an operation that waits, or null. */
  waitingLine(space: number, key: Buffer): string | null {
    const line = this.#db
      .prepare('SELECT line FROM waiting WHERE space = ? AND key = ?')
      .pluck()
      .get(space, key) as string | undefined;
    return line ?? null;
  }

  waiting(space: number): WaitingOperation[] {
    return this.#db
      .prepare('SELECT key, line, origin, reason, since FROM waiting WHERE space = ?')
      .all(space) as WaitingOperation[];
  }

  waitingCount(space: number): number {
    const row = this.#db.prepare('SELECT count(*) AS count FROM waiting WHERE space = ?').get(space) as {
      count: number;
    };
    return row.count;
  }

  stopWaiting(space: number, key: Buffer): void {
    this.#db.prepare('DELETE FROM waiting WHERE space = ? AND key = ?').run(space, key);
  }

  /** Notes which session a peer's memory_session_id belongs to; the first word stands. */
  addAlias(memory: string, session: Buffer): void {
    this.#db.prepare('INSERT OR IGNORE INTO alias (memory, session) VALUES (?, ?)').run(memory, session);
  }

  aliasOf(memory: string): Buffer | null {
    const row = this.#db.prepare('SELECT session FROM alias WHERE memory = ?').get(memory) as
      { session: Buffer } | undefined;
    return row?.session ?? null;
  }

  /** A peer's memory_session_id for a session, when one was told. */
  memoryOf(session: Buffer): string | null {
    const row = this.#db.prepare('SELECT memory FROM alias WHERE session = ? LIMIT 1').get(session) as
      { memory: string } | undefined;
    return row?.memory ?? null;
  }

  keepExtra(key: Buffer, columns: string): void {
    this.#db.prepare('INSERT OR REPLACE INTO extra (key, columns) VALUES (?, ?)').run(key, columns);
  }
}
