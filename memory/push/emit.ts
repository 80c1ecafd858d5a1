import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { isInMadeUpSession, type MemoryRow, type RowReader } from '../claude-mem/read.ts';
import type { Changes } from '../detect/changes.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { KINDS, UNITS } from '../format/kinds.ts';
import { DELETION_PART, WHOLE_PART } from '../ledger/dirty.ts';
import { isKnownIn, type Entity } from '../ledger/entities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { SpaceProjects, type Exclusion } from '../space/space-projects.ts';
import { formatOperation, type Operation } from '../format/operation.ts';
import { Outgoing } from './outgoing.ts';
import { publishedAs } from './published-key.ts';
import type { ScannedRows } from '../detect/scanned-rows.ts';
import { MAX_BYTES, MAX_OPERATIONS } from '../format/segment.ts';
import type { Value } from '../format/values.ts';
import { versionText, type HybridClock, type Version } from '../format/versions.ts';

/** Rows looked at per read transaction. */
const PAGE_ROWS = 500;

/** Dependencies of collecting operations. */
export interface EmitContext {
  readonly db: Database.Database;
  readonly reader: RowReader;
  readonly schema: ClaudeMemSchema;
  readonly ledger: Ledger;
  readonly clock: HybridClock;
  readonly node: string;
  readonly changes: Changes;
  readonly scanned: ScannedRows;
}

/** Operations for one segment, and what the ledger must record once it is sealed. */
export interface Chunk {
  readonly lines: readonly string[];
  /** Records the chunk as sent; call it in the transaction that files the sealed segment. */
  readonly note: () => void;
  /** Whether memories remain for another segment. */
  readonly more: boolean;
  /** Excluded memories that were considered, each with the reason. */
  readonly withheld: readonly Exclusion[];
}

/** Returns whether the space may lack any row of this node; false means that a push has nothing to do. */
export function hasUnsent(ledger: Ledger, space: LedgerSpace): boolean {
  return (
    !ledger.outbox.isEmpty(space.id) ||
    ledger.dirty.hasAny(space.id) ||
    KINDS.some((kind) => ledger.entities.hasUnsent(kind, ledger.spaces.emittedTo(space.id, kind), space.id))
  );
}

/** Collects the next operations that the space lacks. Reads in short transactions; writes nothing. */
export function collectChunk(context: EmitContext, space: LedgerSpace, config: SpaceConfig): Chunk {
  return context.ledger.reading(() => new Collector(context, space, config).collect());
}

class Collector {
  readonly #context: EmitContext;
  readonly #space: LedgerSpace;
  readonly #config: SpaceConfig;
  readonly #withheld: Exclusion[] = [];
  readonly #outgoing: Outgoing;
  readonly #lines: string[] = [];
  #bytes = 0;
  readonly #emitted = new Set<string>();
  /** Sessions of this chunk's rows that were already handled. */
  readonly #sessions = new Set<number>();
  /** Highest local id of the prompts considered so far, including this chunk. */
  #promptsTo: number;
  /** Whether the rows are unchanged since the last scan. */
  #isScanned = false;
  /** Changes that the ledger must record, in order. */
  readonly #notes: (() => void)[] = [];

  constructor(context: EmitContext, space: LedgerSpace, config: SpaceConfig) {
    this.#context = context;
    this.#space = space;
    this.#config = config;
    this.#promptsTo = context.ledger.spaces.emittedTo(space.id, 'prompt');
    this.#outgoing = new Outgoing(context, space.id, config, new SpaceProjects(config));
  }

  collect(): Chunk {
    const { db, ledger, clock, reader, scanned } = this.#context;
    const space = this.#space;
    const again = ledger.dirty.list(space.id, MAX_OPERATIONS + 1);
    let more = again.length > MAX_OPERATIONS;
    db.transaction(() => {
      for (const { key, parts } of again.slice(0, MAX_OPERATIONS)) {
        if (this.#isFull()) {
          more = true;
          break;
        }
        this.#notes.push(() => ledger.dirty.clear(space.id, key));
        const entity = ledger.entities.byKey(key);
        if (entity !== null) this.#emitParts(entity, parts);
      }
    })();

    for (const kind of more ? [] : KINDS) {
      const top = ledger.entities.scannedTo(kind);
      let mark = ledger.spaces.emittedTo(space.id, kind);
      for (let page = PAGE_ROWS; page === PAGE_ROWS && !more;) {
        const unsent = ledger.entities.unsent(kind, mark, space.id, PAGE_ROWS);
        page = unsent.length;
        const ids = [...new Set(unsent.map(({ row }) => row).filter((row) => row !== null))];
        db.transaction(() => {
          this.#isScanned = scanned.revalidate();
          const rows = new Map(reader.byIds(kind, ids).map((row) => [row.id, row]));
          for (const entity of unsent) {
            if (entity.row === null) continue;
            if (this.#isFull()) {
              more = true;
              return;
            }
            const row = rows.get(entity.row);
            if (row !== undefined && this.#isToBeSent(row)) this.#emitWhole(entity, row);
            mark = entity.row;
          }
        })();
      }
      // Every row up to the last scanned one was considered, so the next push does not pass over known rows
      // again.
      const reached = more ? mark : Math.max(mark, top);
      this.#notes.push(() => ledger.spaces.setEmittedTo(space.id, kind, reached));
      if (kind === 'prompt') this.#promptsTo = reached;
      if (more) break;
    }

    const note = (): void => {
      for (const each of this.#notes) each();
      ledger.setMeta('hlc', clock.last);
    };
    return { lines: this.#lines, note, more, withheld: this.#withheld };
  }

  #isFull(): boolean {
    return this.#lines.length >= MAX_OPERATIONS || this.#bytes >= MAX_BYTES;
  }

  /** Like `belongs`, for a row that is considered for the first time; also records exclusions. */
  #isToBeSent(row: MemoryRow): boolean {
    const exclusion = this.#outgoing.exclusionOf(row);
    if (exclusion !== null) this.#withheld.push(exclusion);
    return this.#isOfSpace(row);
  }

  /**
   * Returns whether this node sends a row: its projects belong to the space, or it is a prompt of a session
   * that the space knows. A prompt that another sync put into a made-up session is sent by the machine that
   * wrote it.
   */
  #isOfSpace(row: MemoryRow): boolean {
    const { kind, sessionId } = row;
    if (isInMadeUpSession(row)) return false;
    if (this.#outgoing.isExcluded(row)) return false;
    if (this.#outgoing.covers(row)) return true;
    if (kind !== 'prompt' || sessionId === null) return false;
    const session = this.#context.ledger.entities.byRow('session', sessionId);
    return session !== null && isKnownIn(session, this.#space.id);
  }

  #add(operation: Operation): void {
    const line = formatOperation(operation);
    this.#lines.push(line);
    this.#bytes += Buffer.byteLength(line) + 1;
  }

  /** Sends what changed in a memory: its deletion, the whole memory, or some of its registers. */
  #emitParts(entity: Entity, parts: number): void {
    const { ledger, reader, node } = this.#context;
    const { kind, key } = entity;
    const known = isKnownIn(entity, this.#space.id);
    if (entity.dead) {
      if ((parts & DELETION_PART) === 0 && (parts & WHOLE_PART) === 0) return;
      const deletion = ledger.entities.deletionOf(entity, (kept) => this.#isAlreadySent(kept));
      this.#add({ type: 'delete', kind, key, ...deletion });
      this.#notes.push(() => this.#noteKnown(key));
      return;
    }
    const row = entity.row === null ? null : reader.byId(kind, entity.row);
    if (row === null) return;
    const untold = known ? parts | ledger.dirty.pendingParts(this.#space.id, key) : parts;
    const withheld = known ? this.#outgoing.withheldOf(row, untold) : 0;
    // A memory written again while its project is excluded is new content of that project, so it is withheld
    // as well.
    const reborn = known && this.#outgoing.isExcluded(row) && ledger.entities.rebornAt(entity).node === node;
    const kept = reborn ? withheld | (untold & WHOLE_PART) : withheld;
    this.#notes.push(() => ledger.dirty.withhold(this.#space.id, key, kept));
    if ((kept & WHOLE_PART) !== 0) return;
    if ((untold & WHOLE_PART) !== 0 || !known) {
      if (known || this.#isOfSpace(row)) this.#emitWhole(entity, row);
      return;
    }
    const { set } = this.#outgoing.toOutgoing(entity.key, row);
    const written = ledger.entities.writtenOf(entity);
    const updates = new Map<string, { version: Version; up: Record<string, Value>; link: boolean }>();
    UNITS[kind].forEach((unit, index) => {
      if ((untold & ~withheld & (1 << index)) === 0) return;
      const version = written.units.get(unit.name) ?? written.base;
      const update = updates.get(versionText(version)) ?? { version, up: {}, link: false };
      updates.set(versionText(version), update);
      if (unit.merge === 'link') update.link = true;
      for (const column of unit.columns) update.up[column] = set[column] ?? null;
    });
    for (const { version, up, link } of updates.values()) {
      this.#add({ type: 'update', kind, key, version, up, of: link ? row.of : null });
    }
  }

  /**
   * Returns whether the space knows a memory or is about to receive it: after a loss in the store, this node
   * sends everything again.
   */
  #isAlreadySent(entity: Entity): boolean {
    const { ledger, reader } = this.#context;
    if (isKnownIn(entity, this.#space.id)) return true;
    if (entity.dead) return (ledger.dirty.pendingParts(this.#space.id, entity.key) & DELETION_PART) !== 0;
    const row = entity.row === null ? null : reader.byId(entity.kind, entity.row);
    return row !== null && this.#isOfSpace(row);
  }

  #emitWhole(entity: Entity, row: MemoryRow): void {
    const { ledger, clock, node } = this.#context;
    const { kind } = row;
    const space = this.#space.id;
    const isPlain = this.#isScanned && this.#context.scanned.isPlain(kind, row.id, entity.key);
    const outgoing = this.#outgoing.toOutgoing(entity.key, row, isPlain);
    const published = publishedAs({ ledger, space, outgoing: this.#outgoing }, entity, {
      row,
      told: outgoing,
    });
    if (published.note !== null) {
      this.#notes.push(() =>
        published.note === 'known' ? this.#noteKnown(entity.key) : ledger.entities.forget(entity.key),
      );
    }
    if (published.told === null) return;
    const { entity: told, set, ordinal } = published.told;
    const { extra, withheld } = outgoing;
    const { key } = told;
    const id = key.toString('hex');
    if (this.#emitted.has(id)) return;
    this.#emitted.add(id);
    if (kind !== 'session' && row.sessionId !== null) this.#emitSession(row.sessionId);
    if (kind === 'session') this.#offerPassedOver(row.id);

    const { registers, counter } = ledger.entities.writesOf(told);
    const isNew = told.version.counter === 0;
    const version = isNew ? { counter: counter + 1, hlc: clock.tick(), node } : told.version;
    this.#add({
      type: 'full',
      kind,
      key,
      version,
      ordinal,
      of: kind === 'session' ? null : row.of,
      mem: kind === 'session' ? row.mem : null,
      set,
      extra,
      written:
        withheld.size === 0 ? registers : new Map([...registers].filter(([unit]) => !withheld.has(unit))),
    });
    this.#notes.push(() => ledger.entities.recordSent(told, row.id, version, space));
  }

  /**
   * Sends the session of a row along with it, even if only the row's project belongs to the space. Not if the
   * session's project is excluded: peers then make up a session for the row. A row written into a deleted
   * session makes the session live again.
   */
  #emitSession(sessionId: number): void {
    if (this.#sessions.has(sessionId)) return;
    this.#sessions.add(sessionId);
    const { ledger, reader } = this.#context;
    const entity = ledger.entities.byRow('session', sessionId);
    if (entity?.dead === true) this.#notes.push(() => this.#revive(entity.key, sessionId));
    if (entity === null || entity.dead || isKnownIn(entity, this.#space.id)) return;
    const row = reader.byId('session', sessionId);
    if (row !== null && !this.#outgoing.isExcluded(row)) this.#emitWhole(entity, row);
  }

  #revive(key: Buffer, row: number): void {
    const { ledger, changes } = this.#context;
    const entity = ledger.entities.byKey(key);
    if (entity?.dead === true) changes.revive(entity, row);
  }

  /** Queues prompts that were passed over while their session belonged to no project of the space. */
  #offerPassedOver(sessionId: number): void {
    const { ledger, reader } = this.#context;
    if (this.#promptsTo === 0 || this.#config.projects.includes('*')) return;
    for (const id of reader.promptsOf(sessionId).filter((prompt) => prompt <= this.#promptsTo)) {
      const prompt = ledger.entities.byRow('prompt', id);
      if (prompt === null || isKnownIn(prompt, this.#space.id)) continue;
      if (this.#emitted.has(prompt.key.toString('hex'))) continue;
      this.#notes.push(() => ledger.dirty.mark(this.#space.id, prompt.key, WHOLE_PART));
    }
  }

  #noteKnown(key: Buffer): void {
    const { ledger } = this.#context;
    ledger.entities.addSpace(key, this.#space.id);
  }
}
