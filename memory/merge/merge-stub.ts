import { foldLattices } from './fold.ts';
import { UNITS } from '../format/kinds.ts';
import type { FullOperation } from '../format/operation.ts';
import { mergeRegisters } from '../format/registers.ts';
import type { Row } from '../format/values.ts';
import { UNVERSIONED, type Version } from '../format/versions.ts';

/** What a session that was made up here becomes when its own comes. */
export interface MergedStub {
  /** Columns to write, by this machine's names of projects. */
  readonly columns: Row;
  /** When its parts were written. */
  readonly written: ReadonlyMap<string, Version>;
  /** What was written here and stands, as bits: the spaces are to be told of it. */
  readonly parts: number;
}

/**
 * Merges a session with what was written into the one that was made up in its place. What nobody wrote there is only what a
 * row of it said, and gives way.
 * @param here the made-up row, and when parts of it were written
 * @param told what the operation puts into a row here, and the operation
 */
export function mergeStub(
  here: { readonly row: Row; readonly units: ReadonlyMap<string, Version> },
  { row, operation }: { readonly row: Row; readonly operation: FullOperation },
): MergedStub {
  const mine = UNITS.session.filter(({ name }) => here.units.has(name));
  const registers = UNITS.session.filter(({ merge }) => merge === 'register').map(({ name }) => name);
  const of = (columns: readonly string[]): Row =>
    Object.fromEntries(columns.map((column) => [column, here.row[column] ?? null]));
  const merged = mergeRegisters(
    { values: of(mine.map(({ name }) => name)), written: { base: UNVERSIONED, units: here.units } },
    { values: row, written: { base: operation.version, units: operation.written } },
    registers,
  );
  const stands = mine.filter(({ name, merge }) => merge === 'register' && !merged.taken.includes(name));
  const course = mine.filter(({ merge }) => merge === 'lattice');
  const folded = foldLattices(row, of(course.flatMap(({ columns }) => columns)));
  const goesOn = course.filter(({ columns }) => columns.some((column) => column in folded));
  const written = new Map([...operation.written].filter(([name]) => !registers.includes(name)));
  for (const { name } of goesOn) written.set(name, here.units.get(name) ?? operation.version);
  for (const [name, version] of merged.written.units) written.set(name, version);
  return {
    columns: { ...row, ...folded, ...of(stands.map(({ name }) => name)) },
    written,
    parts: [...stands, ...goesOn].reduce((bits, unit) => bits | (1 << UNITS.session.indexOf(unit)), 0),
  };
}
