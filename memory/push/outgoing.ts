import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { KINDS, SHAPES, UNITS, type Kind } from '../format/kinds.ts';
import { WHOLE_PART } from '../ledger/dirty.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { namedSession, type MemoryRow, type RowReader } from '../claude-mem/read.ts';
import type { Exclusion, SpaceProjects } from '../space/space-projects.ts';
import { publishedForms, redactRow } from '../space/redact.ts';
import { keyColumns, ordinalOf } from '../format/keys.ts';
import type { Row } from '../format/values.ts';

/** A row in the form in which a space receives it. */
export interface OutgoingRow {
  /** Columns with the space's project names, including columns kept for newer peers. */
  readonly set: Row;
  /** Columns that this version of Membridge does not know: the row's own, and those kept for newer peers. */
  readonly extra: Row | null;
  /** `set` before redaction; equal to `set` when nothing was redacted. */
  readonly plain: Row;
  /** Registers that are withheld from the space; `set` leaves them out. */
  readonly withheld: ReadonlySet<string>;
  /** Whether a scan has just computed the key from `set`, with ordinal 0. */
  readonly isNamed: boolean;
}

/** The registers of a kind as bits: the parts withheld while a memory's project is excluded. */
const REGISTER_BITS: ReadonlyMap<Kind, number> = new Map(
  KINDS.map((kind) => [
    kind,
    UNITS[kind].reduce((bits, { merge }, index) => (merge === 'register' ? bits | (1 << index) : bits), 0),
  ]),
);

const NO_COLUMNS: ReadonlySet<string> = new Set();

/** Turns rows of this database into the form that a space receives. */
export class Outgoing {
  readonly #ledger: Ledger;
  readonly #space: number;
  readonly #projects: SpaceProjects;
  readonly #reader: RowReader;
  /** Cache: why a session is excluded because of the projects that its rows were merged into. */
  readonly #adopted = new Map<number, Exclusion | null>();
  readonly #isRedacting: boolean;
  /** Synced columns that this claude-mem does not have, by kind. */
  readonly #homeless: ReadonlyMap<Kind, ReadonlySet<string>>;

  constructor(
    context: { readonly schema: ClaudeMemSchema; readonly ledger: Ledger; readonly reader: RowReader },
    space: number,
    config: Pick<SpaceConfig, 'redact'>,
    projects: SpaceProjects,
  ) {
    this.#ledger = context.ledger;
    this.#reader = context.reader;
    this.#space = space;
    this.#projects = projects;
    this.#isRedacting = config.redact !== false;
    this.#homeless = new Map(
      KINDS.map((kind) => {
        const has = context.schema.columns[kind];
        return [kind, new Set(SHAPES[kind].columns.filter((column) => !has.has(column)))];
      }),
    );
  }

  /**
   * Returns a row as the space receives it.
   * @param key the memory's
   * @param isPlain whether a scan has just matched the key to the row, and found no secret in it
   */
  toOutgoing(key: Buffer, row: MemoryRow, isPlain = false): OutgoingRow {
    const whole: Record<string, Row[string]> = { ...row.set };
    const extra: Record<string, Row[string]> = {};
    const homeless = this.#homeless.get(row.kind);
    const kept = this.#ledger.inbox.extraOf(key);
    for (const [column, value] of Object.entries(kept ?? {})) {
      if (homeless?.has(column) === true) whole[column] = value;
      else if (!SHAPES[row.kind].columns.includes(column)) extra[column] = value;
    }
    Object.assign(extra, row.extra);
    const withheld = this.#withheldOf(key, row);
    for (const register of withheld) delete whole[register];
    const named = this.#projects.rowToSpace(whole);
    const isNamed = isPlain && kept === null;
    const set = this.#isRedacting && !isNamed ? redactRow(named, this.#ledger.ruleSet) : named;
    const cleanExtra = this.#isRedacting ? redactRow(extra, this.#ledger.ruleSet) : extra;
    return {
      set,
      extra: Object.keys(extra).length === 0 ? null : cleanExtra,
      plain: named,
      withheld,
      isNamed,
    };
  }

  /**
   * Returns the columns under which a row was published with what counts as a secret today. An earlier release
   * published it, or the space had another setting. The memory keeps its key, and so must keep the key's
   * columns.
   * @returns null when the row cannot have been published under this key
   */
  findFormerSet(
    key: Buffer,
    row: MemoryRow,
    { set, plain }: Pick<OutgoingRow, 'set' | 'plain'>,
  ): { readonly set: Row; readonly ordinal: number } | null {
    const columns = keyColumns(row.kind);
    for (const form of publishedForms(plain, this.#ledger.ruleSet)) {
      const former = {
        ...set,
        ...Object.fromEntries(columns.map((column) => [column, form[column] ?? null])),
      };
      const ordinal = ordinalOf(key, row.kind, former, namedSession(row.of));
      if (ordinal !== null) return { set: former, ordinal };
    }
    return null;
  }

  /** Returns whether a row's project is excluded from the space. */
  isExcluded(row: MemoryRow): boolean {
    return this.exclusionOf(row) !== null;
  }

  /**
   * Returns why a row is not sent to the space; null when it may be. A session and its prompts are also
   * excluded by the projects of their rows, so that they stay together.
   */
  exclusionOf(row: MemoryRow): Exclusion | null {
    const own = this.#projects.exclusionOf(row);
    const bySession = row.kind === 'session' || row.kind === 'prompt';
    if (own !== null || !bySession || row.sessionId === null || !this.#projects.hasExclusions) return own;
    const known = this.#adopted.get(row.sessionId);
    if (known !== undefined) return known;
    const found = this.#reader
      .projectsMergedInto(row.sessionId)
      .map((merged) => this.#projects.exclusionOf({ project: row.project, merged }))
      .find((exclusion) => exclusion !== null);
    this.#adopted.set(row.sessionId, found ?? null);
    return found ?? null;
  }

  /** Returns whether a row belongs to the space by its projects. */
  covers(row: MemoryRow): boolean {
    return this.exclusionOf(row) === null && this.#projects.covers(row);
  }

  /** Returns whether to withhold from the space that a deleted memory is live again. */
  isKeptBack(key: Buffer, row: MemoryRow): boolean {
    return this.isExcluded(row) && (this.#ledger.dirty.pendingParts(this.#space, key) & WHOLE_PART) !== 0;
  }

  /** Returns which of a memory's parts are withheld while its project is excluded, as bits. */
  withheldOf(row: MemoryRow, parts: number): number {
    return this.isExcluded(row) ? parts & (REGISTER_BITS.get(row.kind) ?? 0) : 0;
  }

  #withheldOf(key: Buffer, row: MemoryRow): ReadonlySet<string> {
    if (!this.isExcluded(row)) return NO_COLUMNS;
    const bits = this.withheldOf(row, this.#ledger.dirty.pendingParts(this.#space, key));
    return new Set(
      UNITS[row.kind].filter((_unit, index) => (bits & (1 << index)) !== 0).map(({ name }) => name),
    );
  }
}
