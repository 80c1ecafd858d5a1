import type { z } from 'zod';

/**
 * Parses an answer against the contract, and keeps unknown words where the contract lists words. A newer server may
 * have states that this page does not know; such a state in one row must not hide all rows.
 * @returns zod's own result; unknown words stay in its data as received
 */
export function parseTolerantly<Schema extends z.ZodType>(
  schema: Schema,
  answer: unknown,
): z.ZodSafeParseResult<z.output<Schema>> {
  const strict = schema.safeParse(answer);
  if (strict.success) return strict;
  const replaced: { path: readonly PropertyKey[]; word: string }[] = [];
  const copy = structuredClone(answer);
  for (const issue of strict.error.issues) {
    const word = valueAt(copy, issue.path);
    const [known] = issue.code === 'invalid_value' ? issue.values : [];
    if (typeof word !== 'string' || typeof known !== 'string') return strict;
    replaced.push({ path: issue.path, word });
    setAt(copy, issue.path, known);
  }
  const result = schema.safeParse(copy);
  if (!result.success) return strict;
  for (const { path, word } of replaced) setAt(result.data, path, word);
  return result;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return value;
}

function setAt(root: unknown, path: readonly PropertyKey[], value: unknown): void {
  const last = path.at(-1);
  const parent = valueAt(root, path.slice(0, -1));
  if (last === undefined || typeof parent !== 'object' || parent === null) return;
  (parent as Record<PropertyKey, unknown>)[last] = value;
}
