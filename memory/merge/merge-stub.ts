import { foldLattices } from './fold.ts';
import { UNITS } from '../format/kinds.ts';
import type { FullOperation } from '../format/operation.ts';
import { mergeRegisters } from '../format/registers.ts';
import type { Row } from '../format/values.ts';
import { UNVERSIONED, type Version } from '../format/versions.ts';

/** The result of merging a stub session with the real one. */
export interface MergedStub {
  /** Columns to write, with this machine's project names. */
  readonly columns: Row;
  /** Versions of its parts. */
  readonly written: ReadonlyMap<string, Version>;
  /** Local writes that won, as bits: they must be sent to the spaces. */
  readonly parts: number;
}

/**
 * Merges a real session with what was written into its stub. Stub values that no one wrote were copied from a
 * row, and give way.
 * @param here the stub row, and the versions of its written parts
 * @param told the row that the operation produces here, and the operation
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
