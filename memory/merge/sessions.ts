import type Database from 'better-sqlite3';
import type { Changes } from '../detect/changes.ts';
import type { RowReader } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import type { RowWriter } from '../claude-mem/write.ts';
import { DEFAULT_PLATFORM, memoryKey, type SessionName } from '../format/keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SessionRef } from '../format/operation.ts';
import type { Kind } from '../format/kinds.ts';
import { EVERY_SPACE } from '../ledger/entities.ts';
import { markOf } from '../detect/marks.ts';
import { textOf, type Row, type Value } from '../format/values.ts';
import { UNVERSIONED, hasPassed } from '../format/versions.ts';

/** A session row of this database. */
export interface LocalSession {
  readonly id: number;
  readonly contentSessionId: string;
  readonly memorySessionId: string | null;
}

interface RawSession {
  id: number;
  content_session_id: string;
  memory_session_id: string | null;
}

/** A row that needs a session. */
export interface Belonging {
  readonly kind: Kind;
  readonly of: SessionRef | null;
  /** Columns that a stub session copies from the row. */
  readonly set: Row;
}

/** A session to put a row into, or why the row must wait. */
export type Resolved = { readonly session: LocalSession } | { readonly waits: string };

/**
 * A session of this machine counts as in use for this long after its last activity (a day, in milliseconds).
 */
const ACTIVE_FOR_MS = 24 * 3_600_000;

/** Reason for rows whose session the running worker has in memory. */
const IN_USE = 'its session is in use here';

/** Returns the key of a session. */
export function sessionKey(name: SessionName): Buffer {
  return memoryKey('session', {}, name);
}

/**
 * Finds the sessions that incoming rows belong to, and creates stubs where it must. Works inside the merge's
 * transaction.
 */
export class Sessions {
  readonly #db: Database.Database;
  readonly #ledger: Ledger;
  readonly #writer: RowWriter;
  readonly #reader: RowReader;
  readonly #schema: ClaudeMemSchema;
  readonly #now: () => number;
  readonly #changes: Pick<Changes, 'bury'>;
  readonly #selects = new Map<string, Database.Statement<(string | number)[], RawSession>>();
  /** Cache of sessions begun by peers that accept any row, by name; valid for one count of session writes. */
  readonly #ready = new Map<string, LocalSession>();
  #readyAt = 0;

  constructor(context: {
    db: Database.Database;
    ledger: Ledger;
    writer: RowWriter;
    reader: RowReader;
    schema: ClaudeMemSchema;
    now: () => number;
    changes: Pick<Changes, 'bury'>;
  }) {
    this.#changes = context.changes;
    this.#db = context.db;
    this.#ledger = context.ledger;
    this.#writer = context.writer;
    this.#reader = context.reader;
    this.#schema = context.schema;
    this.#now = context.now;
  }

  /**
   * Returns the session with a global name, or null. An old database knows sessions by content_session_id
   * alone. If it has that id for another platform, the table refuses a second one, and the rows wait for an
   * upgrade.
   */
  find(name: SessionName): LocalSession | null {
    return this.#select('content_session_id = ? AND platform_source = ?', name.session, name.platform);
  }

  byId(id: number): LocalSession | null {
    return this.#select('id = ?', id);
  }

  /** Returns whether a memory_session_id is taken here. */
  isTaken(memorySessionId: string): boolean {
    return this.#select('memory_session_id = ?', memorySessionId) !== null;
  }

  /**
   * Returns the session for an incoming row.
   * @param stub whether to create a missing session, so that the row is not lost
   */
  resolve(operation: Belonging, stub: boolean): Resolved {
    if (this.#readyAt !== this.#writer.sessionWrites) this.forget();
    const { of } = operation;
    const name = of !== null && 'session' in of ? `${of.platform}\0${of.session}` : null;
    const ready = name === null ? undefined : this.#ready.get(name);
    if (ready !== undefined) return { session: ready };
    const found = this.#lookUp(operation);
    if (found === null) {
      if (!stub && !this.#isOrphan(operation)) return { waits: 'its session has not arrived yet' };
      return this.#usable(this.#makeStub(operation), operation, null);
    }
    const { session, key } = found;
    if (name !== null && key !== null && session.memorySessionId !== null) {
      const origin = this.#ledger.entities.byKey(key)?.origin ?? null;
      if (origin !== null) this.#ready.set(name, session);
    }
    return this.#usable(session, operation, key);
  }

  /** Call at the start of a transaction: others may have written sessions since the previous one. */
  forget(): void {
    this.#ready.clear();
    this.#readyAt = this.#writer.sessionWrites;
  }

  /**
   * Returns whether the running worker uses a session: begun here, not finished, active within the last day.
   * Its row is left alone, because the worker holds it in memory.
   */
  isInUse(id: number, key: Buffer | null): boolean {
    const entity =
      key === null ? this.#ledger.entities.byRow('session', id) : this.#ledger.entities.byKey(key);
    if (entity === null || entity.origin !== null) return false;
    const row = this.#reader.byId('session', id);
    if (row === null || row.set['status'] !== 'active') return false;
    const now = this.#now();
    const since = now - ACTIVE_FOR_MS;
    if (!hasPassed(Number(row.set['started_at_epoch'] ?? 0), ACTIVE_FOR_MS, now)) return true;
    const prompted = this.#db
      .prepare(
        'SELECT 1 FROM user_prompts WHERE content_session_id = ? AND created_at_epoch BETWEEN ? AND ? LIMIT 1',
      )
      .get(row.set['content_session_id'], since, now);
    return prompted !== undefined;
  }

  /** Returns whether any row belongs to a session. */
  hasRows(id: number): boolean {
    if (this.#reader.promptsOf(id).length > 0) return true;
    const memory = this.byId(id)?.memorySessionId ?? null;
    return memory !== null && this.#hasMemories(memory);
  }

  #hasMemories(memory: string): boolean {
    return ['observations', 'session_summaries'].some(
      (table) =>
        this.#db.prepare(`SELECT 1 FROM ${table} WHERE memory_session_id = ? LIMIT 1`).get(memory) !==
        undefined,
    );
  }

  /**
   * Returns a memory_session_id for an incoming session: the peer's if it is free here, else a generated one.
   */
  chooseMemoryId(key: Buffer, preferred: string | null): string {
    if (preferred !== null && !this.isTaken(preferred)) return preferred;
    const own = `membridge-${key.toString('hex').slice(0, 24)}`;
    // Another sync may have created a session with the id that this one has on another machine.
    let free = own;
    for (let n = 2; this.isTaken(free); n += 1) free = `${own}-${n}`;
    return free;
  }

  #lookUp(operation: Belonging): { session: LocalSession; key: Buffer | null } | null {
    const { of } = operation;
    if (of === null) return null;
    if ('session' in of) {
      const key = sessionKey(of);
      const direct = this.find(of);
      if (direct !== null) return { session: direct, key };
      return this.#byKey(key);
    }
    const direct = this.#select('memory_session_id = ?', of.memory);
    if (direct !== null) return { session: direct, key: null };
    const alias = this.#ledger.inbox.aliasOf(of.memory);
    if (alias !== null) return this.#byKey(alias);
    // In old claude-mem the memory id started out equal to the conversation's id.
    const name: SessionName = { platform: DEFAULT_PLATFORM, session: of.memory };
    const session = this.find(name);
    return session === null ? null : { session, key: sessionKey(name) };
  }

  #byKey(key: Buffer): { session: LocalSession; key: Buffer } | null {
    const row = this.#ledger.entities.byKey(key)?.row ?? null;
    const session = row === null ? null : this.byId(row);
    return session === null ? null : { session, key };
  }

  #isOrphan(operation: Belonging): boolean {
    return operation.of !== null && 'memory' in operation.of;
  }

  /**
   * Returns whether a peer's row may refer to a session. The running worker may still change or clear the
   * session's memory_session_id, and a row that refers to it can block that. So a peer's row may not be the
   * first, and none is allowed where rows do not follow such a change.
   */
  #canAttach({ id, memorySessionId }: LocalSession, kind: Kind, key: Buffer | null): boolean {
    if (!this.isInUse(id, key)) return true;
    return (
      this.#schema.followsSession[kind] && memorySessionId !== null && this.#hasMemories(memorySessionId)
    );
  }

  /**
   * Returns the session if a row can use it. Prompts refer to the session itself; observations and summaries
   * need its memory_session_id.
   */
  #usable(session: LocalSession, operation: Belonging, key: Buffer | null): Resolved {
    if (operation.kind === 'prompt') return { session };
    if (session.memorySessionId !== null) {
      return this.#canAttach(session, operation.kind, key) ? { session } : { waits: IN_USE };
    }
    if (this.isInUse(session.id, key)) {
      return { waits: 'its session is in use here and has no memory_session_id yet' };
    }
    const name = key ?? sessionKey({ platform: DEFAULT_PLATFORM, session: session.contentSessionId });
    const memorySessionId = this.chooseMemoryId(name, this.#ledger.inbox.memoryOf(name));
    this.#writer.update('session', session.id, { memory_session_id: memorySessionId });
    return { session: { ...session, memorySessionId } };
  }

  /**
   * Creates a stub session for a row whose own session never arrived; claude-mem shows no row without one.
   * Stubs are never sent.
   */
  #makeStub(operation: Belonging): LocalSession {
    const { of, set } = operation;
    const lost = of !== null && 'memory' in of ? of.memory : null;
    const name: SessionName =
      of !== null && 'session' in of ? of : { platform: DEFAULT_PLATFORM, session: lost ?? 'membridge-lost' };
    const key = sessionKey(name);
    const before = this.#ledger.entities.byKey(key);
    // claude-mem has just deleted the session. The stub must not hide that deletion from peers.
    if (before?.dead === false && before.row !== null) this.#changes.bury('session', before.row);
    const memorySessionId = lost ?? this.chooseMemoryId(key, this.#ledger.inbox.memoryOf(key));
    const row: Record<string, Value> = {
      content_session_id: name.session,
      memory_session_id: memorySessionId,
      project: textOf(set['project']) ?? '',
      started_at: set['created_at'] ?? new Date(this.#now()).toISOString(),
      started_at_epoch: set['created_at_epoch'] ?? this.#now(),
      status: 'completed',
    };
    if (this.#schema.columns.session.has('platform_source')) row['platform_source'] = name.platform;
    const id = this.#writer.insert('session', row);
    // From now on, any difference from this mark counts as a write.
    const made = this.#reader.byId('session', id);
    const columns = this.#schema.columns.session;
    if (made !== null)
      this.#ledger.marks.set(
        'session',
        id,
        markOf(made, (column) => columns.has(column)),
      );
    const known = this.#ledger.entities.byKey(key);
    if (known?.dead === true) this.#ledger.entities.save({ ...known, row: id });
    else {
      const stub = { key, kind: 'session', row: id, spaces: EVERY_SPACE, origin: null, dead: false } as const;
      this.#ledger.entities.save({ ...stub, version: UNVERSIONED });
      this.#ledger.entities.saveWritten(key, new Map());
    }
    return { id, contentSessionId: name.session, memorySessionId };
  }

  #select(where: string, ...values: (string | number)[]): LocalSession | null {
    let statement = this.#selects.get(where);
    if (statement === undefined) {
      statement = this.#db.prepare(
        `SELECT id, content_session_id, memory_session_id FROM sdk_sessions WHERE ${where}`,
      );
      this.#selects.set(where, statement);
    }
    const row = statement.get(...values);
    if (row === undefined) return null;
    return { id: row.id, contentSessionId: row.content_session_id, memorySessionId: row.memory_session_id };
  }
}
