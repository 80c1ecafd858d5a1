import Database from 'better-sqlite3';
import { errorMessage } from '../contract/errors.ts';
import { RowReader, type MemoryRow } from './claude-mem/read.ts';
import type { ClaudeMemSchema } from './claude-mem/schema.ts';
import { RowWriter, contentHash } from './claude-mem/write.ts';
import { differingColumns, foldSession } from './fold.ts';
import { SHAPES } from './kinds.ts';
import type { Entity } from './ledger/entities.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LedgerSpace } from './ledger/spaces.ts';
import { formatOperation, parseOperation, sessionNameOf, type Operation } from './operation.ts';
import { Sessions, type LocalSession } from './sessions.ts';
import { sameValue, type Row, type Value } from './values.ts';
import { UNVERSIONED, compareVersions, type Version } from './versions.ts';

/** What an operation did here. */
export type Outcome = 'inserted' | 'updated' | 'same' | 'waiting';

/** Columns whose equality makes two observations the same memory, whatever their hashes say. */
const OBSERVATION_TEXT = ['created_at_epoch', 'type', 'title', 'subtitle', 'narrative', 'text', 'facts'];

/** A merge leaves these of a session alone while the worker of this machine uses it. */
const IN_USE_COLUMNS = new Set([
  'status',
  'started_at',
  'started_at_epoch',
  'completed_at',
  'completed_at_epoch',
]);

/**
 * Applies operations to one claude-mem database. The caller holds a transaction on the database and one on the ledger;
 * applying an operation again changes nothing, so a crash between their commits is harmless.
 */
export class Merger {
  readonly #ledger: Ledger;
  readonly #space: LedgerSpace;
  readonly #schema: ClaudeMemSchema;
  readonly #reader: RowReader;
  readonly #writer: RowWriter;
  readonly #sessions: Sessions;
  readonly #db: Database.Database;
  readonly #now: () => number;

  constructor(context: {
    db: Database.Database;
    schema: ClaudeMemSchema;
    ledger: Ledger;
    space: LedgerSpace;
    now: () => number;
  }) {
    this.#db = context.db;
    this.#ledger = context.ledger;
    this.#space = context.space;
    this.#schema = context.schema;
    this.#now = context.now;
    this.#reader = new RowReader(context.db, context.schema);
    this.#writer = new RowWriter(context.db);
    this.#sessions = new Sessions({ ...context, writer: this.#writer, reader: this.#reader });
  }

  /**
   * Applies one operation.
   * @param origin the ledger's id of the segment that brought it
   * @param stub whether a row whose session is not here gets a stub session rather than waiting
   * @throws SqliteError when the database is locked, full or damaged; a row that a constraint refuses waits instead
   */
  apply(operation: Operation, origin: number, stub: boolean): Outcome {
    try {
      const entity = this.#ledger.entities.byKey(operation.key);
      if (operation.kind === 'session') return this.#applySession(operation, entity, origin);
      if (entity !== null && entity.row !== null)
        return this.#updateChild(operation, entity, entity.row, origin);
      const resolved = this.#sessions.resolve(operation, stub);
      if ('waits' in resolved) return this.#wait(operation, origin, resolved.waits);
      return this.#insertChild(operation, resolved.session, origin);
    } catch (error) {
      // A refused statement leaves the transaction as it was; the row waits with the reason instead of blocking others.
      if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_CONSTRAINT')) {
        return this.#wait(operation, origin, `this claude-mem refuses the row: ${errorMessage(error)}`);
      }
      throw error;
    }
  }

  #applySession(operation: Operation, entity: Entity | null, origin: number): Outcome {
    const name = sessionNameOf(operation);
    if (name === null) return this.#wait(operation, origin, 'the session has no name');
    if (operation.mem !== null) this.#ledger.inbox.addAlias(operation.mem, operation.key);
    const id = entity?.row ?? this.#sessions.find(name)?.id ?? null;
    const current = id === null ? null : this.#reader.byId('session', id);
    if (current === null) {
      // A session that was known and is gone was deleted here: it does not come back by itself.
      if (entity !== null && entity.row !== null)
        return this.#record(operation, entity, entity.row, origin, 'same');
      return this.#insertSession(operation, origin);
    }
    if (current.set['platform_source'] !== name.platform) {
      // A claude-mem that knows sessions by their id alone has one row for the sessions of all platforms: it stays as it is.
      return this.#record(operation, entity, current.id, origin, 'same');
    }
    return this.#foldIn(operation, entity, current, origin);
  }

  #insertSession(operation: Operation, origin: number): Outcome {
    const row = this.#localColumns(operation);
    if (operation.mem !== null) {
      row['memory_session_id'] = this.#sessions.memoryIdFor(operation.key, operation.mem);
    }
    const id = this.#writer.insert('session', row);
    this.#keepExtra(operation);
    return this.#record(operation, null, id, origin, 'inserted');
  }

  #foldIn(operation: Operation, entity: Entity | null, current: MemoryRow, origin: number): Outcome {
    const known = entity?.version ?? UNVERSIONED;
    const isStub =
      entity !== null && entity.origin === null && entity.version.counter === 0 && entity.spaces > 2 ** 52;
    const columns = this.#schema.synced.session;
    const folded = isStub
      ? { ...current.set, ...this.#localColumns(operation) }
      : foldSession(current.set, operation.set, compareVersions(operation.version, known) > 0);
    const inUse = this.#sessions.isInUse(current.id, entity?.key ?? null);
    const differing = differingColumns(folded, current.set, columns);
    const changed = differing.filter((column) => !(inUse && IN_USE_COLUMNS.has(column)));
    const changes: Record<string, Value> = {};
    for (const column of changed) changes[column] = folded[column] ?? null;
    if (current.mem === null && operation.mem !== null && !inUse) {
      changes['memory_session_id'] = this.#sessions.memoryIdFor(operation.key, operation.mem);
    }
    this.#writer.update('session', current.id, changes);
    const outcome = this.#record(
      operation,
      entity,
      current.id,
      origin,
      changed.length > 0 ? 'updated' : 'same',
    );
    // Where this machine knew more than the operation said, the peers must hear it.
    if (differingColumns(folded, operation.set, columns).length > 0) {
      this.#ledger.spaces.markDirty(this.#space.id, operation.key);
    } else {
      this.#ledger.spaces.clearDirty(this.#space.id, operation.key);
    }
    // What was held back is folded in when the worker is done with the session.
    if (differing.length > changed.length) {
      return this.#wait(operation, origin, 'its session is in use here');
    }
    return outcome;
  }

  #updateChild(operation: Operation, entity: Entity, id: number, origin: number): Outcome {
    const { kind } = operation;
    const current = this.#reader.byId(kind, id);
    if (current === null || compareVersions(operation.version, entity.version) <= 0) {
      return this.#record(operation, entity, id, origin, 'same');
    }
    const registers = SHAPES[kind].registers.filter((column) => this.#schema.columns[kind].has(column));
    const changes: Record<string, Value> = {};
    for (const column of differingColumns(operation.set, current.set, registers)) {
      changes[column] = operation.set[column] ?? null;
    }
    this.#writer.update(kind, id, changes);
    return this.#record(operation, entity, id, origin, Object.keys(changes).length > 0 ? 'updated' : 'same');
  }

  #insertChild(operation: Operation, session: LocalSession, origin: number): Outcome {
    const { kind } = operation;
    const columns = this.#schema.columns[kind];
    const row = this.#localColumns(operation);
    if (kind === 'prompt') {
      row['content_session_id'] = session.contentSessionId;
      if (columns.has('session_db_id')) row['session_db_id'] = session.id;
    } else {
      row['memory_session_id'] = session.memorySessionId;
    }
    if (kind === 'observation' && columns.has('content_hash') && session.memorySessionId !== null) {
      const twin = this.#settleContentHash(row, session.memorySessionId, operation);
      if (twin !== null) return this.#record(operation, null, twin, origin, 'same');
    }
    // What claude-mem's own cloud sync writes into rows of other devices, so that it does not send them as its own.
    if (columns.has('origin_device_id')) row['origin_device_id'] = `membridge:${operation.version.node}`;
    if (columns.has('origin_local_id')) row['origin_local_id'] = operation.key.toString('hex').slice(0, 32);
    if (columns.has('synced_at')) row['synced_at'] = this.#now();
    if (columns.has('sync_rev')) row['sync_rev'] = '1';
    const id = this.#writer.insert(kind, row);
    this.#keepExtra(operation);
    return this.#record(operation, null, id, origin, 'inserted');
  }

  /**
   * Chooses a content hash that is free within the session. Hashes are random on old rows, so a clash says nothing:
   * the same text is the same memory, other text gets a hash of its own.
   * @returns the local id of the row that is the same memory, or null when the row is to be inserted
   */
  #settleContentHash(
    row: Record<string, Value>,
    memorySessionId: string,
    operation: Operation,
  ): number | null {
    const byHash = this.#db.prepare(
      'SELECT id FROM observations WHERE memory_session_id = ? AND content_hash = ? LIMIT 1',
    );
    const computed = contentHash(memorySessionId, row['title'] ?? null, row['narrative'] ?? null);
    const candidates = [row['content_hash'], computed, operation.key.toString('hex').slice(0, 16)];
    for (const candidate of candidates) {
      if (typeof candidate !== 'string') continue;
      const holder = byHash.get(memorySessionId, candidate) as { id: number } | undefined;
      if (holder === undefined) {
        row['content_hash'] = candidate;
        return null;
      }
      const other = this.#reader.byId('observation', holder.id);
      if (other !== null && sameText(other.set, operation.set)) return holder.id;
    }
    row['content_hash'] = operation.key.toString('hex');
    return null;
  }

  #localColumns(operation: Operation): Record<string, Value> {
    const columns = this.#schema.columns[operation.kind];
    return Object.fromEntries(Object.entries(operation.set).filter(([column]) => columns.has(column)));
  }

  /** Columns that this claude-mem has no place for are kept for the day it has one. */
  #keepExtra(operation: Operation): void {
    const columns = this.#schema.columns[operation.kind];
    const homeless = Object.entries(operation.set).filter(([column]) => !columns.has(column));
    const kept = { ...Object.fromEntries(homeless), ...operation.extra };
    if (Object.keys(kept).length > 0) this.#ledger.inbox.keepExtra(operation.key, JSON.stringify(kept));
  }

  #record(
    operation: Operation,
    entity: Entity | null,
    row: number,
    origin: number,
    outcome: Outcome,
  ): Outcome {
    const known: Version = entity?.version ?? UNVERSIONED;
    const version = compareVersions(operation.version, known) > 0 ? operation.version : known;
    this.#ledger.entities.record(operation.key, operation.kind, row, this.#space.id, version, origin);
    return outcome;
  }

  #wait(operation: Operation, origin: number, reason: string): Outcome {
    const waiting = this.#ledger.inbox.waitingLine(this.#space.id, operation.key);
    if (waiting !== null && compareVersions(parseOperation(waiting).version, operation.version) > 0) {
      return 'waiting';
    }
    const line = formatOperation(operation);
    this.#ledger.inbox.wait(this.#space.id, { key: operation.key, line, origin, reason }, this.#now());
    return 'waiting';
  }
}

function sameText(a: Row, b: Row): boolean {
  return OBSERVATION_TEXT.every((column) => sameValue(a[column] ?? null, b[column] ?? null));
}
