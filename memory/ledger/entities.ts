import type Database from 'better-sqlite3';
import { LIFE_REGISTER, SHAPES, kindOfCode, type Kind } from '../format/kinds.ts';
import type { Written } from '../format/registers.ts';
import { UNVERSIONED, type Version } from '../format/versions.ts';
import { statementsOf } from './statements.ts';

/** Value of `spaces` for a row that is never sent to any space (a stub session made here). */
export const EVERY_SPACE = 2 ** 53 - 1;

/** The ledger's record of one memory. */
export interface Entity {
  readonly key: Buffer;
  readonly kind: Kind;
  /** Local id in claude-mem, null while the row is missing. */
  readonly row: number | null;
  readonly spaces: number;
  /** Version of the memory as a whole; counter 0 before any node sent it. */
  readonly version: Version;
  /** The segment that delivered it, null for a memory first seen here. */
  readonly origin: number | null;
  readonly dead: boolean;
}

interface RawVersion {
  counter: number;
  hlc: number;
  node: string;
}

interface RawEntity extends RawVersion {
  key: Buffer;
  kind: number;
  row: number | null;
  spaces: number;
  origin: number | null;
  dead: number;
}

const toEntity = (raw: RawEntity): Entity => ({
  key: raw.key,
  kind: kindOfCode(raw.kind),
  row: raw.row,
  spaces: raw.spaces,
  version: { counter: raw.counter, hlc: raw.hlc, node: raw.node },
  origin: raw.origin,
  dead: raw.dead === 1,
});

/** Returns whether a space has an operation for the memory. */
export function isKnownIn(entity: Pick<Entity, 'spaces'>, space: number): boolean {
  return Math.floor(entity.spaces / 2 ** space) % 2 === 1;
}

/**
 * Returns whether a row is a stub session: made up here for rows whose own session never arrived, or was
 * deleted.
 */
export function isStub(entity: Entity): boolean {
  return (
    entity.row !== null && (entity.dead || (entity.spaces === EVERY_SPACE && entity.version.counter === 0))
  );
}

/** The name under which the ledger stores the greatest counter of a deleted memory; never sent. */
const TOP_COUNTER = 'top';

/**
 * The ledger's table of memories. Each method runs a few statements at most; callers hold the transaction.
 */
export class Entities {
  readonly #db: Database.Database;
  readonly #sql: ReturnType<typeof statementsOf>;
  readonly #byKey: Database.Statement<[Buffer], RawEntity>;
  readonly #byRow: Database.Statement<[number, number], RawEntity>;
  readonly #seen: Database.Statement<[Buffer, number, number]>;
  readonly #add: Database.Statement<[Buffer, number, number]>;
  readonly #save: Database.Statement<unknown[]>;
  readonly #addSpace: Database.Statement<[number, Buffer]>;
  readonly #unsent: Database.Statement<[number, number, number, number], RawEntity>;
  readonly #hasUnsent: Database.Statement<[number, number, number]>;
  readonly #high: Database.Statement<[number], { high: number }>;
  readonly #setHigh: Database.Statement<[number, number]>;
  readonly #forget: Database.Statement<[Buffer]>;
  readonly #registers: Database.Statement<[Buffer], RawVersion & { unit: string }>;
  readonly #setRegister: Database.Statement<unknown[]>;
  readonly #forgetRegisters: Database.Statement<[Buffer]>;
  /** Whether any registers may be stored. The first push and the first pull have none, and need no query. */
  #hasRegisters: boolean;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#sql = statementsOf(db);
    this.#byKey = db.prepare('SELECT * FROM entity WHERE key = ?');
    this.#byRow = db.prepare('SELECT * FROM entity WHERE kind = ? AND row = ?');
    this.#seen = db.prepare(
      `INSERT INTO entity (key, kind, row) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET row = excluded.row WHERE entity.row IS NULL`,
    );
    this.#add = db.prepare('INSERT INTO entity (key, kind, row) VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
    this.#save = db.prepare(
      `INSERT INTO entity (key, kind, row, spaces, counter, hlc, node, origin, dead) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET row = excluded.row, spaces = excluded.spaces, counter = excluded.counter,
         hlc = excluded.hlc, node = excluded.node, origin = excluded.origin, dead = excluded.dead`,
    );
    this.#addSpace = db.prepare('UPDATE entity SET spaces = spaces | ? WHERE key = ?');
    this.#unsent = db.prepare(
      `SELECT * FROM entity WHERE kind = ? AND row > ? AND spaces & ? = 0 ORDER BY row LIMIT ?`,
    );
    this.#hasUnsent = db
      .prepare('SELECT 1 FROM entity WHERE kind = ? AND row > ? AND spaces & ? = 0 LIMIT 1')
      .pluck();
    this.#high = db.prepare('SELECT high FROM scanned WHERE kind = ?');
    this.#setHigh = db.prepare(
      'INSERT INTO scanned (kind, high) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET high = excluded.high',
    );
    this.#forget = db.prepare('DELETE FROM entity WHERE key = ?');
    this.#registers = db.prepare('SELECT unit, counter, hlc, node FROM register WHERE key = ?');
    this.#setRegister = db.prepare(
      `INSERT INTO register (key, unit, counter, hlc, node) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (key, unit) DO UPDATE SET counter = excluded.counter, hlc = excluded.hlc, node = excluded.node`,
    );
    this.#forgetRegisters = db.prepare(`DELETE FROM register WHERE key = ? AND unit <> '${LIFE_REGISTER}'`);
    this.#hasRegisters = this.#sql('SELECT 1 FROM register LIMIT 1').get() !== undefined;
  }

  byKey(key: Buffer): Entity | null {
    const raw = this.#byKey.get(key);
    return raw === undefined ? null : toEntity(raw);
  }

  /** Returns one memory of a row; allByRow returns all. */
  byRow(kind: Kind, row: number): Entity | null {
    const raw = this.#byRow.get(SHAPES[kind].code, row);
    return raw === undefined ? null : toEntity(raw);
  }

  /** Returns every memory of a row: more than one where twins of peers turned out to be the same. */
  allByRow(kind: Kind, row: number): Entity[] {
    return this.#byRow.all(SHAPES[kind].code, row).map(toEntity);
  }

  /** Records that a row found in claude-mem is this memory. */
  recordSeen(key: Buffer, kind: Kind, row: number): void {
    this.#seen.run(key, SHAPES[kind].code, row);
  }

  /**
   * Records a row as a new memory.
   * @returns false, recording nothing, when the memory is known already
   */
  add(key: Buffer, kind: Kind, row: number): boolean {
    return this.#add.run(key, SHAPES[kind].code, row).changes > 0;
  }

  /** Returns whether a row of a kind above a local id holds any memory. */
  hasRowAbove(kind: Kind, row: number): boolean {
    const found = this.#sql('SELECT 1 FROM entity WHERE kind = ? AND row > ? LIMIT 1');
    return found.get(SHAPES[kind].code, row) !== undefined;
  }

  save(entity: Entity): void {
    const { key, kind, row, spaces, version, origin, dead } = entity;
    const { counter, hlc, node } = version;
    this.#save.run(key, SHAPES[kind].code, row, spaces, counter, hlc, node, origin, dead ? 1 : 0);
  }

  /**
   * Records that a space received a row's memory at `version`: the ledger's current one, or the one when the
   * operation was made.
   */
  recordSent(entity: Entity, row: number, version: Version, space: number): void {
    const { counter, hlc, node } = version;
    const { changes } = this.#sql(
      'UPDATE entity SET row = ?, counter = ?, hlc = ?, node = ?, spaces = spaces | ? WHERE key = ?',
    ).run(row, counter, hlc, node, 2 ** space, entity.key);
    if (changes > 0) return;
    this.save({ ...entity, row, version });
    this.addSpace(entity.key, space);
  }

  /** Records that a space has an operation for a memory. */
  addSpace(key: Buffer, space: number): void {
    this.#addSpace.run(2 ** space, key);
  }

  /** Returns the versions of registers that were written separately, including `life`. */
  registersOf(entity: Entity): Map<string, Version> {
    return this.writesOf(entity).registers;
  }

  /** Returns the same, and the greatest counter of any write of the memory. */
  writesOf(entity: Entity): { registers: Map<string, Version>; counter: number } {
    const registers = new Map<string, Version>();
    let greatest = entity.version.counter;
    if (!this.#hasRegisters) return { registers, counter: greatest };
    for (const { unit, counter, hlc, node } of this.#registers.all(entity.key)) {
      greatest = Math.max(greatest, counter);
      if (unit !== TOP_COUNTER) registers.set(unit, { counter, hlc, node });
    }
    return { registers, counter: greatest };
  }

  /** Returns the versions of a memory's registers. */
  writtenOf(entity: Entity): Written {
    const units = this.registersOf(entity);
    units.delete(LIFE_REGISTER);
    return { base: entity.version, units };
  }

  /** Returns the version at which a memory last became live or deleted; UNVERSIONED if unknown. */
  lifeOf(entity: Entity | null): Version {
    if (entity === null) return UNVERSIONED;
    return (entity.dead ? this.registersOf(entity).get(LIFE_REGISTER) : undefined) ?? entity.version;
  }

  /**
   * Returns the version at which a live memory was written again after a deletion; UNVERSIONED when it never
   * was.
   */
  rebornAt(entity: Entity): Version {
    return (entity.dead ? undefined : this.registersOf(entity).get(LIFE_REGISTER)) ?? UNVERSIONED;
  }

  /** Replaces the stored versions of registers and of the memory's rebirth. */
  saveWritten(key: Buffer, units: ReadonlyMap<string, Version>): void {
    if (this.#hasRegisters) this.#forgetRegisters.run(key);
    for (const [unit, { counter, hlc, node }] of units) this.#addRegister(key, unit, counter, hlc, node);
  }

  /**
   * Turns a memory into a tombstone at `version`. Keeps the row of a stub session, for what others wrote into
   * it.
   * @param kept the similar memory that stayed, if the deletion names one
   */
  bury(entity: Entity, version: Version, kept: Buffer | null = null, stub: number | null = null): void {
    const counter = this.counterOf(entity);
    this.save({ ...entity, row: stub, dead: true });
    if (kept === null) this.#sql('DELETE FROM witness WHERE key = ?').run(entity.key);
    else this.#sql('INSERT OR REPLACE INTO witness (key, kept) VALUES (?, ?)').run(entity.key, kept);
    this.saveWritten(entity.key, new Map([[LIFE_REGISTER, version]]));
    this.noteCounter({ ...entity, dead: true }, counter);
  }

  /** Returns the memory that was kept when this one was deleted, null for none. */
  keptFor(key: Buffer): Buffer | null {
    return (
      (this.#sql('SELECT kept FROM witness WHERE key = ?').pluck().get(key) as Buffer | undefined) ?? null
    );
  }

  /**
   * Returns what a space receives about a deleted memory: its version, and the kept memory.
   * @param isTold returns whether the space knows the kept memory, or is about to receive it
   */
  deletionOf(entity: Entity, isTold: (kept: Entity) => boolean): { version: Version; kept: Buffer | null } {
    const kept = this.keptFor(entity.key);
    const known = kept === null ? null : this.byKey(kept);
    return { version: this.lifeOf(entity), kept: known !== null && isTold(known) ? kept : null };
  }

  /**
   * Records the counter of a write that a deleted memory does not show. If the memory came back with a lesser
   * counter, that write would win on some machines.
   */
  noteCounter(entity: Entity, counter: number): void {
    if (counter > this.counterOf(entity)) this.#addRegister(entity.key, TOP_COUNTER, counter, 0, '');
  }

  #addRegister(...register: [key: Buffer, unit: string, counter: number, hlc: number, node: string]): void {
    this.#setRegister.run(...register);
    this.#hasRegisters = true;
  }

  /** Returns the greatest counter of any write of a memory. */
  counterOf(entity: Entity): number {
    return this.writesOf(entity).counter;
  }

  /** Deletes a key that no operation ever named (its row turned out to be another memory). */
  forget(key: Buffer): void {
    this.#forget.run(key);
    this.#db.prepare('DELETE FROM register WHERE key = ?').run(key);
  }

  /** Returns rows above a local id that the space has no operation for, in order of id. */
  unsent(kind: Kind, aboveRow: number, space: number, limit: number): Entity[] {
    return this.#unsent.all(SHAPES[kind].code, aboveRow, 2 ** space, limit).map(toEntity);
  }

  hasUnsent(kind: Kind, aboveRow: number, space: number): boolean {
    return this.#hasUnsent.get(SHAPES[kind].code, aboveRow, 2 ** space) !== undefined;
  }

  /**
   * Returns live memories that a space knows and a local row holds, in order of row and key, starting after
   * one of them.
   */
  knownIn(space: number, kind: Kind, after: { row: number; key: Buffer }, limit: number): Entity[] {
    return this.#sql(
      `SELECT * FROM entity WHERE kind = ? AND (row, key) > (?, ?) AND spaces & ? <> 0 AND spaces <> ${EVERY_SPACE}
       AND counter > 0 AND dead = 0 ORDER BY row, key LIMIT ?`,
    )
      .all(SHAPES[kind].code, after.row, after.key, 2 ** space, limit)
      .map((raw) => toEntity(raw as RawEntity));
  }

  /** Returns live memories that a space knows and no local row holds. */
  rowlessIn(space: number): Entity[] {
    return this.#sql(
      `SELECT * FROM entity WHERE row IS NULL AND spaces & ? <> 0 AND spaces <> ${EVERY_SPACE} AND counter > 0 AND dead = 0`,
    )
      .all(2 ** space)
      .map((raw) => toEntity(raw as RawEntity));
  }

  /** Returns deleted memories that a space knows, in order of key, starting after one of them. */
  deadIn(space: number, after: Buffer, limit: number): Entity[] {
    return this.#sql(
      'SELECT * FROM entity WHERE dead = 1 AND key > ? AND spaces & ? <> 0 ORDER BY key LIMIT ?',
    )
      .all(after, 2 ** space, limit)
      .map((raw) => toEntity(raw as RawEntity));
  }

  /**
   * Returns the keys of every memory that a node's segments may have sent to a space. These are memories that
   * it wrote, changed or deleted, and memories not known to come from another node. Includes every session,
   * because the ledger does not record who advanced a session.
   * @param self whether the node is this one: it sent what was first seen here
   */
  keysSentBy(node: string, space: number, self: boolean): Buffer[] {
    return this.#db
      .prepare(
        `SELECT key FROM entity WHERE node = ? OR kind = ? OR (origin IS NULL AND ?)
         OR origin IN (SELECT id FROM segment WHERE space <> ? OR node = ?)
         UNION SELECT key FROM register WHERE node = ?`,
      )
      .pluck()
      .all(node, SHAPES.session.code, self ? 1 : 0, space, node, node) as Buffer[];
  }

  /** Returns the keys of deleted memories. */
  deadKeys(): Buffer[] {
    return this.#db.prepare('SELECT key FROM entity WHERE dead = 1').pluck().all() as Buffer[];
  }

  /** Forgets the operations of a space, so that everything is sent again. */
  forgetSpace(space: number): void {
    this.#db.prepare('UPDATE entity SET spaces = spaces & ~? WHERE spaces <> ?').run(2 ** space, EVERY_SPACE);
  }

  /** Returns the local id up to which rows of a kind were scanned. */
  scannedTo(kind: Kind): number {
    return this.#high.get(SHAPES[kind].code)?.high ?? 0;
  }

  setScannedTo(kind: Kind, row: number): void {
    this.#setHigh.run(SHAPES[kind].code, row);
  }
}
