import { randomBytes } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { openForMerging } from '../claude-mem/open.ts';
import { OWN_ORIGIN, RowReader, namedSession, type MemoryRow } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { RowWriter } from '../claude-mem/write.ts';
import { UNITS } from '../format/kinds.ts';
import { ordinalOf } from '../format/keys.ts';
import { WHOLE_PART } from '../ledger/dirty.ts';
import { isKnownIn, type Entity } from '../ledger/entities.ts';
import { Merger } from '../merge/merger.ts';
import { formatOperation, parseOperation } from '../format/operation.ts';
import { publishedForms } from '../space/redact.ts';
import { Sessions } from '../merge/sessions.ts';
import type { SyncSession } from '../session.ts';
import { isSameValue, type Row, type Value } from '../format/values.ts';
import { clockAt } from '../format/versions.ts';

/** The result of a revocation, or of its dry run. */
export interface RevokeResult {
  /** Id for undoing it; null for a dry run. */
  readonly id: string | null;
  readonly memories: number;
  readonly changes: number;
  /**
   * Things that stay: sessions that others wrote into, and memories and changes with an unknown former state.
   */
  readonly kept: number;
}

/** Memories per transaction. */
const BATCH = 100;

/**
 * Takes back everything that a node wrote in a space since a time. Deletes memories that first arrived here
 * from that node. Restores the earlier value of what it changed, even where it sent others' memories as its
 * own. The fleet receives these as ordinary writes of this node; the data for an undo stays here. A third
 * machine that had a memory before that node sent it deletes it as well, and gets it back with the undo.
 * @param target.since epoch milliseconds, by that node's clock and by this one's (ledger/revocations.ts)
 * @param target.dryRun count only
 * @throws SqliteError when the database is locked; completed work stays, and is part of the revocation
 */
export function revoke(
  session: SyncSession,
  config: SpaceConfig,
  target: { node: string; since: number; dryRun: boolean },
): RevokeResult {
  const { ledger, changes } = session;
  const space = ledger.spaces.get(config.cid);
  const from = { node: target.node, hlc: clockAt(target.since) };
  const id = randomBytes(6).toString('hex');
  const result = { memories: 0, changes: 0, kept: 0 };
  const db = openForMerging(session.path, session.inode);
  const reader = new RowReader(db, session.schema);
  const writer = new RowWriter(db);
  const { schema, now } = session;
  const sessions = new Sessions({ db, ledger, writer, reader, schema, now, changes });

  const takeMemory = (key: Buffer): void => {
    const entity = ledger.entities.byKey(key);
    const row = entity === null || entity.row === null ? null : reader.byId(entity.kind, entity.row);
    if (entity === null || row === null || !isKnownIn(entity, space.id)) return;
    const isKept =
      entity.kind === 'session' && (sessions.hasRows(row.id) || sessions.isInUse(row.id, entity.key));
    if (isKept && !target.dryRun) {
      result.kept += 1;
      return;
    }
    result.memories += 1;
    if (target.dryRun) return;
    ledger.revocations.add(id, { key, unit: '', what: formatLine(entity, row) });
    writer.remove(entity.kind, row.id);
    changes.bury(entity.kind, row.id);
  };

  const takeRegister = ({ key, unit }: { key: Buffer; unit: string }): void => {
    const entity = ledger.entities.byKey(key);
    if (entity === null || entity.row === null || entity.dead || !isKnownIn(entity, space.id)) return;
    const row = reader.byId(entity.kind, entity.row);
    const index = UNITS[entity.kind].findIndex(({ name, merge }) => name === unit && merge === 'register');
    const former = ledger.revocations.formerWriteOf(key, unit, from);
    if (row === null || index < 0 || former === null) {
      result.kept += 1;
      return;
    }
    result.changes += 1;
    if (target.dryRun) return;
    ledger.revocations.add(id, { key, unit, what: JSON.stringify(row.set[unit] ?? null) });
    setRegister(session, { reader, writer }, entity, index, former.value);
  };

  /**
   * Handles a memory that this node had from another source before that node sent it again as a whole: the
   * memory stays.
   */
  const takeRetelling = (key: Buffer): void => {
    const entity = ledger.entities.byKey(key);
    const row = entity === null || entity.row === null ? null : reader.byId(entity.kind, entity.row);
    if (entity === null || entity.dead || row === null || !isKnownIn(entity, space.id)) return;
    // The ledger may have been recreated since, but the row records its origin.
    if (originOf(db, session.schema, row) === `${OWN_ORIGIN}${target.node}`) {
      takeMemory(key);
      return;
    }
    const { units } = ledger.entities.writtenOf(entity);
    const former = new Map<string, Value>();
    for (const { name, merge } of UNITS[entity.kind]) {
      const before = units.has(name) ? null : ledger.revocations.formerWriteOf(key, name, from);
      if (before === null) continue;
      if (merge === 'register') former.set(name, before.value);
      else result.kept += 1;
    }
    const changed = [...former].filter(([unit, value]) => !isSameValue(value, row.set[unit] ?? null));
    result.changes += changed.length;
    if (former.size === 0) result.kept += 1;
    if (target.dryRun) return;
    for (const [unit] of changed) {
      ledger.revocations.add(id, { key, unit, what: JSON.stringify(row.set[unit] ?? null) });
    }
    writer.update(entity.kind, row.id, Object.fromEntries(changed));
    changes.requeueWhole(entity, row, [...former.keys()]);
    const now = reader.byId(entity.kind, row.id);
    if (now !== null) ledger.marks.set(entity.kind, row.id, changes.markOf(now));
  };

  try {
    if (!target.dryRun) {
      ledger.atomically(() =>
        ledger.revocations.begin({
          id,
          space: space.id,
          node: from.node,
          since: target.since,
          at: session.now(),
        }),
      );
    }
    const both = (work: () => void): void => {
      session.signal.throwIfAborted();
      ledger.durably(() => db.transaction(work).immediate());
    };
    const registers = ledger.revocations.registersWrittenBy(from.node, { at: target.since, hlc: from.hlc });
    const retold = ledger.revocations.keysResentBy(from.node, { at: target.since, hlc: from.hlc });
    const keys = ledger.revocations.keysFirstSentBy(from.node, { at: target.since, hlc: from.hlc });
    for (let at = 0; at < keys.length; at += BATCH)
      both(() => keys.slice(at, at + BATCH).forEach(takeMemory));
    for (let at = 0; at < retold.length; at += BATCH)
      both(() => retold.slice(at, at + BATCH).forEach(takeRetelling));
    for (let at = 0; at < registers.length; at += BATCH) {
      both(() => registers.slice(at, at + BATCH).forEach(takeRegister));
    }
    return { id: target.dryRun ? null : id, ...result };
  } finally {
    db.close();
  }
}

/**
 * Undoes a revocation made on this node: writes again what it took back, as this node's own writes.
 * @throws MembridgeError not_found when this node made no such revocation, conflict when it was undone before
 */
export function undoRevocation(session: SyncSession, config: SpaceConfig, id: string): RevokeResult {
  const { ledger, clock, identity } = session;
  const space = ledger.spaces.get(config.cid);
  const revocation = ledger.revocations.find(id);
  if (revocation === null || revocation.space !== space.id) {
    throw new MembridgeError(
      'not_found',
      `This node has made no revocation ${id} in space ${config.projectId}.`,
    );
  }
  if (revocation.undone) throw new MembridgeError('conflict', `The revocation ${id} was undone before.`);
  const result = { memories: 0, changes: 0, kept: 0 };
  const db = openForMerging(session.path, session.inode);
  try {
    const reader = new RowReader(db, session.schema);
    const writer = new RowWriter(db);
    const merger = new Merger({
      ...session,
      db,
      space,
      config: { ...config, names: {}, trust: {} },
      node: identity.node,
    });
    const taken = ledger.revocations.listRevokedBy(id);
    const memories = taken
      .filter(({ unit }) => unit === '')
      .map(({ what }) => parseOperation(what))
      .sort((a, b) => (a.kind === 'session' ? 0 : 1) - (b.kind === 'session' ? 0 : 1));
    ledger.durably(() =>
      db
        .transaction(() => {
          for (const operation of memories) {
            const entity = ledger.entities.byKey(operation.key);
            if (entity === null || !entity.dead || operation.type !== 'full') {
              result.kept += 1;
              continue;
            }
            const version = {
              counter: ledger.entities.counterOf(entity) + 1,
              hlc: clock.tick(),
              node: identity.node,
            };
            const names = UNITS[operation.kind]
              .filter(({ merge }) => merge !== 'lattice')
              .map(({ name }) => name);
            const written = new Map(names.map((name) => [name, version]));
            merger.apply({ ...operation, version, written }, entity.origin ?? 0, true);
            for (const each of ledger.spaces.all()) {
              if (isKnownIn(entity, each.id)) ledger.dirty.mark(each.id, operation.key, WHOLE_PART);
            }
            result.memories += 1;
          }
          merger.flush();
          for (const { key, unit, what } of taken.filter((each) => each.unit !== '')) {
            const entity = ledger.entities.byKey(key);
            const index = entity === null ? -1 : UNITS[entity.kind].findIndex(({ name }) => name === unit);
            if (entity === null || entity.row === null || index < 0) {
              result.kept += 1;
              continue;
            }
            setRegister(session, { reader, writer }, entity, index, JSON.parse(what) as Value);
            result.changes += 1;
          }
          ledger.revocations.setUndone(id);
        })
        .immediate(),
    );
    return { id, ...result };
  } finally {
    db.close();
  }
}

/** Returns the origin device recorded in a row; null when there is none, or none can be recorded. */
function originOf(db: Database.Database, schema: ClaudeMemSchema, { kind, id }: MemoryRow): string | null {
  if (!schema.columns[kind].has('origin_device_id')) return null;
  return db.prepare(`SELECT origin_device_id FROM ${schema.sources[kind]} WHERE id = ?`).pluck().get(id) as
    string | null;
}

/** Sets a register to a value, as this node's own write, now. */
function setRegister(
  { ledger, changes }: SyncSession,
  { reader, writer }: { reader: RowReader; writer: RowWriter },
  entity: Entity,
  index: number,
  value: Value,
): void {
  const unit = UNITS[entity.kind][index];
  if (unit === undefined || entity.row === null) return;
  writer.update(entity.kind, entity.row, { [unit.name]: value });
  changes.claim(entity, [index]);
  const now = reader.byId(entity.kind, entity.row);
  if (now !== null) ledger.marks.set(entity.kind, entity.row, changes.markOf(now));
}

/** Formats a memory as a line that can be written again, redacted if its key is the redacted one. */
function formatLine(entity: Entity, row: MemoryRow): string {
  const name = namedSession(row.of);
  const forms = publishedForms(row.set);
  const isNamed = (form: Row): boolean => ordinalOf(entity.key, row.kind, form, name) !== null;
  const set = forms.findLast(isNamed) ?? forms[0] ?? row.set;
  return formatOperation({
    type: 'full',
    kind: row.kind,
    key: entity.key,
    version: entity.version,
    ordinal: ordinalOf(entity.key, row.kind, set, name) ?? 0,
    of: row.kind === 'session' ? null : row.of,
    mem: row.kind === 'session' ? row.mem : null,
    set,
    extra: row.extra,
    written: new Map(),
  });
}
