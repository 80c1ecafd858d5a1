import type { z } from 'zod';

/**
 * Reads what another version of Membridge sent. Unknown fields are dropped at any depth; everything else must fit.
 * @returns as `safeParse` does
 */
export function safeParseLoosely<T>(schema: z.ZodType<T>, value: unknown): z.ZodSafeParseResult<T> {
  let known: unknown = value;
  for (;;) {
    const parsed = schema.safeParse(known);
    if (parsed.success) return parsed;
    const unknown = parsed.error.issues.flatMap((issue) => unknownKeys(issue, []));
    if (unknown.length === 0) return parsed;
    // The sender may still use the value, so a copy is changed.
    if (known === value) known = structuredClone(value);
    for (const { path, key } of unknown) {
      const holder = path.reduce<unknown>((at, step) => (at as Record<PropertyKey, unknown>)[step], known);
      delete (holder as Record<string, unknown>)[key];
    }
  }
}

/** Does the same, or throws. @throws ZodError naming what does not fit */
export function parseLoosely<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = safeParseLoosely(schema, value);
  if (!parsed.success) throw parsed.error;
  return parsed.data;
}

interface UnknownKey {
  readonly path: readonly PropertyKey[];
  readonly key: string;
}

function unknownKeys(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): UnknownKey[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path, key }));
  if (issue.code !== 'invalid_union') return [];
  // The branch of a union that fits, apart from unknown fields.
  for (const branch of issue.errors) {
    if (branch.length > 0 && branch.every(({ code }) => code === 'unrecognized_keys')) {
      return branch.flatMap((each) => unknownKeys(each, path));
    }
  }
  return [];
}
