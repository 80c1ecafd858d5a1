import type { MemoryRow } from './claude-mem/read.ts';
import { nameOf } from './claude-mem/read.ts';
import { LINK, UNITS, type Kind } from './kinds.ts';
import { memoryKey } from './keys.ts';
import type { SessionRef } from './operation.ts';
import type { Value } from './values.ts';

/**
 * A mark is what the ledger remembers of a row to notice that it changed: the first 8 bytes of its key (with ordinal 0)
 * and 4 bytes for each part that may change. About 20 bytes a row.
 */
export const IDENTITY_BYTES = 8;
const UNIT_BYTES = 4;

/** Stands for a part that this claude-mem has no column for. */
const NO_COLUMN = 0xffff_ffff;

/** FNV-1a over UTF-16 code units: a part that changed goes unnoticed once in four billion times. */
export function hash32(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  }
  return hash >>> 0 === NO_COLUMN ? 0 : hash >>> 0;
}

/** The mark's share of one part. @param values the part's columns, in order */
export function hashUnit(values: readonly Value[]): number {
  const [only] = values;
  if (values.length === 1 && typeof only === 'string') return hash32(only);
  return hash32(JSON.stringify(values.map((value) => value ?? null)));
}

/** The mark's share of the session that a row belongs to. */
export function hashLink(of: SessionRef): number {
  return hash32(
    'session' in of
      ? JSON.stringify({ platform: of.platform, session: of.session })
      : JSON.stringify({ memory: of.memory }),
  );
}

/**
 * Writes a mark.
 * @param identity the key with ordinal 0, in hexadecimal: at least its first 8 bytes
 * @param units the share of each part, null without a column
 */
export function writeMark(identity: string, units: readonly (number | null)[]): Buffer {
  const mark = Buffer.allocUnsafe(IDENTITY_BYTES + units.length * UNIT_BYTES);
  mark.write(identity, 0, IDENTITY_BYTES, 'hex');
  for (let index = 0; index < units.length; index += 1) {
    mark.writeUInt32LE(units[index] ?? NO_COLUMN, IDENTITY_BYTES + index * UNIT_BYTES);
  }
  return mark;
}

/** The mark of a row as it is. @param has whether this claude-mem has a column of the row's kind */
export function markOf(row: MemoryRow, has: (column: string) => boolean): Buffer {
  const units = UNITS[row.kind].map((unit) => {
    if (unit.name === LINK) return hashLink(row.of);
    if (!unit.columns.every(has)) return null;
    return hashUnit(unit.columns.map((column) => row.set[column] ?? null));
  });
  return writeMark(memoryKey(row.kind, row.set, nameOf(row.of)).toString('hex'), units);
}

/** How two marks of one row differ: another memory altogether, or by the numbers of the parts that changed. */
export function compareMarks(kind: Kind, told: Buffer, now: Buffer): { moved: boolean; units: number[] } {
  const moved = told.compare(now, 0, IDENTITY_BYTES, 0, IDENTITY_BYTES) !== 0;
  const units: number[] = [];
  UNITS[kind].forEach((_unit, index) => {
    const at = IDENTITY_BYTES + index * UNIT_BYTES;
    // A part that had no column, or has none now, was not changed by anybody.
    const [before, after] = [told.readUInt32LE(at), now.readUInt32LE(at)];
    if (before !== after && before !== NO_COLUMN && after !== NO_COLUMN) units.push(index);
  });
  return { moved, units };
}
