import { UNITS } from '../format/kinds.ts';
import { DELETION_PART, WHOLE_PART } from '../ledger/dirty.ts';
import { isKnownIn, isStub, type Entity } from '../ledger/entities.ts';
import type { DeleteOperation } from '../format/operation.ts';
import { redactRow } from '../space/redact.ts';
import { UNVERSIONED, compareVersions } from '../format/versions.ts';
import { areAlike } from './kept-twin.ts';
import { judgeDeletion, type Fate } from './clean-up.ts';
import type { Incoming, MergeTools, Outcome } from './merge-context.ts';

/**
 * Reason for parking an update that was merged before the deletion arrived. If the memory comes back, the
 * update's session progress may predate the deletion. A change from it is therefore sent to the fleet, so
 * that all nodes converge.
 */
export const MERGED_BEFORE_DELETION = 'it was written before the deletion of its memory came';

/** Applies deletions that other machines made. */
export class Deletions {
  readonly #tools: MergeTools;

  constructor(tools: MergeTools) {
    this.#tools = tools;
  }

  /** Applies a deletion. */
  delete({ operation, origin, stub }: Incoming<DeleteOperation>): Outcome {
    const { kind, key, version } = operation;
    const entity = this.#tools.ledger.entities.byKey(key);
    if (entity === null) {
      this.#tools.ledger.entities.save({ ...this.#tools.newEntity(operation, origin), version: UNVERSIONED });
      return this.#buried(operation, null);
    }
    const order = compareVersions(version, this.#tools.ledger.entities.lifeOf(entity));
    if (order <= 0) {
      if (isKnownIn(entity, this.#tools.context.space.id) || order === 0)
        return this.#tools.recordKnown(entity);
      // This space knows only a former deletion, so it gets the later state.
      this.#tools.queueHere(entity, entity.dead ? DELETION_PART : WHOLE_PART);
      return 'same';
    }
    const { row } = entity;
    const found = row === null ? null : this.#tools.reader.byId(kind, row);
    if (row !== null && found !== null) {
      // A person may just have turned the row into another memory, which no one deleted.
      if (this.#tools.changes.notice(found)) return this.delete({ operation, origin, stub });
      // A stub session stays for the rows in it.
      if (isStub(entity))
        return this.#buried(operation, { ...entity, spaces: entity.dead ? entity.spaces : 0 }, row);
      if (kind === 'session') {
        if (this.#tools.sessions.isInUse(row, key))
          return this.#tools.wait(operation, origin, 'its session is in use here');
        if (this.#tools.sessions.hasRows(row)) {
          // Deleting a session deletes its rows. Rows that no one deletes within the wait keep it alive.
          if (!stub) return this.#tools.wait(operation, origin, 'rows of it are still here');
          this.#buried(operation, entity);
          const dead = this.#tools.ledger.entities.byKey(key);
          if (dead !== null) this.#tools.changes.revive(dead, row);
          return 'same';
        }
      }
      const judged = this.#judge(operation, row, stub);
      if (judged === 'waits')
        return this.#tools.wait(operation, origin, 'what was kept in its place is not here');
      if (judged === 'survives') {
        this.#buried(operation, entity);
        const dead = this.#tools.ledger.entities.byKey(key);
        if (dead !== null) this.#tools.changes.revive(dead, row);
        return 'same';
      }
      const twins = this.#tools.ledger.entities.allByRow(kind, row).filter((twin) => !twin.key.equals(key));
      // Remove the row only if none of its other memories was ever sent.
      if (twins.every((twin) => twin.version.counter === 0)) {
        for (const twin of twins) this.#tools.ledger.entities.forget(twin.key);
        const session = kind === 'session' ? null : (this.#tools.reader.byId(kind, row)?.sessionId ?? null);
        this.#keepLater(operation, entity, row, origin);
        this.#tools.writer.remove(kind, row);
        this.#tools.ledger.marks.remove(kind, row);
        this.#buried(operation, entity);
        if (session !== null) this.#dropEmptyStub(session);
        return 'deleted';
      }
    }
    return this.#buried(operation, entity);
  }

  /**
   * Decides whether the memory in `row` is deleted. After the wait it is deleted even if the kept memory
   * never arrived, and it stays if it is the last one of its cycle.
   */
  #judge({ kind, key, kept }: DeleteOperation, row: number, waited: boolean): 'holds' | 'survives' | 'waits' {
    if (kept === null) return 'holds';
    const { entities, marks } = this.#tools.ledger;
    const fateOf = (each: Buffer): Fate => {
      const entity = entities.byKey(each);
      if (entity?.dead === true) return { state: 'dead', kept: entities.keptFor(each) };
      const at = entity?.row ?? null;
      const isHere = entity !== null && at !== null && this.#tools.reader.byId(entity.kind, at) !== null;
      return { state: isHere ? 'here' : 'absent', kept: null };
    };
    const isLike = (each: Buffer): boolean => {
      const at = entities.byKey(each)?.row ?? null;
      return at !== null && areAlike(marks, kind, row, at);
    };
    const judgment = judgeDeletion(key, kept, fateOf, isLike);
    switch (judgment) {
      case 'holds':
      case 'survives':
        return judgment;
      case 'waits-for-kept':
        return waited ? 'holds' : 'waits';
      case 'waits-for-survivor':
        return waited ? 'survives' : 'waits';
    }
  }

  /**
   * Parks writes made without knowledge of the deletion, as if they had arrived after it. They count again if
   * the memory is written again.
   */
  #keepLater(
    { kind, key, version: death }: DeleteOperation,
    entity: Entity,
    id: number,
    origin: number,
  ): void {
    const row = this.#tools.reader.byId(kind, id);
    if (row === null) return;
    const { redact = true } = this.#tools.context.config;
    const told = this.#tools.names.rowToSpace(row.set);
    const set = redact ? redactRow(told, this.#tools.ledger.ruleSet) : told;
    for (const { name, columns, merge } of UNITS[kind]) {
      const version = this.#tools.ledger.entities.writtenOf(entity).units.get(name);
      if (version === undefined || compareVersions(version, death) <= 0) continue;
      const up = Object.fromEntries(columns.map((column) => [column, set[column] ?? null]));
      const of = merge === 'link' ? row.of : null;
      this.#tools.wait({ type: 'update', kind, key, version, up, of }, origin, MERGED_BEFORE_DELETION, true);
    }
  }

  /** Deletes a stub session together with its last row. */
  #dropEmptyStub(session: number): void {
    const entity = this.#tools.ledger.entities.byRow('session', session);
    if (entity === null || !isStub(entity) || this.#tools.sessions.hasRows(session)) return;
    this.#tools.writer.remove('session', session);
    this.#tools.changes.bury('session', session);
  }

  #buried(operation: DeleteOperation, entity: Entity | null, stub: number | null = null): Outcome {
    const known = entity ?? this.#tools.ledger.entities.byKey(operation.key);
    if (known === null) return 'same';
    this.#tools.ledger.entities.bury(known, operation.version, operation.kept, stub);
    this.#tools.ledger.inbox.setExtra(operation.key, null);
    const noted = this.#tools.recordKnown(known);
    this.#tools.changes.queueParts(known, DELETION_PART, this.#tools.context.space.id);
    return noted;
  }
}
