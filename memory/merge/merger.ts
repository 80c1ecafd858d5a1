import { errorMessage } from '../../contract/errors.ts';
import { nameOf, type MemoryRow } from '../claude-mem/read.ts';
import { ordinalOf } from '../format/keys.ts';
import { DEATH } from '../ledger/dirty.ts';
import { isKnownIn, isStub, type Entity } from '../ledger/entities.ts';
import {
  sessionNameOf,
  valuesOf,
  type FullOperation,
  type Operation,
  type UpdateOperation,
} from '../format/operation.ts';
import { isRedacted, publishedForms } from '../space/redact.ts';
import { NOT_TRUSTED } from '../space/trust.ts';
import { MAX_DRIFT_MS, UNVERSIONED, clockAt, compareVersions } from '../format/versions.ts';
import { byTrust, isAccepted, isNobody, judge, unitsIn, type Accepts, type Write } from './accepted.ts';
import { Deletions } from './deletions.ts';
import { Inserts } from './inserts.ts';
import { isRefusal } from './is-refusal.ts';
import { MergeTools, type Incoming, type MergeContext, type Outcome } from './merge-context.ts';
import { Updates } from './updates.ts';

/**
 * How far a write's counter may be above the greatest one known of its memory: writes add 1. A counter near the largest one
 * that may be told would make a memory that nobody could change any more.
 */
const MAX_STEP = 2 ** 20;
/** Before anybody had a claude-mem: 2020-01-01, epoch ms. */
const COUNTED_FROM = Date.UTC(2020, 0, 1);

const greatestCounter = (operation: Operation): number =>
  operation.type === 'full' && operation.written.size > 0
    ? Math.max(operation.version.counter, ...Array.from(operation.written.values(), ({ counter }) => counter))
    : operation.version.counter;

/**
 * Applies operations to one claude-mem database. The caller holds a transaction on the database and one on the ledger;
 * applying an operation again changes nothing, so a crash between their commits is harmless.
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
   * @param origin the ledger's id of the segment that brought it
   * @param stub whether a row whose session is not here gets a stub session rather than waiting
   * @throws SqliteError when the database is locked, full or damaged; a row that a constraint refuses waits instead
   */
  apply(said: Operation, origin: number, stub: boolean): Outcome {
    let operation = said;
    // Only operations on rows that are still to be inserted, and deletions, need those rows to be there.
    if (operation.type === 'delete' || this.#inserts.isPending(operation.key)) this.flush();
    try {
      const incoming = { origin, stub };
      // What comes by way of another node is judged by who wrote it.
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
      if (greatestCounter(operation) > Math.min(counter + MAX_STEP, this.#ceiling(operation))) {
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
      // A refused statement leaves the transaction as it was; the row waits with the reason instead of blocking others.
      if (isRefusal(error)) {
        return this.#tools.wait(operation, origin, `this claude-mem refuses the row: ${errorMessage(error)}`);
      }
      throw error;
    }
  }

  /**
   * The greatest counter that is believed: so many writes as there were ticks of the hybrid clock since 2020, by the clock that the
   * operation bears, or by ours where that one is far ahead. Whoever drives a counter up to it locks no memory: the next write's clock
   * is later, and its ceiling higher.
   */
  #ceiling({ version }: Operation): number {
    const now = clockAt(this.#tools.context.now() + MAX_DRIFT_MS);
    return Math.max(MAX_STEP, Math.min(version.hlc, now) - clockAt(COUNTED_FROM));
  }

  /** Whether a write of a register was merged here before: it is not judged again. */
  #isHere({ key, unit, version }: Write): boolean {
    const { entities } = this.#tools.ledger;
    const entity = entities.byKey(key);
    const here = entity === null || unit === null ? undefined : entities.registersOf(entity).get(unit);
    return here !== undefined && compareVersions(here, version) === 0;
  }

  /** @param entity what the ledger knows of the memory */
  #applyFull(
    incoming: Incoming<FullOperation>,
    entity = this.#tools.ledger.entities.byKey(incoming.operation.key),
  ): Outcome {
    const { operation, origin } = incoming;
    if (operation.mem !== null) this.#tools.ledger.inbox.addAlias(operation.mem, operation.key);
    if (entity?.dead === true) {
      if (compareVersions(operation.version, this.#tools.ledger.entities.lifeOf(entity)) <= 0) {
        if (!isKnownIn(entity, this.#tools.context.space.id)) this.#tools.tellHere(entity, DEATH);
        return this.#tools.noted(entity);
      }
      const stub = this.#rowOf(operation, entity);
      if (stub === null) return this.#inserts.insert(incoming, entity);
      // It lives again by what was written into it here and not noticed yet.
      if (this.#tools.changes.notice(stub)) return this.#applyFull(incoming);
      return this.#inserts.fillStub(incoming, entity, stub);
    }
    const row = this.#rowOf(operation, entity);
    if (row === null) {
      // A row that was told of and is gone was deleted here: the next audit says so; it does not come back by itself.
      if (entity !== null && entity.row !== null && entity.version.counter > 0)
        return this.#goneHere(incoming, entity);
      return this.#inserts.insert(incoming, entity);
    }
    if (operation.kind === 'session' && row.set['platform_source'] !== sessionNameOf(operation)?.platform) {
      // A claude-mem that knows sessions by their id alone has one row for the sessions of all platforms: it stays as it is.
      return this.#tools.noted(this.#tools.saved(operation, entity, row.id, origin));
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
    const values = valuesOf(this.#tools.names.rowToLocal(operation.set), operation.of);
    const units = new Map(operation.written);
    for (const [unit, version] of operation.written) {
      if (!isNobody(version)) continue;
      // The row that is here knows better.
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
      // A write that the deletion did not know of counts again if somebody writes the memory again.
      if (compareVersions(operation.version, this.#tools.ledger.entities.lifeOf(entity)) <= 0) {
        return this.#tools.noted(entity);
      }
      this.#tools.ledger.entities.noteCounter(entity, operation.version.counter);
      return this.#tools.wait(operation, origin, 'its memory was deleted', true);
    }
    if (entity.row === null || isStub(entity)) {
      return this.#tools.wait(operation, origin, 'its memory has not arrived yet');
    }
    const row = this.#tools.reader.byId(operation.kind, entity.row);
    if (row === null) return this.#goneHere(incoming, entity);
    if (this.#isAnother(entity, row)) return this.#applyUpdate(incoming);
    const values = valuesOf(this.#tools.names.rowToLocal(operation.up), operation.of);
    const units = new Map(unitsIn(operation).map(({ name }) => [name, operation.version]));
    return this.#updates.mergeInto(incoming, entity, row, {
      values,
      written: { base: entity.version, units },
    });
  }

  /** Whether a person has just made another memory of a row, and nobody had noticed. */
  #isAnother(entity: Entity | null, row: MemoryRow): boolean {
    if (entity === null || !this.#tools.changes.notice(row)) return false;
    const now = this.#tools.ledger.entities.byKey(entity.key);
    return now?.row !== row.id || now.dead;
  }

  /** What is later than what was known of a row that is gone here waits until the audit has said when it went. */
  #goneHere({ operation, origin }: Incoming, entity: Entity): Outcome {
    if (greatestCounter(operation) <= this.#tools.ledger.entities.counterOf(entity))
      return this.#tools.noted(entity);
    return this.#tools.wait(operation, origin, 'its row is gone here');
  }

  /** The row that an operation speaks of, or null when it is not here. */
  #rowOf(operation: FullOperation, entity: Entity | null): MemoryRow | null {
    if (entity !== null && entity.row !== null) return this.#tools.reader.byId(operation.kind, entity.row);
    if (operation.kind !== 'session') return this.#unredactedRow(operation);
    const name = sessionNameOf(operation);
    const found = name === null ? null : this.#tools.sessions.find(name);
    return found === null ? null : this.#tools.reader.byId('session', found.id);
  }

  /** The row that a memory without secrets was made of on another machine, where it is here with them: an earlier release sent it. */
  #unredactedRow({ kind, key, set }: FullOperation): MemoryRow | null {
    const at = set['created_at_epoch'];
    if (typeof at !== 'number' || !isRedacted(set)) return null;
    const { reader, ledger } = this.#tools;
    for (const id of reader.writtenAt(kind, at)) {
      const row = reader.byId(kind, id);
      if (row === null) continue;
      const forms = publishedForms(row.set, ledger.ruleSet);
      if (forms.some((form) => ordinalOf(key, kind, form, nameOf(row.of)) !== null)) return row;
    }
    return null;
  }

  /** To be called when the transactions have begun. */
  begin(): void {
    this.#tools.sessions.forget();
    this.#inserts.begin();
  }

  /**
   * Inserts the rows that were applied and are still to be inserted: to be called before the transactions end.
   * @returns how many of them this claude-mem refused, so that they wait instead
   */
  flush(): number {
    return this.#inserts.flush();
  }

  /** How long a flush would take now, in milliseconds, by how long the ones before took. */
  get flushMs(): number {
    return this.#inserts.flushMs;
  }
}
