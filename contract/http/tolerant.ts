import type { z } from 'zod';

/** Names each part of a request that was not used, as `body.model, query.page`. */
export const IGNORED_HEADER = 'X-Membridge-Ignored';

/** The most names in the header, and the most characters of each. */
const MAX_NAMES = 20;
const MAX_NAME_CHARS = 64;

/** Removes unknown fields, and moves a `limit` into its bounds: the original accepted both. */
type Repair = (value: Record<string, unknown>) => string[];

/**
 * Reads a request of a client of the original: drops unknown fields, and moves a `limit` into its bounds.
 * @param where "body" or "query"
 * @returns the parsed rest, and the names of what was dropped or moved
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

/** Returns the header's value. A client chose these names, so characters that a header forbids are encoded. */
export function ignoredNames(names: readonly string[]): string {
  const shown = names
    .slice(0, MAX_NAMES)
    .map((name) => encodeURIComponent(name.slice(0, MAX_NAME_CHARS).toWellFormed()));
  const more = names.length > MAX_NAMES ? [`and ${names.length - MAX_NAMES} more`] : [];
  return [...shown, ...more].join(', ');
}
