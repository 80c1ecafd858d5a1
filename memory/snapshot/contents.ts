import { setImmediate as nextTurn } from 'node:timers/promises';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { namedSession, type MemoryRow } from '../claude-mem/read.ts';
import { KINDS } from '../format/kinds.ts';
import { DEFAULT_PLATFORM, ordinalOf, type SessionName } from '../format/keys.ts';
import { isKnownIn, type Entity } from '../ledger/entities.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { formatOperation, parseOperation, type Operation } from '../format/operation.ts';
import { SpaceProjects } from '../space/space-projects.ts';
import { Outgoing } from '../push/outgoing.ts';
import type { SyncSession } from '../session.ts';
import { textOf, type Row } from '../format/values.ts';

/** Memories read per transaction. */
const PAGE_MEMORIES = 500;

/** An operation of a snapshot, and the name under which it is counted. */
export interface SnapshotLine {
  readonly line: string;
  readonly count: string;
  /** The hybrid clock of its latest write. */
  readonly newest: number;
}

/**
 * Yields a space's merged state on this node: every live memory as a whole with its known versions, waiting
 * operations as received, and every deletion. Sessions come first, deletions last. Yields page by page, so
 * that not everything must fit into memory.
 * @throws MembridgeError conflict when this node lacks something that the space knows: a snapshot without a
 * memory must not be created
 */
export async function* snapshotLines(
  session: SyncSession,
  space: LedgerSpace,
  config: SpaceConfig,
): AsyncGenerator<SnapshotLine[]> {
  const { db, ledger, reader, changes } = session;
  const projects = new SpaceProjects(config);
  const outgoing = new Outgoing(session, space.id, config, projects);
  const waiting = ledger.inbox.listWaitingLines(space.id);
  const told = new Set(
    waiting.filter(({ line }) => parseOperation(line).type === 'full').map(({ key }) => key.toString('hex')),
  );
  for (const entity of ledger.entities.rowlessIn(space.id)) {
    // A session with another name now left an empty one behind; leaving that out loses nothing.
    if (entity.kind !== 'session' && !told.has(entity.key.toString('hex')))
      throw missingMemoryError(entity, 'has no row');
  }

  for (const kind of KINDS) {
    for (let after = { row: -1, key: Buffer.alloc(0) }; ;) {
      session.signal.throwIfAborted();
      const page = ledger.entities.knownIn(space.id, kind, after, PAGE_MEMORIES);
      const last = page.at(-1);
      if (last?.row == null) break;
      const ids = [...new Set(page.map(({ row }) => row ?? -1))];
      const rows = new Map(
        db
          .transaction(() => reader.byIds(kind, ids))()
          .map((row) => [row.id, row]),
      );
      // Changes since the last look get their version before they are written.
      ledger.atomically(() => rows.forEach((row) => changes.notice(row)));
      const lines: SnapshotLine[] = [];
      page.forEach((entity) => {
        const row = rows.get(entity.row ?? -1);
        if (row === undefined)
          throw missingMemoryError(entity, 'was deleted while the snapshot was being written');
        const now = ledger.entities.byKey(entity.key);
        if (now === null || now.dead)
          throw missingMemoryError(entity, 'was changed while the snapshot was being written');
        lines.push(
          ...wholeOperations(session, outgoing, now, row).map((operation) => toLine(operation, kind)),
        );
      });
      yield lines;
      after = { row: last.row, key: Buffer.from(last.key) };
      await nextTurn();
    }
  }
  yield waiting.map(({ line }) => ({ line, count: 'waiting', newest: newestClockOf(parseOperation(line)) }));
  for (let after = Buffer.alloc(0); ;) {
    session.signal.throwIfAborted();
    const page = ledger.entities.deadIn(space.id, after, PAGE_MEMORIES);
    const last = page.at(-1);
    if (last === undefined) break;
    yield page.map((entity) => {
      const { kind, key } = entity;
      const operation: Operation = {
        type: 'delete',
        kind,
        key,
        ...ledger.entities.deletionOf(entity, (kept) => isKnownIn(kept, space.id)),
      };
      return toLine(operation, 'tombstone');
    });
    after = Buffer.from(last.key);
    await nextTurn();
  }
}

/**
 * Returns a memory as a whole; for a session, once more for each other memory_session_id under which a peer
 * knows it.
 */
function wholeOperations(
  session: SyncSession,
  outgoing: Outgoing,
  entity: Entity,
  row: MemoryRow,
): Operation[] {
  const { ledger } = session;
  const { kind, key } = entity;
  if (outgoing.isKeptBack(key, row)) return [];
  const told = outgoing.toOutgoing(key, row);
  const { extra, withheld } = told;
  const ordinal = ordinalOf(key, kind, told.set, nameInSpace(row, told.set));
  // A memory published with what counts as a secret today is known by that key.
  const named = ordinal === null ? outgoing.findFormerSet(key, row, told) : { set: told.set, ordinal };
  if (named === null)
    throw missingMemoryError(entity, 'is known to the space by a name that it cannot be given here');
  const isSession = kind === 'session';
  const others = isSession ? ledger.inbox.memoriesOf(key).filter((memory) => memory !== row.mem) : [];
  return [row.mem, ...others].map((mem) => ({
    type: 'full',
    kind,
    key,
    version: entity.version,
    ordinal: named.ordinal,
    of: isSession ? null : row.of,
    mem: isSession ? mem : null,
    set: named.set,
    extra,
    written: new Map([...ledger.entities.registersOf(entity)].filter(([unit]) => !withheld.has(unit))),
  }));
}

/**
 * Returns the session name: a session of another platform keeps it, even if this claude-mem has no column for
 * it.
 */
function nameInSpace(row: MemoryRow, set: Row): SessionName | null {
  const name = namedSession(row.of);
  if (row.kind !== 'session' || name === null) return name;
  return { platform: textOf(set['platform_source']) ?? DEFAULT_PLATFORM, session: name.session };
}

function toLine(operation: Operation, count: string): SnapshotLine {
  return { line: formatOperation(operation), count, newest: newestClockOf(operation) };
}

/** Returns the hybrid clock of the latest write in an operation. */
function newestClockOf(operation: Operation): number {
  const registers = operation.type === 'full' ? Array.from(operation.written.values(), ({ hlc }) => hlc) : [];
  return Math.max(operation.version.hlc, ...registers);
}

function missingMemoryError({ kind, key }: Entity, why: string): MembridgeError {
  return new MembridgeError(
    'conflict',
    `No snapshot was taken: the ${kind} ${key.toString('hex').slice(0, 16)} ${why}. Run a deep audit and try again, or take it on another node.`,
  );
}
