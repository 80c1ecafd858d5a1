import type { SpaceConfig } from '../contract/memory.ts';
import type { MemoryRow } from './claude-mem/read.ts';
import type { ClaudeMemSchema } from './claude-mem/schema.ts';
import { SHAPES } from './kinds.ts';
import { LIFE, type Entity } from './ledger/entities.ts';
import type { Ledger } from './ledger/ledger.ts';
import { ProjectNames } from './names.ts';
import { redactRow } from './redact.ts';
import type { Row } from './values.ts';
import type { Version } from './versions.ts';

/** A row's columns as the space is told of them: its names of projects, what is kept for newer peers, no secrets. */
export function columnsInSpace(
  context: { schema: ClaudeMemSchema; ledger: Ledger },
  config: SpaceConfig,
  key: Buffer,
  row: MemoryRow,
): Row {
  const columns = context.schema.columns[row.kind];
  const shape = SHAPES[row.kind].columns;
  const complete = shape.every((column) => columns.has(column));
  const kept = complete ? null : context.ledger.inbox.extraOf(key);
  const homeless = Object.entries(kept ?? {}).filter(
    ([column]) => shape.includes(column) && !columns.has(column),
  );
  const whole = homeless.length === 0 ? row.set : { ...row.set, ...Object.fromEntries(homeless) };
  const named = new ProjectNames(config.names).rowToSpace(whole);
  return config.redact === false ? named : redactRow(named);
}

/** Columns of a memory that this version of Membridge does not know: the row's own, and those kept for newer peers. */
export function unknownColumns(ledger: Ledger, key: Buffer, row: MemoryRow): Row | null {
  const kept = Object.entries(ledger.inbox.extraOf(key) ?? {}).filter(
    ([column]) => !SHAPES[row.kind].columns.includes(column),
  );
  const extra = { ...Object.fromEntries(kept), ...row.extra };
  return Object.keys(extra).length === 0 ? null : extra;
}

/** When the registers of a memory were written, as the space is told: with when it came back, if it had been deleted. */
export function writtenInSpace({ entities }: Ledger, entity: Entity): Map<string, Version> {
  const written = new Map(entities.writtenOf(entity).units);
  const born = entities.bornOf(entity);
  return born.counter === 0 ? written : written.set(LIFE, born);
}
