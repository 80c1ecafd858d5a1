import { textOf, type Row, type Value } from '../format/values.ts';

/**
 * Before 9.1 claude-mem limits observations.type to a list. A peer's observation of another type is written with an
 * allowed type and its true one as a first concept, `membridge-type=…`: in the row itself, so that a lost ledger, a copied
 * file or claude-mem's own upgrade of the table cannot part them. The type is part of a memory's key: a row that came
 * back with another type would be sent as another memory.
 */
const PREFIX = '["membridge-type=';

/** SQL for whether a row of observations carries its type: ">" comes right after "=". Comparing is cheaper than cutting. */
export const IS_CARRIED = `(concepts >= '${PREFIX}' AND concepts < '${PREFIX.slice(0, -1)}>')`;
const REST = `substr(concepts, ${PREFIX.length + 1})`;
const AFTER = `substr(${REST}, instr(${REST}, '"') + 1)`;

/** SQL for the true type of a row of observations. */
export const CARRIED_TYPE = `CASE WHEN ${IS_CARRIED} THEN substr(${REST}, 1, instr(${REST}, '"') - 1) ELSE type END`;

/** SQL for the concepts of a row of observations as they were told. */
export const CARRIED_CONCEPTS = `CASE WHEN ${IS_CARRIED}
  THEN CASE ${AFTER} WHEN ']' THEN NULL WHEN ' ]' THEN '[]' ELSE '[' || substr(${AFTER}, 2) END
  ELSE concepts END`;

/** A colon would be cut off by claude-mem 13.12.4, which turns a concept "keyword: text" into "keyword". */
const CARRIABLE_TYPE = /^[^"\\:\p{Cc}]{1,200}$/u;

/**
 * How a type and concepts are written where only some types are allowed.
 * @param allowed the types that the table takes, null for any
 * @returns the columns to write. What cannot be carried stays as it is, for the table itself to refuse.
 */
export function carryType(type: Value, concepts: Value, allowed: readonly string[] | null): Row {
  const named = textOf(type);
  const plain = { type, concepts };
  const isAllowed = allowed === null || (named !== null && allowed.includes(named));
  // Concepts that look like ours would be read as ours: they are carried too.
  const looksCarried = typeof concepts === 'string' && concepts.startsWith(PREFIX);
  if ((isAllowed && !looksCarried) || named === null || !CARRIABLE_TYPE.test(named)) return plain;
  const tail = tailOf(concepts);
  if (tail === null) return plain;
  const written = isAllowed ? named : allowed.includes('discovery') ? 'discovery' : (allowed[0] ?? named);
  return { type: written, concepts: `${PREFIX}${named}"${tail}` };
}

/** What follows the first concept, such that the original can be told from it; null when it cannot. */
function tailOf(concepts: Value): string | null {
  if (concepts === null) return ']';
  if (concepts === '[]') return ' ]';
  if (typeof concepts !== 'string' || !concepts.startsWith('[')) return null;
  try {
    const list: unknown = JSON.parse(concepts);
    return Array.isArray(list) && list.length > 0 ? `,${concepts.slice(1)}` : null;
  } catch {
    return null;
  }
}
