import type Database from 'better-sqlite3';
import { errorMessage } from '../../contract/errors.ts';
import { AuditReader } from '../claude-mem/audit-reader.ts';
import { OWN_ORIGIN, type MemoryRow } from '../claude-mem/read.ts';
import { contentHash } from '../claude-mem/write.ts';
import { keyColumns } from '../format/keys.ts';
import type { Kind } from '../format/kinds.ts';
import { WHOLE_PART } from '../ledger/dirty.ts';
import type { Entity } from '../ledger/entities.ts';
import { sessionNameOf, type FullOperation } from '../format/operation.ts';
import type { LocalSession } from './sessions.ts';
import { isSameValue, type Row, type Value } from '../format/values.ts';
import { mergeStub } from './merge-stub.ts';
import { PendingRows, type PendingRow } from './pending-rows.ts';
import { isRefusal } from './is-refusal.ts';
import type { Incoming, MergeTools, Outcome } from './merge-context.ts';

/**
 * Assumed cost of inserting a row before any was measured, in milliseconds; more than on any machine tried.
 */
const ROW_MS = 0.3;

/** A flush of fewer rows is too small to measure the cost per row. */
const MIN_MEASURED_ROWS = 20;

/** Inserts memories into claude-mem that it lacks. */
export class Inserts {
  readonly #tools: MergeTools;
  #auditReader: AuditReader | null = null;
  readonly #pending = new PendingRows();
  #byHash: Database.Statement<unknown[]> | null = null;
  #rowMs = ROW_MS;
  /** Whether another sync writes prompts here; null while unknown. */
  #hasReplicas: boolean | null = null;

  constructor(tools: MergeTools) {
    this.#tools = tools;
  }

  /** Call at the start of a transaction: another sync may have written prompts since the previous one. */
  begin(): void {
    this.#hasReplicas = null;
  }

  /** Returns whether a memory waits for the next flush. */
  isPending(key: Buffer): boolean {
    return this.#pending.has(key);
  }

  /** Inserts a memory that is not here: now, or together with others at the next flush. */
  insert(incoming: Incoming<FullOperation>, entity: Entity | null): Outcome {
    const { operation, origin, stub } = incoming;
    const { kind, key } = operation;
    const row = this.#tools.localRow(operation);
    // Peers leave out a project that they exclude, but the table requires one.
    if (this.#tools.context.schema.columns[kind].has('project')) row['project'] ??= '';
    if (kind === 'session') {
      if (sessionNameOf(operation) === null)
        return this.#tools.wait(operation, origin, 'the session has no name');
      if (operation.mem !== null)
        row['memory_session_id'] = this.#tools.sessions.chooseMemoryId(key, operation.mem);
    } else {
      const resolved = this.#tools.sessions.resolve(operation, stub);
      if ('waits' in resolved) return this.#tools.wait(operation, origin, resolved.waits);
      const twin = this.#placeChild(operation, row, resolved.session);
      if (twin !== null) {
        this.#tools.recordSaved(operation, entity, twin, origin);
        this.#tools.ledger.entities.saveWritten(key, operation.written);
        return 'same';
      }
    }
    if (kind !== 'session' && entity === null) {
      this.#pending.add({ operation, origin, row });
      return 'inserted';
    }
    const id = this.#insertRow(operation, row);
    this.#tools.keepHomeless(operation);
    if (entity?.dead === true) this.#tools.ledger.entities.forget(key);
    const saved = this.#tools.recordSaved(operation, entity, id, origin);
    this.#tools.ledger.entities.saveWritten(key, operation.written);
    this.#tools.writeMarkOf(kind, id);
    this.#tools.ledger.inbox.unpark(this.#tools.context.space.id, key);
    if (entity !== null) this.#tools.changes.queueParts(saved, WHOLE_PART, this.#tools.context.space.id);
    return 'inserted';
  }

  /** Turns a stub session into the real one that has arrived. Merges what was written into the stub. */
  fillStub({ operation, origin }: Incoming<FullOperation>, entity: Entity, row: MemoryRow): Outcome {
    const { key } = operation;
    const { ledger, changes, context } = this.#tools;
    const { columns, written, parts } = mergeStub(
      { row: row.set, units: ledger.entities.writtenOf(entity).units },
      { row: this.#tools.localRow(operation), operation },
    );
    this.#tools.writer.update('session', row.id, columns);
    this.#tools.keepHomeless(operation);
    if (entity.dead) ledger.entities.forget(key);
    const saved = this.#tools.recordSaved(
      operation,
      { ...entity, spaces: entity.dead ? entity.spaces : 0 },
      row.id,
      origin,
    );
    ledger.entities.saveWritten(key, written);
    this.#tools.writeMarkOf('session', row.id);
    ledger.inbox.unpark(context.space.id, key);
    changes.queueParts(saved, parts);
    if (entity.dead) changes.queueParts(saved, WHOLE_PART, context.space.id);
    return 'updated';
  }

  /**
   * Inserts all pending rows; call before the transactions end.
   * @returns how many of them this claude-mem refused, so that they wait instead
   */
  flush(): number {
    const began = performance.now();
    const rows = this.#pending.size;
    let refused = 0;
    for (const group of this.#pending.takeGroups()) {
      const [first] = group;
      if (first === undefined) continue;
      const { kind } = first.operation;
      let ids: readonly (number | null)[];
      try {
        ids = this.#tools.writer.insertMany(
          kind,
          group.map(({ row }) => row),
        );
      } catch (error) {
        if (!isRefusal(error)) throw error;
        ids = group.map((each) => this.#insertAlone(each));
      }
      const marks = this.#marksOf(kind, group, ids);
      group.forEach(({ operation, origin }, index) => {
        const id = ids[index] ?? null;
        if (id === null) {
          refused += 1;
          return;
        }
        const mark = marks.get(id);
        if (mark === undefined) throw new Error(`a row that was just inserted is not at its id ${id}`);
        this.#tools.ledger.marks.set(kind, id, mark);
        this.#tools.keepHomeless(operation);
        this.#tools.recordSaved(operation, null, id, origin);
        if (operation.written.size > 0)
          this.#tools.ledger.entities.saveWritten(operation.key, operation.written);
        this.#tools.ledger.inbox.unpark(this.#tools.context.space.id, operation.key);
      });
    }
    if (rows >= MIN_MEASURED_ROWS) this.#rowMs = (performance.now() - began) / rows;
    return refused;
  }

  /** Estimated duration of a flush now, in milliseconds, from earlier ones. */
  get flushMs(): number {
    return this.#pending.size * this.#rowMs;
  }

  #insertAlone({ operation, origin, row }: PendingRow): number | null {
    try {
      return this.#insertRow(operation, row);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#tools.wait(operation, origin, `this claude-mem refuses the row: ${errorMessage(error)}`);
      return null;
    }
  }

  /**
   * Inserts a row. A row that arrived as this memory and was edited into another one still has this memory's
   * origin, which the table accepts only once. In that case the new row gets another origin.
   */
  #insertRow({ kind, key }: FullOperation, row: Row): number {
    const { writer } = this.#tools;
    try {
      return writer.insert(kind, row);
    } catch (error) {
      if (!isRefusal(error) || !error.message.includes('origin_local_id')) throw error;
      return writer.insert(kind, { ...row, origin_local_id: key.toString('hex').slice(32) });
    }
  }

  /**
   * Returns the marks of rows that were just inserted, by local id.
   * @param ids theirs, in order; null for a refused row
   */
  #marksOf(
    kind: Kind,
    group: readonly PendingRow[],
    ids: readonly (number | null)[],
  ): ReadonlyMap<number, Buffer> {
    const madeOf = new Map<number, FullOperation>();
    group.forEach(({ operation }, index) => {
      const id = ids[index] ?? null;
      if (id !== null) madeOf.set(id, operation);
    });
    const inserted = [...madeOf.keys()];
    const [first, last] = [inserted[0], inserted.at(-1)];
    if (first === undefined || last === undefined) return new Map();
    const { context, reader } = this.#tools;
    this.#auditReader ??= new AuditReader(context.db, context.schema, reader);
    const rows = this.#auditReader.readAfter(kind, first - 1, last - first + 1, madeOf);
    return new Map(rows.map(({ id, mark }) => [id, mark]));
  }

  /**
   * Puts a row into its session.
   * @returns the existing row of the same memory, or null
   */
  #placeChild(operation: FullOperation, row: Record<string, Value>, session: LocalSession): number | null {
    const { kind } = operation;
    const columns = this.#tools.context.schema.columns[kind];
    if (kind === 'prompt') {
      const replica = this.#replicaOf(row);
      if (replica !== null) return replica;
      row['content_session_id'] = session.contentSessionId;
      if (columns.has('session_db_id')) row['session_db_id'] = session.id;
    } else {
      row['memory_session_id'] = session.memorySessionId;
    }
    if (kind === 'observation' && columns.has('content_hash') && session.memorySessionId !== null) {
      const settled = this.chooseHash(session.memorySessionId, row, operation.key, null);
      if ('twin' in settled) return settled.twin;
      row['content_hash'] = settled.hash;
    }
    // claude-mem's own cloud sync sets these in rows of other devices, so that it does not send them as its
    // own.
    if (columns.has('origin_device_id')) row['origin_device_id'] = `${OWN_ORIGIN}${operation.version.node}`;
    if (columns.has('origin_local_id')) row['origin_local_id'] = operation.key.toString('hex').slice(0, 32);
    if (columns.has('synced_at')) row['synced_at'] = this.#tools.context.now();
    if (columns.has('sync_rev')) row['sync_rev'] = '1';
    return null;
  }

  /**
   * Returns the row in which another sync stored the same prompt under a made-up session; null when there is
   * none.
   */
  #replicaOf(row: Row): number | null {
    const { ledger, reader } = this.#tools;
    this.#hasReplicas ??= reader.hasReplicas('prompt');
    if (!this.#hasReplicas) return null;
    for (const id of reader.idsOfSamePrompt({ set: row })) {
      const other = reader.byId('prompt', id);
      if (other?.isReplica !== true) continue;
      const entity = ledger.entities.byRow('prompt', id);
      if (entity !== null && entity.version.counter > 0) continue;
      if (entity !== null) ledger.entities.forget(entity.key);
      return id;
    }
    return null;
  }

  /**
   * Chooses a content hash that is free within a session. Hashes are random on old rows, so a clash proves
   * nothing: equal text is the same memory, other text gets a new hash.
   * @param self the row itself when it exists already
   */
  chooseHash(
    memorySessionId: string,
    row: Row,
    key: Buffer,
    self: number | null,
  ): { hash: string } | { twin: number } {
    this.#byHash ??= this.#tools.context.db.prepare(
      'SELECT id FROM observations WHERE memory_session_id = ? AND content_hash = ? LIMIT 1',
    );
    const hex = key.toString('hex');
    const candidates: readonly (() => Value | undefined)[] = [
      () => row['content_hash'],
      () => contentHash(memorySessionId, row['title'] ?? null, row['narrative'] ?? null),
      () => hex.slice(0, 16),
    ];
    for (const candidate of candidates) {
      const hash = candidate();
      if (typeof hash !== 'string') continue;
      if (this.#pending.hasHash(memorySessionId, hash)) continue;
      const holder = this.#byHash.get(memorySessionId, hash) as { id: number } | undefined;
      if (holder === undefined || holder.id === self) return { hash };
      // A named row with the same text is a twin; only an unnamed row may be this very memory.
      if (self !== null || this.#tools.ledger.entities.byRow('observation', holder.id) !== null) continue;
      const other = this.#tools.reader.byId('observation', holder.id);
      if (other !== null && hasSameText(other.set, row)) return { twin: holder.id };
    }
    return { hash: hex };
  }
}

/** Returns whether two observations are the same memory; ignores their hashes. */
function hasSameText(a: Row, b: Row): boolean {
  return keyColumns('observation').every((column) => isSameValue(a[column] ?? null, b[column] ?? null));
}
