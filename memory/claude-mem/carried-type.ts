import { textOf, type Row, type Value } from '../format/values.ts';

/**
 * Before 9.1 claude-mem limits observations.type to a list. An observation of another type is written with an
 * allowed type, and its true type becomes the first concept, `membridge-type=…`. Stored in the row itself,
 * the true type survives a lost ledger, a copied file and claude-mem's own upgrade of the table. It must
 * survive, because the type is part of the key: with another type the row would be sent as another memory.
 */
const CARRIED_PREFIX = '["membridge-type=';

/**
 * SQL for whether a row of observations carries its type; ">" is the character after "=". A comparison is
 * cheaper than a substring.
 */
export const IS_CARRIED = `(concepts >= '${CARRIED_PREFIX}' AND concepts < '${CARRIED_PREFIX.slice(0, -1)}>')`;
const AFTER_PREFIX = `substr(concepts, ${CARRIED_PREFIX.length + 1})`;
const AFTER_TYPE = `substr(${AFTER_PREFIX}, instr(${AFTER_PREFIX}, '"') + 1)`;

/** SQL for the true type of an observation row. */
export const CARRIED_TYPE = `CASE WHEN ${IS_CARRIED} THEN substr(${AFTER_PREFIX}, 1, instr(${AFTER_PREFIX}, '"') - 1) ELSE type END`;

/** SQL for the original concepts of an observation row. */
export const CARRIED_CONCEPTS = `CASE WHEN ${IS_CARRIED}
  THEN CASE ${AFTER_TYPE} WHEN ']' THEN NULL WHEN ' ]' THEN '[]' ELSE '[' || substr(${AFTER_TYPE}, 2) END
  ELSE concepts END`;

/**
 * claude-mem 13.12.4 would cut the type off at a colon: it turns a concept "keyword: text" into "keyword".
 */
const CARRIABLE_TYPE = /^[^"\\:\p{Cc}]{1,200}$/u;

/**
 * Returns the type and concepts to write where only some types are allowed.
 * @param allowed the types that the table accepts, null for any
 * @returns the columns to write. A type that cannot be carried stays, and the table itself refuses it.
 */
export function carryType(type: Value, concepts: Value, allowed: readonly string[] | null): Row {
  const named = textOf(type);
  const plain = { type, concepts };
  const isAllowed = allowed === null || (named !== null && allowed.includes(named));
  // Concepts that look like ours would be parsed as ours, so they are carried too.
  const looksCarried = typeof concepts === 'string' && concepts.startsWith(CARRIED_PREFIX);
  if ((isAllowed && !looksCarried) || named === null || !CARRIABLE_TYPE.test(named)) return plain;
  const tail = textAfterFirstConcept(concepts);
  if (tail === null) return plain;
  const written = isAllowed ? named : allowed.includes('discovery') ? 'discovery' : (allowed[0] ?? named);
  return { type: written, concepts: `${CARRIED_PREFIX}${named}"${tail}` };
}

/** Returns the text after the first concept if the original can be rebuilt from it, else null. */
function textAfterFirstConcept(concepts: Value): string | null {
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
