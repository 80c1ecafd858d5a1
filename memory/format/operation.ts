import { canonicalJson } from './canonical-json.ts';
import { KINDS, LINK_REGISTER, SHAPES, UNITS, type Kind } from './kinds.ts';
import { DEFAULT_PLATFORM, memoryKeyText, type SessionName } from './keys.ts';
import { LIFE_REGISTER } from './kinds.ts';
import { SessionLine, readOperationLine, type OperationLine } from './operation-line.ts';
import type { Row, Value } from './values.ts';
import type { Version } from './versions.ts';

/**
 * Version of the operation format: raised when operations need a newer reader. 2: whole numbers above 2^53,
 * infinity, changed details of a memory, and deletions that name the kept memory.
 */
export const FORMAT_VERSION = 2;

/**
 * Names that never appear as columns of an operation: machine-local columns, and registers that are not
 * columns.
 */
const UNSENT_COLUMNS: ReadonlyMap<Kind, ReadonlySet<string>> = new Map(
  KINDS.map((kind) => [kind, new Set([...SHAPES[kind].local, LINK_REGISTER, LIFE_REGISTER])]),
);

/** Names of the registers and other parts of each kind. */
const UNIT_NAMES: ReadonlyMap<Kind, ReadonlySet<string>> = new Map(
  KINDS.map((kind) => [kind, new Set([LIFE_REGISTER, ...UNITS[kind].map(({ name }) => name)])]),
);

/** The columns of each kind that may change. */
const CHANGEABLE_COLUMNS: ReadonlyMap<Kind, ReadonlySet<string>> = new Map(
  KINDS.map((kind) => [kind, new Set(UNITS[kind].flatMap(({ columns }) => columns))]),
);

/** The session of a row: its global name, or a memory_session_id that no session here has. */
export type SessionRef = SessionName | { readonly memory: string };

interface Common {
  readonly kind: Kind;
  readonly key: Buffer;
  readonly version: Version;
}

/** A whole memory: enough to create it on any machine. */
export interface FullOperation extends Common {
  readonly type: 'full';
  readonly ordinal: number;
  readonly of: SessionRef | null;
  readonly mem: string | null;
  readonly set: Row;
  readonly extra: Row | null;
  /** Per register, its version where that differs from `version`. */
  readonly written: ReadonlyMap<string, Version>;
}

/** New values of some of a memory's registers. */
export interface UpdateOperation extends Common {
  readonly type: 'update';
  readonly of: SessionRef | null;
  /** Columns by name; NULL is a value here. */
  readonly up: Row;
}

/** The deletion of a memory. */
export interface DeleteOperation extends Common {
  readonly type: 'delete';
  /** The key of the similar memory that was kept; null when the deletion names none. */
  readonly kept: Buffer | null;
}

export type Operation = FullOperation | UpdateOperation | DeleteOperation;

type Tuple = [number, number, string];
const toTuple = ({ counter, hlc, node }: Version): Tuple => [counter, hlc, node];
const fromTuple = ([counter, hlc, node]: Tuple): Version => ({ counter, hlc, node });

/** Formats an operation as a line, without the newline. */
export function formatOperation(operation: Operation): string {
  const line: OperationLine = {
    kind: operation.kind,
    key: operation.key.toString('hex'),
    ver: toTuple(operation.version),
  };
  switch (operation.type) {
    case 'full':
      line.set = withoutNull(operation.set);
      if (operation.ordinal > 0) line.n = operation.ordinal;
      if (operation.mem !== null) line.mem = operation.mem;
      if (operation.extra !== null) line.x = operation.extra;
      if (operation.written.size > 0) {
        line.regs = Object.fromEntries(
          Array.from(operation.written, ([unit, version]) => [unit, toTuple(version)]),
        );
      }
      if (operation.of !== null) line.of = operation.of;
      break;
    case 'update':
      line.up = { ...operation.up };
      if (operation.of !== null) line.of = operation.of;
      break;
    case 'delete':
      line.del = true;
      if (operation.kept !== null) line.kept = operation.kept.toString('hex');
      break;
  }
  return canonicalJson(line);
}

/** Returns the columns that are not NULL, in canonical JSON order. */
function withoutNull(row: Row): Record<string, Value> {
  const said: Record<string, Value> = {};
  for (const column of Object.keys(row).sort()) {
    const value = row[column] ?? null;
    if (value !== null) said[column] = value;
  }
  return said;
}

/**
 * Parses a line and checks that its key matches its content, so that a node cannot name one memory and carry
 * another.
 * @throws Error saying what is wrong with the line
 */
export function parseOperation(line: string): Operation {
  const parsed = readOperationLine(line);
  const { kind, set, up, of = null } = parsed;
  const common = { kind, key: Buffer.from(parsed.key, 'hex'), version: fromTuple(parsed.ver) };
  if (parsed.del === true) {
    return {
      type: 'delete',
      ...common,
      kept: parsed.kept === undefined ? null : Buffer.from(parsed.kept, 'hex'),
    };
  }
  if (set === undefined) {
    if (up === undefined) throw new Error('the operation contains no change');
    const strange = Object.keys(up).find((column) => CHANGEABLE_COLUMNS.get(kind)?.has(column) !== true);
    if (strange !== undefined) throw new Error(`the operation changes ${strange}, which does not change`);
    return { type: 'update', ...common, of, up };
  }
  const operation: FullOperation = {
    type: 'full',
    ...common,
    ordinal: parsed.n ?? 0,
    of,
    mem: parsed.mem ?? null,
    set: withoutUnsentColumns(kind, set),
    extra: parsed.x === undefined ? null : withoutUnsentColumns(kind, parsed.x),
    // A register that only a later version of Membridge knows is a column to this one.
    written: parsed.regs === undefined ? NOTHING_WRITTEN : writtenVersions(kind, parsed.regs),
  };
  if (memoryKeyText(kind, operation.set, sessionNameOf(operation), operation.ordinal) !== parsed.key) {
    throw new Error(`the key ${parsed.key} is not the key of the row it carries`);
  }
  return operation;
}

const NOTHING_WRITTEN: ReadonlyMap<string, Version> = new Map();

function writtenVersions(
  kind: Kind,
  registers: Readonly<Record<string, Tuple>>,
): ReadonlyMap<string, Version> {
  const known = UNIT_NAMES.get(kind);
  const entries = Object.entries(registers).filter(([unit]) => known?.has(unit) === true);
  return new Map(entries.map(([unit, version]) => [unit, fromTuple(version)]));
}

/** Returns a row without columns that operations never have; the same row when it has none of them. */
function withoutUnsentColumns(kind: Kind, row: Row): Row {
  const never = UNSENT_COLUMNS.get(kind) ?? new Set();
  for (const column in row) {
    if (!never.has(column)) continue;
    return Object.fromEntries(Object.entries(row).filter(([each]) => !never.has(each)));
  }
  return row;
}

/** Returns text as SQLite returns it: bytes that are not UTF-8 become U+FFFD on every machine. */
function asSqliteText(value: Value | undefined): string | null {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null || !('$text' in value)) return null;
  return Buffer.from(value.$text, 'base64').toString('utf8');
}

/**
 * Returns the name of an operation's session: its own for a session, its parent's for the other kinds; null
 * for an orphan.
 */
export function sessionNameOf(operation: Pick<FullOperation, 'kind' | 'of' | 'set'>): SessionName | null {
  if (operation.kind === 'session') {
    const { platform_source: platform, content_session_id: session } = operation.set;
    const name = { platform: asSqliteText(platform), session: asSqliteText(session) };
    return name.platform === null || name.session === null
      ? null
      : { platform: name.platform, session: name.session };
  }
  return operation.of !== null && 'session' in operation.of ? operation.of : null;
}

/** Returns the registers that an operation writes, including the link, for the rules of registers.ts. */
export function registerValuesOf(columns: Row, of: SessionRef | null): Record<string, Value> {
  return of === null ? { ...columns } : { ...columns, [LINK_REGISTER]: canonicalJson(of) };
}

/**
 * Returns the name of a row's session; for a row without one, that of the session that is made up for it
 * (sessions.ts).
 */
export function homeSessionOf(of: SessionRef): SessionName {
  return 'memory' in of ? { platform: DEFAULT_PLATFORM, session: of.memory } : of;
}

/** Returns the session that a link's value names. */
export function linkedSession(value: Value | undefined): SessionRef | null {
  return typeof value === 'string' ? SessionLine.parse(JSON.parse(value)) : null;
}
