import Database from 'better-sqlite3';
import type { SpaceConfig } from '../contract/memory.ts';
import { errorMessage } from '../contract/errors.ts';
import { Changes } from './changes.ts';
import { AuditReader } from './claude-mem/audit-reader.ts';
import { RowReader, type MemoryRow } from './claude-mem/read.ts';
import type { ClaudeMemSchema } from './claude-mem/schema.ts';
import { contentHash, RowWriter } from './claude-mem/write.ts';
import { canonicalJson } from './canonical-json.ts';
import { differingColumns, foldLattices } from './fold.ts';
import { LINK, SHAPES, UNITS, type Kind, type Unit } from './kinds.ts';
import { keyColumns } from './keys.ts';
import { DEATH, WHOLE } from './ledger/dirty.ts';
import { LIFE, isKnownIn, isStub, type Entity } from './ledger/entities.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LedgerSpace } from './ledger/spaces.ts';
import { ProjectNames } from './names.ts';
import { PendingRows, type PendingRow } from './pending-rows.ts';
import {
  formatOperation,
  linkedSession,
  sessionNameOf,
  valuesOf,
  type DeleteOperation,
  type FullOperation,
  type Operation,
  type SessionRef,
  type UpdateOperation,
} from './operation.ts';
import { hash32 } from './marks.ts';
import { mergeRegisters, type Registers, type Written } from './registers.ts';
import { Sessions, type LocalSession } from './sessions.ts';
import { NOT_TRUSTED, trustIn } from './trust.ts';
import { sameValue, type Row, type Value } from './values.ts';
import { UNVERSIONED, compareVersions, versionText, type HybridClock } from './versions.ts';

/** What an operation did here. */
export type Outcome = 'inserted' | 'updated' | 'deleted' | 'same' | 'waiting';

/** Rows that are inserted at a time. */
const FLUSH_ROWS = 50;

/** What merging works with; `db` is a connection that may write. */
export interface MergeContext {
  readonly db: Database.Database;
  readonly schema: ClaudeMemSchema;
  readonly ledger: Ledger;
  readonly space: LedgerSpace;
  readonly config: SpaceConfig;
  readonly clock: HybridClock;
  readonly node: string;
  readonly now: () => number;
}

/** An operation and where it came from. */
interface Incoming<T extends Operation = Operation> {
  readonly operation: T;
  /** The ledger's id of the segment that brought it. */
  readonly origin: number;
  /** Whether a row whose session is not here gets a stub session rather than waiting. */
  readonly stub: boolean;
}

/**
 * Applies operations to one claude-mem database. The caller holds a transaction on the database and one on the ledger;
 * applying an operation again changes nothing, so a crash between their commits is harmless.
 */
export class Merger {
  readonly #context: MergeContext;
  readonly #ledger: Ledger;
  readonly #reader: RowReader;
  readonly #writer: RowWriter;
  readonly #sessions: Sessions;
  readonly #changes: Changes;
  readonly #names: ProjectNames;
  readonly #auditReader: AuditReader;
  readonly #pending = new PendingRows();
  #byHash: Database.Statement<unknown[]> | null = null;

  constructor(context: MergeContext) {
    this.#context = context;
    this.#ledger = context.ledger;
    this.#reader = new RowReader(context.db, context.schema);
    this.#auditReader = new AuditReader(context.db, context.schema, this.#reader);
    this.#writer = new RowWriter(context.db);
    this.#sessions = new Sessions({ ...context, writer: this.#writer, reader: this.#reader });
    this.#changes = new Changes(context);
    this.#names = new ProjectNames(context.config.names);
  }

  /**
   * Applies one operation.
   * @param origin the ledger's id of the segment that brought it
   * @param stub whether a row whose session is not here gets a stub session rather than waiting
   * @throws SqliteError when the database is locked, full or damaged; a row that a constraint refuses waits instead
   */
  apply(operation: Operation, origin: number, stub: boolean): Outcome {
    // Only operations on rows that are still to be inserted, and deletions, need those rows to be there.
    if (operation.type === 'delete' || this.#pending.has(operation.key)) this.flush();
    try {
      const incoming = { origin, stub };
      // What comes by way of another node is judged by who wrote it.
      if (trustIn(this.#context.config, operation.version.node) !== 'accept') {
        return this.#wait(operation, origin, NOT_TRUSTED, true);
      }
      switch (operation.type) {
        case 'full':
          return this.#applyFull({ ...incoming, operation });
        case 'update':
          return this.#applyUpdate({ ...incoming, operation });
        case 'delete':
          return this.#applyDelete({ ...incoming, operation });
      }
    } catch (error) {
      // A refused statement leaves the transaction as it was; the row waits with the reason instead of blocking others.
      if (isRefusal(error)) {
        return this.#wait(operation, origin, `this claude-mem refuses the row: ${errorMessage(error)}`);
      }
      throw error;
    }
  }

  /**
   * Inserts the rows that were applied and are still to be inserted: to be called before the transactions end.
   * @returns how many of them this claude-mem refused, so that they wait instead
   */
  flush(): number {
    let refused = 0;
    for (const group of this.#pending.takeGroups()) {
      const [first] = group;
      if (first === undefined) continue;
      const { kind } = first.operation;
      let ids: readonly (number | null)[];
      // A refused group is undone to here, and tried row by row.
      this.#context.db.exec('SAVEPOINT pending');
      try {
        ids = this.#writer.insertMany(
          kind,
          group.map(({ row }) => row),
        );
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.#context.db.exec('ROLLBACK TO pending');
        ids = group.map((each) => this.#insertAlone(each));
      }
      this.#context.db.exec('RELEASE pending');
      const inserted = ids.filter((id) => id !== null);
      const marks = new Map(this.#marksFrom(kind, inserted));
      group.forEach(({ operation, origin }, index) => {
        const id = ids[index] ?? null;
        if (id === null) {
          refused += 1;
          return;
        }
        const mark = marks.get(id);
        if (mark === undefined) throw new Error(`a row that was just inserted is not at its id ${id}`);
        this.#ledger.marks.set(kind, id, mark);
        this.#keepHomeless(operation);
        this.#saved(operation, null, id, origin);
        if (operation.written.size > 0) this.#ledger.entities.saveWritten(operation.key, operation.written);
        this.#ledger.inbox.unpark(this.#context.space.id, operation.key);
      });
    }
    return refused;
  }

  /** Flushes when so many rows wait that inserting them takes some milliseconds. */
  flushIfMany(): number {
    return this.#pending.size >= FLUSH_ROWS ? this.flush() : 0;
  }

  #insertAlone({ operation, origin, row }: PendingRow): number | null {
    try {
      return this.#writer.insert(operation.kind, row);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#wait(operation, origin, `this claude-mem refuses the row: ${errorMessage(error)}`);
      return null;
    }
  }

  /** The marks of rows that were just inserted. */
  #marksFrom(kind: Kind, ids: readonly number[]): [number, Buffer][] {
    const [first, last] = [ids[0], ids.at(-1)];
    if (first === undefined || last === undefined) return [];
    return this.#auditReader.after(kind, first - 1, last - first + 1).map(({ id, mark }) => [id, mark]);
  }

  #applyFull(incoming: Incoming<FullOperation>): Outcome {
    const { operation, origin } = incoming;
    if (operation.mem !== null) this.#ledger.inbox.addAlias(operation.mem, operation.key);
    const entity = this.#ledger.entities.byKey(operation.key);
    if (entity?.dead === true) {
      if (compareVersions(operation.version, this.#ledger.entities.lifeOf(entity)) <= 0) {
        if (!isKnownIn(entity, this.#context.space.id)) this.#tellHere(entity, DEATH);
        return this.#noted(entity);
      }
      const stub = this.#rowOf(operation, entity);
      return stub === null ? this.#insert(incoming, entity) : this.#fillStub(incoming, entity, stub);
    }
    const row = this.#rowOf(operation, entity);
    if (row === null) {
      // A row that was told of and is gone was deleted here: the next audit says so; it does not come back by itself.
      if (entity !== null && entity.row !== null && entity.version.counter > 0) return this.#noted(entity);
      return this.#insert(incoming, entity);
    }
    if (operation.kind === 'session' && row.set['platform_source'] !== sessionNameOf(operation)?.platform) {
      // A claude-mem that knows sessions by their id alone has one row for the sessions of all platforms: it stays as it is.
      return this.#noted(this.#saved(operation, entity, row.id, origin));
    }
    if (entity !== null && isStub(entity)) return this.#fillStub(incoming, entity, row);
    const known = entity ?? { ...this.#newEntity(operation, origin), origin: null, version: UNVERSIONED };
    return this.#mergeInto(incoming, known, row, {
      values: valuesOf(this.#names.rowToLocal(operation.set), operation.of),
      written: { base: operation.version, units: operation.written },
    });
  }

  #applyUpdate(incoming: Incoming<UpdateOperation>): Outcome {
    const { operation, origin } = incoming;
    const entity = this.#ledger.entities.byKey(operation.key);
    if (entity === null) return this.#wait(operation, origin, 'its memory has not arrived yet');
    if (entity.dead) {
      // A write that the deletion did not know of counts again if somebody writes the memory again.
      if (compareVersions(operation.version, this.#ledger.entities.lifeOf(entity)) <= 0) {
        return this.#noted(entity);
      }
      return this.#wait(operation, origin, 'its memory was deleted', true);
    }
    if (entity.row === null || isStub(entity)) {
      return this.#wait(operation, origin, 'its memory has not arrived yet');
    }
    const row = this.#reader.byId(operation.kind, entity.row);
    if (row === null) return this.#noted(entity);
    const values = valuesOf(this.#names.rowToLocal(operation.up), operation.of);
    const names = UNITS[operation.kind]
      .filter(({ name, columns }) => name in values || columns.some((column) => column in values))
      .map(({ name }) => name);
    const units = new Map(names.map((name) => [name, operation.version]));
    return this.#mergeInto(incoming, entity, row, { values, written: { base: entity.version, units } });
  }

  #applyDelete({ operation, origin, stub }: Incoming<DeleteOperation>): Outcome {
    const { kind, key, version } = operation;
    const entity = this.#ledger.entities.byKey(key);
    if (entity === null) {
      this.#ledger.entities.save({ ...this.#newEntity(operation, origin), version: UNVERSIONED });
      return this.#buried(operation, null);
    }
    if (compareVersions(version, this.#ledger.entities.lifeOf(entity)) <= 0) return this.#noted(entity);
    const { row } = entity;
    if (row !== null && this.#reader.byId(kind, row) !== null) {
      // A session made up here stays for the rows that are in it.
      if (isStub(entity))
        return this.#buried(operation, { ...entity, spaces: entity.dead ? entity.spaces : 0 }, row);
      if (kind === 'session') {
        if (this.#sessions.isInUse(row, key))
          return this.#wait(operation, origin, 'its session is in use here');
        if (this.#sessions.hasRows(row)) {
          // Deleting a session deletes what belongs to it. Rows that nobody deleted within the wait keep it alive.
          if (!stub) return this.#wait(operation, origin, 'rows of it are still here');
          this.#buried(operation, entity);
          const dead = this.#ledger.entities.byKey(key);
          if (dead !== null) this.#changes.revive(dead, row);
          return 'same';
        }
      }
      const twins = this.#ledger.entities.allByRow(kind, row).filter((twin) => !twin.key.equals(key));
      // A row goes when no memory that anybody was told of is left in it.
      if (twins.every((twin) => twin.version.counter === 0)) {
        for (const twin of twins) this.#ledger.entities.forget(twin.key);
        const session = kind === 'session' ? null : (this.#reader.byId(kind, row)?.sessionId ?? null);
        this.#writer.remove(kind, row);
        this.#ledger.marks.remove(kind, row);
        this.#buried(operation, entity);
        if (session !== null) this.#dropEmptyStub(session);
        return 'deleted';
      }
    }
    return this.#buried(operation, entity);
  }

  /** A session that was made up here goes with the last row in it. */
  #dropEmptyStub(session: number): void {
    const entity = this.#ledger.entities.byRow('session', session);
    if (entity === null || !isStub(entity) || this.#sessions.hasRows(session)) return;
    this.#writer.remove('session', session);
    this.#changes.bury('session', session);
  }

  #buried(operation: DeleteOperation, entity: Entity | null, stub: number | null = null): Outcome {
    const known = entity ?? this.#ledger.entities.byKey(operation.key);
    if (known === null) return 'same';
    this.#ledger.entities.bury(known, operation.version, stub);
    this.#ledger.inbox.setExtra(operation.key, null);
    const noted = this.#noted(known);
    this.#changes.tellOthers(known, DEATH, this.#context.space.id);
    return noted;
  }

  /** The row that an operation speaks of, or null when it is not here. */
  #rowOf(operation: FullOperation, entity: Entity | null): MemoryRow | null {
    if (entity !== null && entity.row !== null) return this.#reader.byId(operation.kind, entity.row);
    if (operation.kind !== 'session') return null;
    const name = sessionNameOf(operation);
    const found = name === null ? null : this.#sessions.find(name);
    return found === null ? null : this.#reader.byId('session', found.id);
  }

  #insert(incoming: Incoming<FullOperation>, entity: Entity | null): Outcome {
    const { operation, origin, stub } = incoming;
    const { kind, key } = operation;
    const row = this.#localColumns(operation.kind, this.#names.rowToLocal(operation.set));
    if (kind === 'session') {
      if (sessionNameOf(operation) === null) return this.#wait(operation, origin, 'the session has no name');
      if (operation.mem !== null) row['memory_session_id'] = this.#sessions.memoryIdFor(key, operation.mem);
    } else {
      const resolved = this.#sessions.resolve(operation, stub);
      if ('waits' in resolved) return this.#wait(operation, origin, resolved.waits);
      const twin = this.#placeChild(operation, row, resolved.session);
      if (twin !== null) {
        this.#saved(operation, entity, twin, origin);
        this.#ledger.entities.saveWritten(key, operation.written);
        return 'same';
      }
    }
    if (kind !== 'session' && entity === null) {
      this.#pending.add({ operation, origin, row });
      return 'inserted';
    }
    const id = this.#writer.insert(kind, row);
    this.#keepHomeless(operation);
    if (entity?.dead === true) this.#ledger.entities.forget(key);
    const saved = this.#saved(operation, entity, id, origin);
    this.#ledger.entities.saveWritten(key, operation.written);
    this.#remark(kind, id);
    this.#ledger.inbox.unpark(this.#context.space.id, key);
    if (entity !== null) this.#changes.tellOthers(saved, WHOLE, this.#context.space.id);
    return 'inserted';
  }

  /** Gives a row its place in a session. @returns the row that is the same memory already, or null */
  #placeChild(operation: FullOperation, row: Record<string, Value>, session: LocalSession): number | null {
    const { kind } = operation;
    const columns = this.#context.schema.columns[kind];
    if (kind === 'prompt') {
      row['content_session_id'] = session.contentSessionId;
      if (columns.has('session_db_id')) row['session_db_id'] = session.id;
    } else {
      row['memory_session_id'] = session.memorySessionId;
    }
    if (kind === 'observation' && columns.has('content_hash') && session.memorySessionId !== null) {
      const settled = this.#freeHash(session.memorySessionId, row, operation.key, null);
      if ('twin' in settled) return settled.twin;
      row['content_hash'] = settled.hash;
    }
    // What claude-mem's own cloud sync writes into rows of other devices, so that it does not send them as its own.
    if (columns.has('origin_device_id')) row['origin_device_id'] = `membridge:${operation.version.node}`;
    if (columns.has('origin_local_id')) row['origin_local_id'] = operation.key.toString('hex').slice(0, 32);
    if (columns.has('synced_at')) row['synced_at'] = this.#context.now();
    if (columns.has('sync_rev')) row['sync_rev'] = '1';
    return null;
  }

  /**
   * Chooses a content hash that is free within a session. Hashes are random on old rows, so a clash says nothing: the
   * same text is the same memory, other text gets a hash of its own.
   * @param self the row itself when it is here already
   */
  #freeHash(
    memorySessionId: string,
    row: Row,
    key: Buffer,
    self: number | null,
  ): { hash: string } | { twin: number } {
    this.#byHash ??= this.#context.db.prepare(
      'SELECT id FROM observations WHERE memory_session_id = ? AND content_hash = ? LIMIT 1',
    );
    const computed = contentHash(memorySessionId, row['title'] ?? null, row['narrative'] ?? null);
    const hex = key.toString('hex');
    for (const hash of [row['content_hash'], computed, hex.slice(0, 16)]) {
      if (typeof hash !== 'string') continue;
      if (this.#pending.hasHash(memorySessionId, hash)) continue;
      const holder = this.#byHash.get(memorySessionId, hash) as { id: number } | undefined;
      if (holder === undefined || holder.id === self) return { hash };
      // The same text under a name of its own is a twin; only a row that has no name yet may be this very memory.
      if (self !== null || this.#ledger.entities.byRow('observation', holder.id) !== null) continue;
      const other = this.#reader.byId('observation', holder.id);
      if (other !== null && sameText(other.set, row)) return { twin: holder.id };
    }
    return { hash: hex };
  }

  /** A session made up here for rows whose own had not come: now it has. */
  #fillStub(incoming: Incoming<FullOperation>, entity: Entity, row: MemoryRow): Outcome {
    const { operation, origin } = incoming;
    this.#writer.update(
      'session',
      row.id,
      this.#localColumns('session', this.#names.rowToLocal(operation.set)),
    );
    this.#keepHomeless(operation);
    if (entity.dead) this.#ledger.entities.forget(operation.key);
    this.#saved(operation, { ...entity, spaces: entity.dead ? entity.spaces : 0 }, row.id, origin);
    this.#ledger.entities.saveWritten(operation.key, operation.written);
    this.#remark('session', row.id);
    return 'updated';
  }

  /** Merges what an operation says of a memory that is here. */
  #mergeInto(incoming: Incoming, entity: Entity, row: MemoryRow, said: Registers): Outcome {
    const { operation, origin } = incoming;
    const { kind } = operation;
    // What was changed here and not noticed yet is a write of its own, not something to overwrite unseen.
    this.#changes.notice(row);
    const current = this.#ledger.entities.byKey(entity.key) ?? entity;
    const local = this.#registersOf(current, row);
    const names = UNITS[kind].filter(({ merge }) => merge !== 'lattice').map(({ name }) => name);
    const merged = mergeRegisters(local, said, names);
    for (const { name, version, value } of merged.replaced) {
      this.#ledger.revocations.keepFormer(entity.key, name, version, value);
    }
    const changes: Record<string, Value> = {};
    for (const name of merged.taken) if (name !== LINK) changes[name] = said.values[name] ?? null;
    const differing = this.#hasColumns(kind, changes, row);

    if (merged.taken.includes(LINK)) {
      const moved = this.#move(incoming, row, linkedSession(said.values[LINK]));
      if (moved === 'waits') return 'waiting';
      Object.assign(differing, moved);
    }
    let held = false;
    if (kind === 'session') {
      const folded = this.#courseOf(operation, current, row, said);
      held = Object.keys(folded).length > 0 && this.#sessions.isInUse(row.id, entity.key);
      if (!held) Object.assign(differing, this.#localColumns(kind, folded));
      if (operation.type === 'full' && row.mem === null && operation.mem !== null && !held) {
        differing['memory_session_id'] = this.#sessions.memoryIdFor(operation.key, operation.mem);
      }
    }
    this.#writer.update(kind, row.id, differing);
    const saved = this.#saved(operation, current, row.id, origin, merged.written.base);
    const reborn = operation.type === 'full' ? operation.written.get(LIFE) : undefined;
    const isLater =
      reborn !== undefined && compareVersions(reborn, this.#ledger.entities.bornOf(current)) > 0;
    this.#ledger.entities.saveWritten(
      operation.key,
      isLater ? new Map([...merged.written.units, [LIFE, reborn]]) : merged.written.units,
    );
    const now = Object.keys(differing).length > 0 ? this.#remark(kind, row.id) : row;
    const changed = UNITS[kind].filter(
      ({ name, columns }) => merged.taken.includes(name) || columns.some((column) => column in differing),
    );
    const { id } = this.#context.space;
    this.#changes.tellOthers(saved, bitsOf(kind, changed), id);
    if (operation.type === 'full') {
      this.#answer(saved, local, now, said);
      // A space that had not heard of it from here is told what was written elsewhere or earlier.
      if (current.version.counter > 0 && !isKnownIn(current, id) && !sameWrites(merged.written, said.written))
        this.#tellHere(saved, WHOLE);
    }
    // What was held back is folded in when the worker is done with the session.
    if (held) return this.#wait(operation, origin, 'its session is in use here');
    return Object.keys(differing).length > 0 ? 'updated' : 'same';
  }

  /** How the course of a session changes by an operation. What was before a deletion does not count after it. */
  #courseOf(operation: Operation, entity: Entity, row: MemoryRow, said: Registers): Row {
    const born = this.#ledger.entities.bornOf(entity);
    const reborn = operation.type === 'full' ? operation.written.get(LIFE) : undefined;
    if (reborn !== undefined && compareVersions(reborn, born) > 0) {
      const columns = UNITS.session
        .filter(({ merge }) => merge === 'lattice')
        .flatMap((unit) => unit.columns);
      return pick(said.values, differingColumns(said.values, row.set, columns));
    }
    return compareVersions(operation.version, born) < 0 ? {} : foldLattices(row.set, said.values);
  }

  /** Has peers be told of what this machine alone knew of a memory when it first heard of it. */
  #answer(entity: Entity, before: Registers, now: MemoryRow, said: Registers): void {
    if (before.written.base.counter > 0) return;
    const unsaid = UNITS[entity.kind].filter(({ name, columns, merge }) => {
      if (merge === 'lattice') {
        return Object.keys(foldLattices(said.values, pick(now.set, columns))).length > 0;
      }
      return merge === 'register' && (said.values[name] ?? null) === null && (now.set[name] ?? null) !== null;
    });
    this.#changes.claim(entity, numbersOf(entity.kind, unsaid));
  }

  /** Moves a row to the session that it belongs to now. @returns the columns that change, or that it waits */
  #move(incoming: Incoming, row: MemoryRow, of: SessionRef | null): Record<string, Value> | 'waits' {
    const { operation, origin, stub } = incoming;
    const place = canonicalJson(of) === canonicalJson(row.of);
    if (of === null || place) return {};
    const resolved = this.#sessions.resolve({ kind: operation.kind, of, set: row.set }, stub);
    if ('waits' in resolved) {
      this.#wait(operation, origin, resolved.waits);
      return 'waits';
    }
    const memory = resolved.session.memorySessionId;
    if (memory === null || memory === row.mem) return {};
    const changes: Record<string, Value> = { memory_session_id: memory };
    const columns = this.#context.schema.columns[operation.kind];
    if (operation.kind === 'observation' && columns.has('content_hash')) {
      const settled = this.#freeHash(memory, row.set, operation.key, row.id);
      if ('hash' in settled) changes['content_hash'] = settled.hash;
    }
    return changes;
  }

  /** The registers of a memory as they are here, also those that only the ledger has room for. */
  #registersOf(entity: Entity, row: MemoryRow): Registers {
    const columns = this.#context.schema.columns[row.kind];
    const complete = SHAPES[row.kind].registers.every((column) => columns.has(column));
    const kept = complete ? {} : (this.#ledger.inbox.extraOf(entity.key) ?? {});
    const written: Written = this.#ledger.entities.writtenOf(entity);
    return { values: { ...kept, ...valuesOf(row.set, row.kind === 'session' ? null : row.of) }, written };
  }

  /** Of changed columns those that this claude-mem has and that differ; the others are kept in the ledger. */
  #hasColumns(kind: Kind, changes: Row, row: MemoryRow): Record<string, Value> {
    const columns = this.#context.schema.columns[kind];
    const homeless = Object.entries(changes).filter(([column]) => !columns.has(column));
    if (homeless.length > 0) {
      for (const { key } of this.#ledger.entities.allByRow(kind, row.id)) {
        const kept = this.#ledger.inbox.extraOf(key) ?? {};
        this.#ledger.inbox.setExtra(key, { ...kept, ...Object.fromEntries(homeless) });
      }
    }
    const here = this.#localColumns(kind, changes);
    return Object.fromEntries(
      differingColumns(here, row.set, Object.keys(here)).map((column) => [column, here[column] ?? null]),
    );
  }

  #localColumns(kind: Kind, row: Row): Record<string, Value> {
    const columns = this.#context.schema.columns[kind];
    return Object.fromEntries(Object.entries(row).filter(([column]) => columns.has(column)));
  }

  /** Columns that this claude-mem has no place for are kept for newer peers, and for the day it has one. */
  #keepHomeless(operation: FullOperation): void {
    const columns = this.#context.schema.columns[operation.kind];
    const homeless = Object.entries(operation.set).filter(([column]) => !columns.has(column));
    const kept = { ...Object.fromEntries(homeless), ...operation.extra };
    if (Object.keys(kept).length > 0) this.#ledger.inbox.setExtra(operation.key, kept);
  }

  #newEntity({ key, kind, version }: Operation, origin: number): Entity {
    return { key, kind, row: null, spaces: 0, version, origin, dead: false };
  }

  /** Files that a row holds the memory of an operation. */
  #saved(
    operation: Operation,
    entity: Entity | null,
    row: number,
    origin: number,
    base = operation.version,
  ): Entity {
    const known = entity ?? this.#newEntity(operation, origin);
    const { id } = this.#context.space;
    const spaces = isKnownIn(known, id) ? known.spaces : known.spaces + 2 ** id;
    const saved: Entity = { ...known, row, version: base, spaces, dead: false };
    this.#ledger.entities.save(saved);
    return saved;
  }

  /** Files that the space has an operation for a memory. */
  #noted(entity: Entity): Outcome {
    this.#ledger.entities.addSpace(entity.key, this.#context.space.id);
    return 'same';
  }

  /** Has this space be told of a memory, too. */
  #tellHere(entity: Entity, parts: number): void {
    this.#ledger.dirty.mark(this.#context.space.id, entity.key, parts);
  }

  /** Files what a row that was just written looks like. */
  #remark(kind: Kind, id: number): MemoryRow {
    const row = this.#reader.byId(kind, id);
    if (row === null) throw new Error(`the row that was just written to ${SHAPES[kind].table} is not there`);
    this.#ledger.marks.set(kind, id, this.#changes.markOf(row));
    return row;
  }

  #wait(operation: Operation, origin: number, reason: string, parked = false): Outcome {
    const { space, now } = this.#context;
    const line = formatOperation(operation);
    const entry = {
      key: operation.key,
      // Clones of one machine write other things under one version.
      version: `${versionText(operation.version)}-${hash32(line).toString(16)}`,
      line,
      origin,
      reason,
      parked,
    };
    this.#ledger.inbox.wait(space.id, entry, now());
    return 'waiting';
  }
}

const isRefusal = (error: unknown): error is Error =>
  error instanceof Database.SqliteError && error.code.startsWith('SQLITE_CONSTRAINT');

const numbersOf = (kind: Kind, units: readonly Unit[]): number[] =>
  units.map((unit) => UNITS[kind].indexOf(unit));
const bitsOf = (kind: Kind, units: readonly Unit[]): number =>
  numbersOf(kind, units).reduce((bits, index) => bits | (1 << index), 0);

/** Whether two memories were written by the very same writes. */
function sameWrites(a: Written, b: Written): boolean {
  return (
    compareVersions(a.base, b.base) === 0 &&
    [...new Set([...a.units.keys(), ...b.units.keys()])].every((name) => {
      if (name === LIFE) return true;
      const [first, second] = [a.units.get(name), b.units.get(name)];
      return first !== undefined && second !== undefined && compareVersions(first, second) === 0;
    })
  );
}

const pick = (row: Row, columns: readonly string[]): Row =>
  Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));

/** Whether two observations are the same memory, whatever their hashes say. */
function sameText(a: Row, b: Row): boolean {
  return keyColumns('observation').every((column) => sameValue(a[column] ?? null, b[column] ?? null));
}
