import type { z } from 'zod';

/** Names each thing of a request that was not used, as `body.model, query.page`. */
export const IGNORED_HEADER = 'X-Membridge-Ignored';

/** Names that the header holds at most, and characters of each. */
const MAX_NAMES = 20;
const MAX_NAME_CHARS = 64;

/** Fields that a schema does not know, and a `limit` beyond its bounds: the original took both. */
type Repair = (value: Record<string, unknown>) => string[];

/**
 * Reads what a client of the original sent: drops fields that the schema does not know, and moves a `limit` into its bounds.
 * @param where "body" or "query"
 * @returns what the schema makes of the rest, and the names of what was dropped or moved
 */
export function parseTolerantly(
  where: string,
  schema: z.ZodType,
  given: unknown,
): { parsed: z.ZodSafeParseResult<unknown>; ignored: string[] } {
  const first = schema.safeParse(given);
  if (first.success || typeof given !== 'object' || given === null) return { parsed: first, ignored: [] };
  const repairs = first.error.issues.flatMap((issue) => repairOf(where, issue));
  if (repairs.length === 0) return { parsed: first, ignored: [] };
  const rest = structuredClone(given) as Record<string, unknown>;
  const ignored = repairs.flatMap((repair) => repair(rest));
  return { parsed: schema.safeParse(rest), ignored };
}

function repairOf(where: string, issue: z.core.$ZodIssue): Repair[] {
  if (issue.code === 'unrecognized_keys') {
    const { path, keys } = issue;
    return [
      (value) => {
        const holder = path.reduce<unknown>(
          (found, part) => (found as Record<PropertyKey, unknown>)[part],
          value,
        );
        for (const key of keys) Reflect.deleteProperty(holder as object, key);
        return keys.map((key) => [where, ...path.map(String), key].join('.'));
      },
    ];
  }
  if (where !== 'query' || issue.path.join('.') !== 'limit') return [];
  return [
    (value) => {
      if (issue.code === 'too_big') value['limit'] = String(issue.maximum);
      else if (issue.code === 'too_small') value['limit'] = String(issue.minimum);
      else delete value['limit'];
      return ['query.limit'];
    },
  ];
}

/** The header's value. A client chose these names, so what may not stand in a header is encoded. */
export function ignoredNames(names: readonly string[]): string {
  const shown = names
    .slice(0, MAX_NAMES)
    .map((name) => encodeURIComponent(name.slice(0, MAX_NAME_CHARS).toWellFormed()));
  const more = names.length > MAX_NAMES ? [`and ${names.length - MAX_NAMES} more`] : [];
  return [...shown, ...more].join(', ');
}
