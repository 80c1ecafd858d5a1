import type { SpaceConfig } from '../contract/memory.ts';
import type { MemoryRow } from './claude-mem/read.ts';
import type { ClaudeMemSchema } from './claude-mem/schema.ts';
import { KINDS, SHAPES, type Kind } from './kinds.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { SpaceProjects } from './names.ts';
import { redactRow } from './redact.ts';
import type { Row } from './values.ts';

/** A row as a space is told of it. */
export interface OutgoingRow {
  /** Columns by the space's names of projects, with those kept for newer peers. */
  readonly set: Row;
  /** Columns that this version of Membridge does not know: the row's own, and those kept for newer peers. */
  readonly extra: Row | null;
}

/** Turns rows of this database into what a space is told. */
export class Outgoing {
  readonly #ledger: Ledger;
  readonly #projects: SpaceProjects;
  readonly #redacts: boolean;
  /** Columns that travel and that this claude-mem has no place for, by kind. */
  readonly #homeless: ReadonlyMap<Kind, ReadonlySet<string>>;

  constructor(
    context: { readonly schema: ClaudeMemSchema; readonly ledger: Ledger },
    config: Pick<SpaceConfig, 'redact'>,
    projects: SpaceProjects,
  ) {
    this.#ledger = context.ledger;
    this.#projects = projects;
    this.#redacts = config.redact !== false;
    this.#homeless = new Map(
      KINDS.map((kind) => {
        const has = context.schema.columns[kind];
        return [kind, new Set(SHAPES[kind].columns.filter((column) => !has.has(column)))];
      }),
    );
  }

  /** @param key the memory's */
  row(key: Buffer, row: MemoryRow): OutgoingRow {
    const whole: Record<string, Row[string]> = { ...row.set };
    const extra: Record<string, Row[string]> = {};
    const homeless = this.#homeless.get(row.kind);
    for (const [column, value] of Object.entries(this.#ledger.inbox.extraOf(key) ?? {})) {
      if (homeless?.has(column) === true) whole[column] = value;
      else if (!SHAPES[row.kind].columns.includes(column)) extra[column] = value;
    }
    Object.assign(extra, row.extra);
    const named = this.#projects.rowToSpace(whole);
    return {
      set: this.#redacts ? redactRow(named) : named,
      extra: Object.keys(extra).length === 0 ? null : extra,
    };
  }
}
