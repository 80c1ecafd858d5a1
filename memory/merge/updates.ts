import { canonicalJson } from '../format/canonical-json.ts';
import type { MemoryRow } from '../claude-mem/read.ts';
import { differingColumns, foldLattices } from './fold.ts';
import { LINK_REGISTER, UNITS, registersOf, type Kind, type Unit } from '../format/kinds.ts';
import { WHOLE_PART } from '../ledger/dirty.ts';
import { isKnownIn, type Entity } from '../ledger/entities.ts';
import { LIFE_REGISTER } from '../format/kinds.ts';
import { linkedSession, registerValuesOf, type Operation, type SessionRef } from '../format/operation.ts';
import { publishedForms } from '../space/redact.ts';
import { mergeRegisters, type Registers, type Written } from '../format/registers.ts';
import { isSameValue, type Row, type Value } from '../format/values.ts';
import { compareVersions, type Version } from '../format/versions.ts';
import { hasNoAuthor } from './accepted.ts';
import type { Inserts } from './inserts.ts';
import type { Incoming, MergeTools, Outcome } from './merge-context.ts';

/** The columns that record a session's progress. */
const PROGRESS_COLUMNS = UNITS.session
  .filter(({ merge }) => merge === 'lattice')
  .flatMap(({ columns }) => columns);

/** Merges operations into memories that exist here. */
export class Updates {
  readonly #tools: MergeTools;
  readonly #inserts: Inserts;

  constructor(tools: MergeTools, inserts: Inserts) {
    this.#tools = tools;
    this.#inserts = inserts;
  }

  /** Merges an operation into an existing memory. */
  mergeInto(incoming: Incoming, entity: Entity, row: MemoryRow, said: Registers): Outcome {
    const { operation, origin } = incoming;
    const { kind } = operation;
    // A local change that was not noticed yet is a write of its own, so it must be claimed before a merge
    // overwrites it.
    this.#tools.changes.notice(row);
    const current = this.#tools.ledger.entities.byKey(entity.key) ?? entity;
    const local = this.#registersOf(current, row);
    const names = UNITS[kind].filter(({ merge }) => merge !== 'lattice').map(({ name }) => name);
    const merged = mergeRegisters(local, said, names);
    for (const { name, version, value } of merged.replaced) {
      this.#tools.ledger.revocations.keepFormer(entity.key, name, version, value);
    }
    const changes: Record<string, Value> = {};
    const told = this.#formsOf(row);
    const heard = operation.type === 'full' ? operation.set : operation.type === 'update' ? operation.up : {};
    for (const name of merged.taken) {
      // If the space would receive the incoming value from the local row, nothing differs: a local project
      // name or secret stays.
      const same =
        name in row.set && told.some((form) => isSameValue(form[name] ?? null, heard[name] ?? null));
      if (name !== LINK_REGISTER && !same) changes[name] = said.values[name] ?? null;
    }
    const differing = this.#hasColumns(kind, changes, row);

    if (merged.taken.includes(LINK_REGISTER)) {
      const moved = this.#move(incoming, row, linkedSession(said.values[LINK_REGISTER]));
      if (moved === 'waits') return 'waiting';
      Object.assign(differing, moved);
    }
    let held = false;
    if (kind === 'session') {
      const folded = this.#progressOf(operation, current, row, said);
      held = Object.keys(folded).length > 0 && this.#tools.sessions.isInUse(row.id, entity.key);
      if (!held) Object.assign(differing, this.#tools.localColumns(kind, folded));
      if (operation.type === 'full' && row.mem === null && operation.mem !== null && !held) {
        differing['memory_session_id'] = this.#tools.sessions.chooseMemoryId(operation.key, operation.mem);
      }
    }
    this.#tools.writer.update(kind, row.id, differing);
    const saved = this.#tools.recordSaved(operation, current, row.id, origin, merged.written.base);
    const reborn = operation.type === 'full' ? operation.written.get(LIFE_REGISTER) : undefined;
    const isLater =
      reborn !== undefined && compareVersions(reborn, this.#tools.ledger.entities.rebornAt(current)) > 0;
    const units = new Map([...merged.written.units, ...progressVersions(kind, local.written, said.written)]);
    // A held-back operation begins the new life only when it is folded in. Recorded earlier, its rebirth
    // would look old by then.
    const begins = isLater && !held;
    if (begins) units.set(LIFE_REGISTER, reborn);
    this.#tools.ledger.entities.saveWritten(operation.key, units);
    const now = Object.keys(differing).length > 0 ? this.#tools.writeMarkOf(kind, row.id) : row;
    const changed = UNITS[kind].filter(
      ({ name, columns }) => merged.taken.includes(name) || columns.some((column) => column in differing),
    );
    const { id } = this.#tools.context.space;
    this.#tools.changes.queueParts(saved, bitsOf(kind, changed), id);
    // Progress merged earlier may predate the new life, so it is sent to the fleet and all nodes converge.
    if (begins && kind === 'session') {
      this.#tools.changes.claim(saved, numbersOf(kind, this.#progressSince(current, reborn)));
    }
    if (operation.type === 'full') {
      this.#answer(saved, local, now, said, operation.written);
      // This space did not have the memory from here, so it gets what was written in other spaces or earlier.
      const knowsMore = !hasSameWrites(merged.written, said.written) || hasMoreProgress(now, said);
      if (current.version.counter > 0 && !isKnownIn(current, id) && knowsMore)
        this.#tools.queueHere(saved, WHOLE_PART);
    }
    // The held-back progress is folded in when the worker has finished the session.
    if (held) return this.#tools.wait(operation, origin, 'its session is in use here');
    return Object.keys(differing).length > 0 ? 'updated' : 'same';
  }

  /** Returns a row's columns as this release or an earlier one may have sent them to a space. */
  #formsOf(row: MemoryRow): Row[] {
    const { names, context, ledger } = this.#tools;
    const named = names.rowToSpace(row.set);
    return context.config.redact === false ? [named] : publishedForms(named, ledger.ruleSet);
  }

  /**
   * Returns how an operation changes a session's progress. Progress from before a deletion does not count
   * after it.
   */
  #progressOf(operation: Operation, entity: Entity, row: MemoryRow, said: Registers): Row {
    const born = this.#tools.ledger.entities.rebornAt(entity);
    const reborn = operation.type === 'full' ? operation.written.get(LIFE_REGISTER) : undefined;
    if (reborn !== undefined && compareVersions(reborn, born) > 0) {
      const since = this.#progressSince(entity, reborn);
      const kept = pick(
        row.set,
        since.flatMap(({ columns }) => columns),
      );
      const course = { ...said.values, ...foldLattices(said.values, kept) };
      return pick(course, differingColumns(course, row.set, PROGRESS_COLUMNS));
    }
    return compareVersions(operation.version, born) < 0 ? {} : foldLattices(row.set, said.values);
  }

  /**
   * Returns the parts of a session's progress that were written after its rebirth, but merged before the
   * rebirth arrived.
   */
  #progressSince(entity: Entity, reborn: Version): Unit[] {
    const { units } = this.#tools.ledger.entities.writtenOf(entity);
    return UNITS.session.filter(({ name, merge }) => {
      const version = merge === 'lattice' ? units.get(name) : undefined;
      return version !== undefined && compareVersions(version, reborn) > 0;
    });
  }

  /** Queues for peers what only this machine knew of a memory when it first received it. */
  #answer(
    entity: Entity,
    before: Registers,
    now: MemoryRow,
    said: Registers,
    written: Written['units'],
  ): void {
    if (before.written.base.counter > 0) return;
    const unsaid = UNITS[entity.kind].filter(({ name, columns, merge }) => {
      if (merge === 'lattice') {
        return Object.keys(foldLattices(said.values, pick(now.set, columns))).length > 0;
      }
      if (hasNoAuthor(written.get(name))) return false;
      return merge === 'register' && (said.values[name] ?? null) === null && (now.set[name] ?? null) !== null;
    });
    this.#tools.changes.claim(entity, numbersOf(entity.kind, unsaid));
  }

  /**
   * Moves a row to its current session.
   * @returns the changed columns, or 'waits'
   */
  #move(incoming: Incoming, row: MemoryRow, of: SessionRef | null): Record<string, Value> | 'waits' {
    const { operation, origin, stub } = incoming;
    const place = canonicalJson(of) === canonicalJson(row.of);
    if (of === null || place) return {};
    const resolved = this.#tools.sessions.resolve({ kind: operation.kind, of, set: row.set }, stub);
    if ('waits' in resolved) {
      this.#tools.wait(operation, origin, resolved.waits);
      return 'waits';
    }
    const memory = resolved.session.memorySessionId;
    if (memory === null || memory === row.mem) return {};
    const changes: Record<string, Value> = { memory_session_id: memory };
    const columns = this.#tools.context.schema.columns[operation.kind];
    if (operation.kind === 'observation' && columns.has('content_hash')) {
      const settled = this.#inserts.chooseHash(memory, row.set, operation.key, row.id);
      if ('hash' in settled) changes['content_hash'] = settled.hash;
    }
    return changes;
  }

  /** Returns a memory's local registers, including those that only the ledger stores. */
  #registersOf(entity: Entity, row: MemoryRow): Registers {
    const columns = this.#tools.context.schema.columns[row.kind];
    const complete = registersOf(row.kind).every((column) => columns.has(column));
    const kept = complete ? {} : (this.#tools.ledger.inbox.extraOf(entity.key) ?? {});
    const written: Written = this.#tools.ledger.entities.writtenOf(entity);
    return {
      values: { ...kept, ...registerValuesOf(row.set, row.kind === 'session' ? null : row.of) },
      written,
    };
  }

  /**
   * Returns the changed columns that this claude-mem has and that differ; stores the others in the ledger.
   */
  #hasColumns(kind: Kind, changes: Row, row: MemoryRow): Record<string, Value> {
    const columns = this.#tools.context.schema.columns[kind];
    const homeless = Object.entries(changes).filter(([column]) => !columns.has(column));
    if (homeless.length > 0) {
      for (const { key } of this.#tools.ledger.entities.allByRow(kind, row.id)) {
        const kept = this.#tools.ledger.inbox.extraOf(key) ?? {};
        this.#tools.ledger.inbox.setExtra(key, { ...kept, ...Object.fromEntries(homeless) });
      }
    }
    const here = this.#tools.localColumns(kind, changes);
    return Object.fromEntries(
      differingColumns(here, row.set, Object.keys(here)).map((column) => [column, here[column] ?? null]),
    );
  }
}

const numbersOf = (kind: Kind, units: readonly Unit[]): number[] =>
  units.map((unit) => UNITS[kind].indexOf(unit));
const bitsOf = (kind: Kind, units: readonly Unit[]): number =>
  numbersOf(kind, units).reduce((bits, index) => bits | (1 << index), 0);

/** Returns when the parts of a session's progress were last written, according to either side. */
function progressVersions(kind: Kind, a: Written, b: Written): [string, Version][] {
  return UNITS[kind].flatMap(({ name, merge }) => {
    if (merge !== 'lattice') return [];
    const versions = [a.units.get(name), b.units.get(name)].filter((version) => version !== undefined);
    const [last] = versions.sort((one, other) => compareVersions(other, one));
    return last === undefined ? [] : [[name, last]];
  });
}

/** Returns whether two memories consist of the same writes. */
function hasSameWrites(a: Written, b: Written): boolean {
  return (
    compareVersions(a.base, b.base) === 0 &&
    [...new Set([...a.units.keys(), ...b.units.keys()])].every((name) => {
      if (name === LIFE_REGISTER) return true;
      const [first, second] = [a.units.get(name), b.units.get(name)];
      return first !== undefined && second !== undefined && compareVersions(first, second) === 0;
    })
  );
}

/** Returns whether a session has progressed further here than in an operation. */
function hasMoreProgress(row: MemoryRow, said: Registers): boolean {
  if (row.kind !== 'session') return false;
  return Object.keys(foldLattices(said.values, pick(row.set, PROGRESS_COLUMNS))).length > 0;
}

const pick = (row: Row, columns: readonly string[]): Row =>
  Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
