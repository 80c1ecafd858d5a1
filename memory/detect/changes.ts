import { namedSession, type MemoryRow } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { ordinalOf } from '../format/keys.ts';
import { LINK_REGISTER, UNITS, type Kind } from '../format/kinds.ts';
import { DELETION_PART, WHOLE_PART } from '../ledger/dirty.ts';
import { isKnownIn, isStub, type Entity } from '../ledger/entities.ts';
import { LIFE_REGISTER } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { compareMarks, markOf } from './marks.ts';
import { PROJECT_COLUMNS } from '../space/space-projects.ts';
import { publishedForms } from '../space/redact.ts';
import { freeKey } from './free-key.ts';
import type { HybridClock, Version } from '../format/versions.ts';

/** The columns that decide to which spaces a memory belongs. */
const PROJECT_COLUMN_SET: ReadonlySet<string> = new Set(PROJECT_COLUMNS);

/** Dependencies of `Changes`. */
export interface ChangeContext {
  readonly ledger: Ledger;
  readonly schema: ClaudeMemSchema;
  readonly clock: HybridClock;
  readonly node: string;
}

/**
 * Turns changes of claude-mem's rows into versioned writes, and queues them for every space that knows the
 * memory. Callers hold the ledger's transaction.
 */
export class Changes {
  readonly #context: ChangeContext;

  constructor(context: ChangeContext) {
    this.#context = context;
  }

  /**
   * Returns the mark of a row as it is now.
   * @param key its key with ordinal 0, where it is known
   */
  markOf(row: MemoryRow, key?: Buffer): Buffer {
    const columns = this.#context.schema.columns[row.kind];
    return markOf(row, (column) => columns.has(column), key);
  }

  /**
   * Compares a row with its mark, and claims what changed here since.
   * @returns whether anything changed
   */
  notice(row: MemoryRow): boolean {
    const { ledger } = this.#context;
    const told = ledger.marks.get(row.kind, row.id);
    const now = this.markOf(row);
    if (told !== null && told.equals(now)) return false;
    ledger.marks.set(row.kind, row.id, now);
    if (told === null) return false;
    const { moved, units: differing } = compareMarks(row.kind, told, now);
    const columns = this.#context.schema.columns[row.kind];
    // All details share one slot of the mark. Those without a column in this claude-mem cannot have changed
    // here.
    const units = differing.filter((unit) =>
      UNITS[row.kind][unit]?.columns.every((column) => columns.has(column)),
    );
    if (moved) {
      this.#rename(row);
      return true;
    }
    // A row that lost its session keeps the session that peers know.
    const lost = 'memory' in row.of;
    const claimed = units.filter((unit) => !(lost && UNITS[row.kind][unit]?.name === LINK_REGISTER));
    if (claimed.length === 0) return false;
    for (const entity of ledger.entities.allByRow(row.kind, row.id)) this.claim(entity, claimed);
    // The change may have moved the row into a project of another space, so the next push considers it again.
    if (claimed.some((unit) => PROJECT_COLUMN_SET.has(UNITS[row.kind][unit]?.name ?? ''))) {
      this.queueForNewSpaces(row.kind, row.id);
    }
    return true;
  }

  /**
   * Gives parts of a memory a new version, written by this node now, and queues them for the spaces that know
   * it. A stub session is not sent. If the real session arrives, the writes made here are merged into it.
   */
  claim(entity: Entity, units: readonly number[]): void {
    const { ledger } = this.#context;
    if (entity.dead) {
      // A deleted session exists again because rows arrived for it. Changing it counts as writing it again.
      if (entity.row !== null) this.revive(entity, entity.row);
      return;
    }
    if (entity.version.counter === 0 && !isStub(entity)) return;
    const version = this.#nextVersion(entity);
    const written = new Map(ledger.entities.writtenOf(entity).units);
    let parts = 0;
    for (const index of units) {
      const unit = UNITS[entity.kind][index];
      if (unit === undefined) continue;
      written.set(unit.name, version);
      parts |= 1 << index;
    }
    ledger.entities.saveWritten(entity.key, written);
    this.queueParts(entity, parts);
  }

  /**
   * Queues a whole memory, in place of its last sender, with some registers written now. The other registers
   * keep their versions.
   */
  requeueWhole(entity: Entity, row: MemoryRow, rewritten: readonly string[]): void {
    const { ledger } = this.#context;
    const version = this.#nextVersion(entity);
    const { base, units } = ledger.entities.writtenOf(entity);
    const written = new Map(units);
    for (const { name, merge } of UNITS[entity.kind]) {
      if (merge === 'lattice') continue;
      if (rewritten.includes(name)) written.set(name, version);
      else if (!written.has(name) && (merge === 'link' || (row.set[name] ?? null) !== null))
        written.set(name, base);
    }
    ledger.entities.save({ ...entity, version });
    ledger.entities.saveWritten(entity.key, written);
    this.queueParts(entity, WHOLE_PART);
  }

  /**
   * Records that a row is gone: its memories become tombstones in every space that knows them.
   * @param kept the key of a similar memory that stayed
   */
  bury(kind: Kind, row: number, kept: Buffer | null = null): void {
    const { ledger } = this.#context;
    for (const entity of ledger.entities.allByRow(kind, row)) {
      if (entity.dead) {
        // The stub of a session that was deleted before: removing the stub is all that happened.
        ledger.entities.save({ ...entity, row: null });
        continue;
      }
      if (entity.version.counter === 0) {
        ledger.entities.forget(entity.key);
        continue;
      }
      ledger.entities.bury(entity, this.#nextVersion(entity), kept);
      this.queueParts(entity, DELETION_PART);
    }
    ledger.marks.remove(kind, row);
  }

  /** Records that a deleted memory was written again here. It is live from now on, and is sent as a whole. */
  revive(entity: Entity, row: number): void {
    const { ledger } = this.#context;
    const version = this.#nextVersion(entity);
    // Every register gets the new version, so that no write from before the deletion wins.
    const names = UNITS[entity.kind].filter(({ merge }) => merge !== 'lattice').map(({ name }) => name);
    const living = { ...entity, row, dead: false, version };
    ledger.entities.save(living);
    ledger.entities.saveWritten(
      entity.key,
      new Map([LIFE_REGISTER, ...names].map((name) => [name, version])),
    );
    this.queueParts(living, WHOLE_PART);
  }

  /**
   * Moves a memory to another row: it was deleted, or its row is gone unnoticed. If any space knows the
   * memory, it counts as written again.
   */
  takeOver(entity: Entity, row: number): void {
    const { ledger } = this.#context;
    const { kind, row: former } = entity;
    if (entity.dead || entity.version.counter > 0) this.revive(entity, row);
    else ledger.entities.save({ ...entity, row, spaces: isStub(entity) ? 0 : entity.spaces });
    // Other memories of the former row are gone with it; removing the mark makes the audit notice.
    if (former !== null && ledger.entities.byRow(kind, former) === null) ledger.marks.remove(kind, former);
  }

  /**
   * Handles a session that was deleted and written again in another row before the audit noticed.
   * @param row the session's current row, which no space knows under another key
   */
  replace(entity: Entity, row: number): void {
    const { ledger } = this.#context;
    for (const { key } of ledger.entities.allByRow('session', row)) ledger.entities.forget(key);
    this.takeOver(entity, row);
  }

  /** Queues parts of a memory for every space that knows it, except the space `but`. */
  queueParts(entity: Entity, parts: number, but: number | null = null): void {
    if (parts === 0 || isStub(entity)) return;
    const { ledger } = this.#context;
    for (const space of ledger.spaces.all()) {
      if (space.id === but) continue;
      if (isKnownIn(entity, space.id) || (parts === DELETION_PART && this.#mayKnow(entity, space.id))) {
        ledger.dirty.mark(space.id, entity.key, parts);
      }
    }
  }

  /**
   * Returns whether a space may still know a memory that its store lost: this node is sending everything to
   * it again.
   */
  #mayKnow({ kind, row }: Entity, space: number): boolean {
    return row !== null && row > this.#context.ledger.spaces.emittedTo(space, kind);
  }

  /**
   * Queues a row's memories for spaces that do not know them; the next push decides whether they belong
   * there.
   */
  queueForNewSpaces(kind: Kind, row: number): void {
    const { ledger } = this.#context;
    for (const entity of ledger.entities.allByRow(kind, row)) {
      for (const space of ledger.spaces.all()) {
        if (!isKnownIn(entity, space.id)) ledger.dirty.mark(space.id, entity.key, WHOLE_PART);
      }
    }
  }

  /**
   * Handles a change of immutable columns: the former memory is deleted, and the row holds another one now.
   */
  #rename(row: MemoryRow): void {
    const { ledger } = this.#context;
    let isNamed = false;
    for (const entity of ledger.entities.allByRow(row.kind, row.id)) {
      // A push that ran during the change already sent the row under this key.
      if (!entity.dead && isKeyOf(entity.key, row, ledger.ruleSet)) isNamed = true;
      else if (entity.version.counter === 0) ledger.entities.forget(entity.key);
      // A renamed session leaves an empty session under its old name at the peers: deleting it could delete
      // rows of theirs.
      else if (row.kind === 'session') ledger.entities.save({ ...entity, row: null });
      else {
        ledger.entities.bury(entity, this.#nextVersion(entity));
        this.queueParts(entity, DELETION_PART);
      }
    }
    if (isNamed) return;
    const { key } = freeKey(ledger, row);
    const known = ledger.entities.byKey(key);
    if (known?.dead === true) this.revive(known, row.id);
    else ledger.entities.recordSeen(key, row.kind, row.id);
    this.queueForNewSpaces(row.kind, row.id);
  }

  #nextVersion(entity: Entity): Version {
    const { ledger, clock, node } = this.#context;
    const version = { counter: ledger.entities.counterOf(entity) + 1, hlc: clock.tick(), node };
    ledger.setMeta('hlc', clock.last);
    return version;
  }
}

/** Returns whether a key belongs to a row as it is, with or without its secrets. */
function isKeyOf(key: Buffer, { kind, set, of }: MemoryRow, ruleSet: number): boolean {
  return publishedForms(set, ruleSet).some((each) => ordinalOf(key, kind, each, namedSession(of)) !== null);
}
