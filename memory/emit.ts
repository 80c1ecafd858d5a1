import type Database from 'better-sqlite3';
import { nameOf, type MemoryRow, type RowReader } from './claude-mem/read.ts';
import { EXCLUDED_PROJECT, KINDS, type Kind } from './kinds.ts';
import { ordinalOf } from './keys.ts';
import { isKnownIn, type Entity } from './ledger/entities.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LedgerSpace } from './ledger/spaces.ts';
import { formatOperation } from './operation.ts';
import { freeKey } from './scan.ts';
import { MAX_BYTES, MAX_OPERATIONS } from './segment.ts';
import type { HybridClock, Version } from './versions.ts';

/** Rows looked at per read transaction. */
const PAGE = 500;

interface Emitted {
  readonly key: Buffer;
  readonly kind: Kind;
  readonly row: number;
  readonly version: Version;
}

/** Operations for one segment, and what the ledger must note once it is sealed. */
export interface Chunk {
  readonly lines: readonly string[];
  /** Notes the chunk as sent; to be called in the transaction that files the sealed segment. */
  readonly note: () => void;
  /** Whether rows are left for another segment. */
  readonly more: boolean;
}

/** Whether any row here may be unknown to the space; false means a push has nothing to do. */
export function hasUnsent(ledger: Ledger, space: LedgerSpace): boolean {
  return (
    !ledger.outbox.isEmpty(space.id) ||
    ledger.spaces.hasDirty(space.id) ||
    KINDS.some((kind) => ledger.entities.hasUnsent(kind, ledger.spaces.emittedTo(space.id, kind), space.id))
  );
}

/** Collects the next operations that a space has not got. Reads in short transactions; writes nothing. */
export function collectChunk(
  context: { db: Database.Database; reader: RowReader; ledger: Ledger; clock: HybridClock; node: string },
  space: LedgerSpace,
): Chunk {
  const { db, reader, ledger, clock, node } = context;
  const lines: string[] = [];
  const emitted = new Map<string, Emitted>();
  const marks = new Map<Kind, number>();
  const rekeyed: { old: Entity; key: Buffer }[] = [];
  const clean: Buffer[] = [];
  const passedOver: Buffer[] = [];
  let bytes = 0;

  const isFull = (): boolean => lines.length >= MAX_OPERATIONS || bytes >= MAX_BYTES;

  const covers = (project: string | null): boolean =>
    project !== EXCLUDED_PROJECT &&
    (space.projects.includes('*') || (project !== null && space.projects.includes(project)));

  const emit = (entity: Entity, row: MemoryRow): void => {
    const name = nameOf(row.of);
    let key = entity.key;
    let ordinal = ordinalOf(key, row.kind, row.set, name);
    if (ordinal === null) {
      // The row's immutable columns changed under us: it is another memory now, and told as such.
      ({ key, ordinal } = freeKey(ledger, row.kind, row));
      rekeyed.push({ old: entity, key });
    }
    const id = key.toString('hex');
    if (emitted.has(id)) return;
    const session = row.kind === 'session' || row.sessionId === null ? null : row.sessionId;
    if (session !== null) emitSession(session);
    const version = { counter: entity.version.counter + 1, hlc: clock.tick(), node };
    const line = formatOperation({
      kind: row.kind,
      key,
      ordinal,
      version,
      of: row.kind === 'session' ? null : row.of,
      mem: row.kind === 'session' ? row.mem : null,
      set: row.set,
      extra: row.extra,
    });
    lines.push(line);
    bytes += Buffer.byteLength(line) + 1;
    emitted.set(id, { key, kind: row.kind, row: row.id, version });
  };

  // A row may be covered by its own project where its session is not: the session goes along.
  const emitSession = (sessionId: number): void => {
    const entity = ledger.entities.byRow('session', sessionId);
    if (entity === null || isKnownIn(entity, space.id)) return;
    const row = reader.byId('session', sessionId);
    if (row === null || row.project === EXCLUDED_PROJECT) return;
    emit(entity, row);
    // Its prompts were passed over while it belonged to no project of the space.
    const mark = ledger.spaces.emittedTo(space.id, 'prompt');
    for (const id of reader.promptsOf(sessionId).filter((prompt) => prompt <= mark)) {
      const prompt = ledger.entities.byRow('prompt', id);
      if (prompt !== null && !isKnownIn(prompt, space.id)) passedOver.push(prompt.key);
    }
  };

  db.transaction(() => {
    for (const key of ledger.spaces.dirty(space.id, MAX_OPERATIONS)) {
      if (isFull()) break;
      clean.push(key);
      const entity = ledger.entities.byKey(key);
      const row = entity === null || entity.row === null ? null : reader.byId(entity.kind, entity.row);
      if (entity !== null && row !== null) emit(entity, row);
    }
  })();

  let more = false;
  for (const kind of KINDS) {
    const top = ledger.entities.scannedTo(kind);
    let mark = ledger.spaces.emittedTo(space.id, kind);
    for (let page = PAGE; page === PAGE;) {
      if (isFull()) {
        more = true;
        break;
      }
      const unsent = ledger.entities.unsent(kind, mark, space.id, PAGE);
      page = unsent.length;
      db.transaction(() => {
        for (const entity of unsent) {
          if (entity.row === null) continue;
          if (isFull()) {
            more = true;
            page = 0;
            return;
          }
          const row = reader.byId(kind, entity.row);
          if (row !== null && covers(row.project)) emit(entity, row);
          mark = entity.row;
        }
      })();
    }
    // Everything up to the last row scanned was considered, so known rows need not be passed over again.
    marks.set(kind, more ? mark : Math.max(mark, top));
    if (more) break;
  }

  const note = (): void => {
    for (const { old, key } of rekeyed) {
      if (old.version.counter === 0 && old.row !== null && !old.key.equals(key))
        ledger.entities.forget(old.key);
    }
    for (const { key, kind, row, version } of emitted.values()) {
      const origin = ledger.entities.byKey(key)?.origin ?? null;
      ledger.entities.record(key, kind, row, space.id, version, origin);
    }
    for (const key of clean) ledger.spaces.clearDirty(space.id, key);
    for (const key of passedOver) ledger.spaces.markDirty(space.id, key);
    for (const [kind, mark] of marks) ledger.spaces.setEmittedTo(space.id, kind, mark);
    ledger.setMeta('hlc', clock.last);
  };
  return { lines, note, more: more || passedOver.length > 0 };
}
