import { errorMessage } from '../../contract/errors.ts';
import { namedSession, type MemoryRow } from '../claude-mem/read.ts';
import { ordinalOf } from '../format/keys.ts';
import { DELETION_PART } from '../ledger/dirty.ts';
import { isKnownIn, isStub, type Entity } from '../ledger/entities.ts';
import {
  sessionNameOf,
  registerValuesOf,
  type FullOperation,
  type Operation,
  type UpdateOperation,
} from '../format/operation.ts';
import { isRedacted, publishedForms } from '../space/redact.ts';
import { NOT_TRUSTED } from '../space/trust.ts';
import { MAX_DRIFT_MS, UNVERSIONED, clockAt, compareVersions } from '../format/versions.ts';
import { byTrust, isAccepted, hasNoAuthor, judge, unitsIn, type Accepts, type Write } from './accepted.ts';
import { Deletions } from './deletions.ts';
import { Inserts } from './inserts.ts';
import { isRefusal } from './is-refusal.ts';
import { MergeTools, type Incoming, type MergeContext, type Outcome } from './merge-context.ts';
import { Updates } from './updates.ts';

/**
 * Maximum step of a write's counter above the greatest known one of its memory; writes add 1. A counter close
 * to the format's maximum would make a memory that no node could change again.
 */
const MAX_STEP = 2 ** 20;
/** Before claude-mem existed: 2020-01-01, epoch milliseconds. */
const FIRST_COUNTED_AT = Date.UTC(2020, 0, 1);

const greatestCounter = (operation: Operation): number =>
  operation.type === 'full' && operation.written.size > 0
    ? Math.max(operation.version.counter, ...Array.from(operation.written.values(), ({ counter }) => counter))
    : operation.version.counter;

/**
 * Applies operations to one claude-mem database. The caller holds a transaction on the database and one on
 * the ledger. Applying an operation again changes nothing, so a crash between the two commits is harmless.
 */
export class Merger {
  readonly #tools: MergeTools;
  readonly #inserts: Inserts;
  readonly #updates: Updates;
  readonly #deletions: Deletions;
  readonly #accepts: Accepts;

  constructor(context: MergeContext) {
    this.#tools = new MergeTools(context);
    this.#accepts = context.accepts ?? byTrust(context.config);
    this.#inserts = new Inserts(this.#tools);
    this.#updates = new Updates(this.#tools, this.#inserts);
    this.#deletions = new Deletions(this.#tools);
  }

  /**
   * Applies one operation.
   * @param origin the ledger's id of its segment
   * @param stub whether a row without its session gets a stub session instead of waiting
   * @throws SqliteError when the database is locked, full or damaged; a row that a constraint refuses waits
   * instead
   */
  apply(said: Operation, origin: number, stub: boolean): Outcome {
    let operation = said;
    // Only deletions, and operations on pending rows, need those rows to be inserted.
    if (operation.type === 'delete' || this.#inserts.isPending(operation.key)) this.flush();
    try {
      const incoming = { origin, stub };
      // Operations forwarded by another node are judged by their author.
      if (!isAccepted(operation, this.#accepts)) {
        return this.#tools.wait(operation, origin, NOT_TRUSTED, true);
      }
      if (operation.type === 'full') {
        const judged = judge(operation, (write) => this.#isHere(write) || this.#accepts(write));
        for (const each of judged.heldBack) this.#tools.wait(each, origin, NOT_TRUSTED, true);
        operation = judged.operation;
      }
      const known = this.#tools.ledger.entities.byKey(operation.key);
      const counter = known === null ? 0 : this.#tools.ledger.entities.counterOf(known);
      if (greatestCounter(operation) > Math.min(counter + MAX_STEP, this.#maxCounter(operation))) {
        return this.#tools.wait(operation, origin, 'its counter is not a plausible one', true);
      }
      switch (operation.type) {
        case 'full':
          return this.#applyFull({ ...incoming, operation }, known);
        case 'update':
          return this.#applyUpdate({ ...incoming, operation });
        case 'delete':
          return this.#deletions.delete({ ...incoming, operation });
      }
    } catch (error) {
      // A refused statement leaves the transaction unchanged; the row waits with the reason and does not
      // block others.
      if (isRefusal(error)) {
        return this.#tools.wait(operation, origin, `this claude-mem refuses the row: ${errorMessage(error)}`);
      }
      throw error;
    }
  }

  /**
   * Returns the greatest plausible counter: the number of hybrid clock ticks since 2020. The operation's clock
   * counts, or ours if that one is far ahead. A counter raised to this ceiling locks no memory: the next
   * write has a later clock, and so a higher ceiling.
   */
  #maxCounter({ version }: Operation): number {
    const now = clockAt(this.#tools.context.now() + MAX_DRIFT_MS);
    return Math.max(MAX_STEP, Math.min(version.hlc, now) - clockAt(FIRST_COUNTED_AT));
  }

  /** Returns whether a register's write was merged here before; then it is not judged again. */
  #isHere({ key, unit, version }: Write): boolean {
    const { entities } = this.#tools.ledger;
    const entity = entities.byKey(key);
    const here = entity === null || unit === null ? undefined : entities.registersOf(entity).get(unit);
    return here !== undefined && compareVersions(here, version) === 0;
  }

  /** @param entity the ledger's record of the memory */
  #applyFull(
    incoming: Incoming<FullOperation>,
    entity = this.#tools.ledger.entities.byKey(incoming.operation.key),
  ): Outcome {
    const { operation, origin } = incoming;
    if (operation.mem !== null) this.#tools.ledger.inbox.addAlias(operation.mem, operation.key);
    if (entity?.dead === true) {
      if (compareVersions(operation.version, this.#tools.ledger.entities.lifeOf(entity)) <= 0) {
        if (!isKnownIn(entity, this.#tools.context.space.id)) this.#tools.queueHere(entity, DELETION_PART);
        return this.#tools.recordKnown(entity);
      }
      const stub = this.#rowOf(operation, entity);
      if (stub === null) return this.#inserts.insert(incoming, entity);
      // A local edit that was not noticed yet makes the memory live again.
      if (this.#tools.changes.notice(stub)) return this.#applyFull(incoming);
      return this.#inserts.fillStub(incoming, entity, stub);
    }
    const row = this.#rowOf(operation, entity);
    if (row === null) {
      // The row was sent and is missing, so it was deleted here. The next audit records that; the row is not
      // inserted again.
      if (entity !== null && entity.row !== null && entity.version.counter > 0)
        return this.#waitForDeletion(incoming, entity);
      return this.#inserts.insert(incoming, entity);
    }
    if (operation.kind === 'session' && row.set['platform_source'] !== sessionNameOf(operation)?.platform) {
      // A claude-mem that knows sessions by id alone has one row for all platforms; that row stays unchanged.
      return this.#tools.recordKnown(this.#tools.recordSaved(operation, entity, row.id, origin));
    }
    if (entity !== null && isStub(entity)) {
      this.#tools.changes.notice(row);
      return this.#inserts.fillStub(incoming, entity, row);
    }
    if (this.#isAnother(entity, row)) return this.#applyFull(incoming);
    const known = entity ?? {
      ...this.#tools.newEntity(operation, origin),
      origin: null,
      version: UNVERSIONED,
    };
    const values = registerValuesOf(this.#tools.names.rowToLocal(operation.set), operation.of);
    const units = new Map(operation.written);
    for (const [unit, version] of operation.written) {
      if (!hasNoAuthor(version)) continue;
      // The local row's value is known, so it stays.
      delete values[unit];
      units.delete(unit);
    }
    return this.#updates.mergeInto(incoming, known, row, {
      values,
      written: { base: operation.version, units },
    });
  }

  #applyUpdate(incoming: Incoming<UpdateOperation>): Outcome {
    const { operation, origin } = incoming;
    const entity = this.#tools.ledger.entities.byKey(operation.key);
    if (entity === null) return this.#tools.wait(operation, origin, 'its memory has not arrived yet');
    if (entity.dead) {
      // A write made without knowledge of the deletion counts again if the memory is written again.
      if (compareVersions(operation.version, this.#tools.ledger.entities.lifeOf(entity)) <= 0) {
        return this.#tools.recordKnown(entity);
      }
      this.#tools.ledger.entities.noteCounter(entity, operation.version.counter);
      return this.#tools.wait(operation, origin, 'its memory was deleted', true);
    }
    if (entity.row === null || isStub(entity)) {
      return this.#tools.wait(operation, origin, 'its memory has not arrived yet');
    }
    const row = this.#tools.reader.byId(operation.kind, entity.row);
    if (row === null) return this.#waitForDeletion(incoming, entity);
    if (this.#isAnother(entity, row)) return this.#applyUpdate(incoming);
    const values = registerValuesOf(this.#tools.names.rowToLocal(operation.up), operation.of);
    const units = new Map(unitsIn(operation).map(({ name }) => [name, operation.version]));
    return this.#updates.mergeInto(incoming, entity, row, {
      values,
      written: { base: entity.version, units },
    });
  }

  /** Returns whether a person has just turned a row into another memory, and no audit noticed yet. */
  #isAnother(entity: Entity | null, row: MemoryRow): boolean {
    if (entity === null || !this.#tools.changes.notice(row)) return false;
    const now = this.#tools.ledger.entities.byKey(entity.key);
    return now?.row !== row.id || now.dead;
  }

  /** Makes operations newer than a missing row wait until the audit has dated the deletion. */
  #waitForDeletion({ operation, origin }: Incoming, entity: Entity): Outcome {
    if (greatestCounter(operation) <= this.#tools.ledger.entities.counterOf(entity))
      return this.#tools.recordKnown(entity);
    return this.#tools.wait(operation, origin, 'its row is gone here');
  }

  /** Returns the row of an operation's memory, or null when it is not here. */
  #rowOf(operation: FullOperation, entity: Entity | null): MemoryRow | null {
    if (entity !== null && entity.row !== null) return this.#tools.reader.byId(operation.kind, entity.row);
    if (operation.kind !== 'session') return this.#unredactedRow(operation);
    const name = sessionNameOf(operation);
    const found = name === null ? null : this.#tools.sessions.find(name);
    return found === null ? null : this.#tools.reader.byId('session', found.id);
  }

  /** Returns a local row with secrets that another machine received redacted from an earlier release. */
  #unredactedRow({ kind, key, set }: FullOperation): MemoryRow | null {
    const at = set['created_at_epoch'];
    if (typeof at !== 'number' || !isRedacted(set)) return null;
    const { reader, ledger } = this.#tools;
    for (const id of reader.idsWrittenAt(kind, at)) {
      const row = reader.byId(kind, id);
      if (row === null) continue;
      const forms = publishedForms(row.set, ledger.ruleSet);
      if (forms.some((form) => ordinalOf(key, kind, form, namedSession(row.of)) !== null)) return row;
    }
    return null;
  }

  /** Call at the start of the transactions. */
  begin(): void {
    this.#tools.sessions.forget();
    this.#inserts.begin();
  }

  /**
   * Inserts all pending rows; call before the transactions end.
   * @returns how many of them this claude-mem refused, so that they wait instead
   */
  flush(): number {
    return this.#inserts.flush();
  }

  /** Estimated duration of a flush now, in milliseconds, from earlier ones. */
  get flushMs(): number {
    return this.#inserts.flushMs;
  }
}
