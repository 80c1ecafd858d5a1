import { nameOf, type MemoryRow } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { ordinalOf } from '../format/keys.ts';
import { LINK, UNITS, type Kind } from '../format/kinds.ts';
import { DEATH, WHOLE } from '../ledger/dirty.ts';
import { isKnownIn, isStub, type Entity } from '../ledger/entities.ts';
import { LIFE } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { compareMarks, markOf } from './marks.ts';
import { PROJECT_COLUMNS } from '../space/names.ts';
import { publishedForms } from '../space/redact.ts';
import { freeKey } from './free-key.ts';
import type { HybridClock, Version } from '../format/versions.ts';

/** The parts that decide to which spaces a memory belongs. */
const PROJECTS: ReadonlySet<string> = new Set(PROJECT_COLUMNS);

/** What noticing a change needs. */
export interface ChangeContext {
  readonly ledger: Ledger;
  readonly schema: ClaudeMemSchema;
  readonly clock: HybridClock;
  readonly node: string;
}

/**
 * Turns what was done to claude-mem's rows into writes with a version of their own, and has the spaces that know the
 * memory be told. Callers bring the ledger's transaction.
 */
export class Changes {
  readonly #context: ChangeContext;

  constructor(context: ChangeContext) {
    this.#context = context;
  }

  /** The mark of a row as it is now. @param key its key with ordinal 0, where it is known */
  markOf(row: MemoryRow, key?: Buffer): Buffer {
    const columns = this.#context.schema.columns[row.kind];
    return markOf(row, (column) => columns.has(column), key);
  }

  /**
   * Compares a row with its mark and claims what was changed here since.
   * @returns whether anything was
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
    // Details share a slot of the mark: those that this claude-mem has no column for were changed by nobody.
    const units = differing.filter((unit) =>
      UNITS[row.kind][unit]?.columns.every((column) => columns.has(column)),
    );
    if (moved) {
      this.#rename(row);
      return true;
    }
    // A row that lost its session is not moved away from it: peers still know better.
    const lost = 'memory' in row.of;
    const claimed = units.filter((unit) => !(lost && UNITS[row.kind][unit]?.name === LINK));
    if (claimed.length === 0) return false;
    for (const entity of ledger.entities.allByRow(row.kind, row.id)) this.claim(entity, claimed);
    // A row may have come under a space's projects by this: it is looked at again.
    if (claimed.some((unit) => PROJECTS.has(UNITS[row.kind][unit]?.name ?? ''))) {
      this.offer(row.kind, row.id);
    }
    return true;
  }

  /**
   * Gives parts of a memory a new version, by this node and now, and has the spaces be told of them. Of a session that was made
   * up here nobody is told: should its own come, what was written into it here is merged with that.
   */
  claim(entity: Entity, units: readonly number[]): void {
    const { ledger } = this.#context;
    if (entity.dead) {
      // A session that was deleted and is here again for the rows in it: who changes it writes it again.
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
    this.tell(entity, parts);
  }

  /**
   * Tells of a memory as a whole in place of the node that did last, with some registers written now; the others keep
   * the version they have.
   */
  retell(entity: Entity, row: MemoryRow, rewritten: readonly string[]): void {
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
    this.tell(entity, WHOLE);
  }

  /**
   * Notes that a row is gone: its memories are dead from now on, wherever they were told of.
   * @param kept the key of a like memory that stayed
   */
  bury(kind: Kind, row: number, kept: Buffer | null = null): void {
    const { ledger } = this.#context;
    for (const entity of ledger.entities.allByRow(kind, row)) {
      if (entity.dead) {
        // The stub of a session that was deleted before: that is all there was.
        ledger.entities.save({ ...entity, row: null });
        continue;
      }
      if (entity.version.counter === 0) {
        ledger.entities.forget(entity.key);
        continue;
      }
      ledger.entities.bury(entity, this.#nextVersion(entity), kept);
      this.tell(entity, DEATH);
    }
    ledger.marks.remove(kind, row);
  }

  /** A memory that was dead is written again here: it lives from now on, and is told of as a whole. */
  revive(entity: Entity, row: number): void {
    const { ledger } = this.#context;
    const version = this.#nextVersion(entity);
    // Every register counts as written now, so that nothing from before the deletion comes back.
    const names = UNITS[entity.kind].filter(({ merge }) => merge !== 'lattice').map(({ name }) => name);
    const living = { ...entity, row, dead: false, version };
    ledger.entities.save(living);
    ledger.entities.saveWritten(entity.key, new Map([LIFE, ...names].map((name) => [name, version])));
    this.tell(living, WHOLE);
  }

  /**
   * A memory that is dead, or whose row is gone without anybody having noticed, is written again in another row: it is the
   * same one, born again where somebody was told of it.
   */
  takeOver(entity: Entity, row: number): void {
    const { ledger } = this.#context;
    const { kind, row: former } = entity;
    if (entity.dead || entity.version.counter > 0) this.revive(entity, row);
    else ledger.entities.save({ ...entity, row, spaces: isStub(entity) ? 0 : entity.spaces });
    // Other memories that the former row held are gone with it: its mark will say so.
    if (former !== null && ledger.entities.byRow(kind, former) === null) ledger.marks.remove(kind, former);
  }

  /**
   * A session was deleted and another row bears its name before anybody noticed.
   * @param row the session's row now, of which no space was told by another key
   */
  replace(entity: Entity, row: number): void {
    const { ledger } = this.#context;
    for (const { key } of ledger.entities.allByRow('session', row)) ledger.entities.forget(key);
    this.takeOver(entity, row);
  }

  /** Has every space that knows a memory be told of parts of it, but one where one is given. */
  tell(entity: Entity, parts: number, but: number | null = null): void {
    if (parts === 0 || isStub(entity)) return;
    const { ledger } = this.#context;
    for (const space of ledger.spaces.all()) {
      if (space.id === but) continue;
      if (isKnownIn(entity, space.id) || (parts === DEATH && this.#mayKnow(entity, space.id))) {
        ledger.dirty.mark(space.id, entity.key, parts);
      }
    }
  }

  /** Whether a space may know a memory by what its store lost since: it is being told of everything here again. */
  #mayKnow({ kind, row }: Entity, space: number): boolean {
    return row !== null && row > this.#context.ledger.spaces.emittedTo(space, kind);
  }

  /** Has spaces that do not know what a row holds look whether they should. */
  offer(kind: Kind, row: number): void {
    const { ledger } = this.#context;
    for (const entity of ledger.entities.allByRow(kind, row)) {
      for (const space of ledger.spaces.all()) {
        if (!isKnownIn(entity, space.id)) ledger.dirty.mark(space.id, entity.key, WHOLE);
      }
    }
  }

  /** The row's immutable columns changed: the memory it was is gone, and it is another one now. */
  #rename(row: MemoryRow): void {
    const { ledger } = this.#context;
    let isNamed = false;
    for (const entity of ledger.entities.allByRow(row.kind, row.id)) {
      // A push that ran when the row changed told of it as it is now.
      if (!entity.dead && isKeyOf(entity.key, row, ledger.ruleSet)) isNamed = true;
      else if (entity.version.counter === 0) ledger.entities.forget(entity.key);
      // A session that is known by another name now keeps its old name at the peers, empty: deleting it there could take
      // rows of theirs along.
      else if (row.kind === 'session') ledger.entities.save({ ...entity, row: null });
      else {
        ledger.entities.bury(entity, this.#nextVersion(entity));
        this.tell(entity, DEATH);
      }
    }
    if (isNamed) return;
    const { key } = freeKey(ledger, row);
    const known = ledger.entities.byKey(key);
    if (known?.dead === true) this.revive(known, row.id);
    else ledger.entities.seen(key, row.kind, row.id);
    this.offer(row.kind, row.id);
  }

  #nextVersion(entity: Entity): Version {
    const { ledger, clock, node } = this.#context;
    const version = { counter: ledger.entities.counterOf(entity) + 1, hlc: clock.tick(), node };
    ledger.setMeta('hlc', clock.last);
    return version;
  }
}

/** Whether a key is the one of a row as it is, with its secrets or without. */
function isKeyOf(key: Buffer, { kind, set, of }: MemoryRow, ruleSet: number): boolean {
  return publishedForms(set, ruleSet).some((each) => ordinalOf(key, kind, each, nameOf(of)) !== null);
}
