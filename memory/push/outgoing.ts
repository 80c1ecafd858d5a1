import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { KINDS, SHAPES, UNITS, type Kind } from '../format/kinds.ts';
import { WHOLE } from '../ledger/dirty.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { nameOf, type MemoryRow, type RowReader } from '../claude-mem/read.ts';
import type { Exclusion, SpaceProjects } from '../space/names.ts';
import { publishedForms, redactRow } from '../space/redact.ts';
import { keyColumns, ordinalOf } from '../format/keys.ts';
import type { Row } from '../format/values.ts';

/** A row as a space is told of it. */
export interface OutgoingRow {
  /** Columns by the space's names of projects, with those kept for newer peers. */
  readonly set: Row;
  /** Columns that this version of Membridge does not know: the row's own, and those kept for newer peers. */
  readonly extra: Row | null;
  /** The same as `set` before secrets were taken out: the same object where there are none. */
  readonly plain: Row;
  /** Registers that the space is not to be told of, and is not told of by `set`: it says nothing of them. */
  readonly withheld: ReadonlySet<string>;
  /** Whether a scan has just found the key to be that of `set`, with ordinal 0. */
  readonly isNamed: boolean;
}

/** The parts of a kind that are registers, as bits: what a memory of an excluded project keeps to itself. */
const REGISTERS: ReadonlyMap<Kind, number> = new Map(
  KINDS.map((kind) => [
    kind,
    UNITS[kind].reduce((bits, { merge }, index) => (merge === 'register' ? bits | (1 << index) : bits), 0),
  ]),
);

const NOTHING: ReadonlySet<string> = new Set();

/** Turns rows of this database into what a space is told. */
export class Outgoing {
  readonly #ledger: Ledger;
  readonly #space: number;
  readonly #projects: SpaceProjects;
  readonly #reader: RowReader;
  /** Why sessions are excluded by what their rows were adopted into, as far as it was asked. */
  readonly #adopted = new Map<number, Exclusion | null>();
  readonly #redacts: boolean;
  /** Columns that travel and that this claude-mem has no place for, by kind. */
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
    this.#redacts = config.redact !== false;
    this.#homeless = new Map(
      KINDS.map((kind) => {
        const has = context.schema.columns[kind];
        return [kind, new Set(SHAPES[kind].columns.filter((column) => !has.has(column)))];
      }),
    );
  }

  /**
   * @param key the memory's
   * @param isPlain whether a scan has just found the key to be that of the row, and no secret in it
   */
  row(key: Buffer, row: MemoryRow, isPlain = false): OutgoingRow {
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
    const set = this.#redacts && !isNamed ? redactRow(named, this.#ledger.ruleSet) : named;
    const cleanExtra = this.#redacts ? redactRow(extra, this.#ledger.ruleSet) : extra;
    return {
      set,
      extra: Object.keys(extra).length === 0 ? null : cleanExtra,
      plain: named,
      withheld,
      isNamed,
    };
  }

  /**
   * The columns of a row as its key names them, where it was published with what counts as a secret today, by an earlier
   * release or under another setting of the space: the memory keeps its key, and with it the columns that the key is made of.
   * @returns null when the row cannot have been published under this key
   */
  formerSet(
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
      const ordinal = ordinalOf(key, row.kind, former, nameOf(row.of));
      if (ordinal !== null) return { set: former, ordinal };
    }
    return null;
  }

  /** Whether a row is of a project that is excluded from the space. */
  isExcluded(row: MemoryRow): boolean {
    return this.exclusionOf(row) !== null;
  }

  /** Why the space is not told of a row; null when it may be. A session and its prompts go by its rows, too: they are of one piece. */
  exclusionOf(row: MemoryRow): Exclusion | null {
    const own = this.#projects.exclusionOf(row);
    const bySession = row.kind === 'session' || row.kind === 'prompt';
    if (own !== null || !bySession || row.sessionId === null || !this.#projects.hasExclusions) return own;
    const known = this.#adopted.get(row.sessionId);
    if (known !== undefined) return known;
    const found = this.#reader
      .adoptedFrom(row.sessionId)
      .map((merged) => this.#projects.exclusionOf({ project: row.project, merged }))
      .find((exclusion) => exclusion !== null);
    this.#adopted.set(row.sessionId, found ?? null);
    return found ?? null;
  }

  /** Whether a row is the space's by its projects. */
  covers(row: MemoryRow): boolean {
    return this.exclusionOf(row) === null && this.#projects.covers(row);
  }

  /** Whether the space is not to know that a memory, which was deleted, lives again. */
  isKeptBack(key: Buffer, row: MemoryRow): boolean {
    return this.isExcluded(row) && (this.#ledger.dirty.untold(this.#space, key) & WHOLE) !== 0;
  }

  /** Of parts of a memory those that are not told while its row is of an excluded project, as bits. */
  withheldOf(row: MemoryRow, parts: number): number {
    return this.isExcluded(row) ? parts & (REGISTERS.get(row.kind) ?? 0) : 0;
  }

  #withheldOf(key: Buffer, row: MemoryRow): ReadonlySet<string> {
    if (!this.isExcluded(row)) return NOTHING;
    const bits = this.withheldOf(row, this.#ledger.dirty.untold(this.#space, key));
    return new Set(
      UNITS[row.kind].filter((_unit, index) => (bits & (1 << index)) !== 0).map(({ name }) => name),
    );
  }
}
