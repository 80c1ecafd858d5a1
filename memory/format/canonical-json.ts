/** Returns canonical JSON: object keys in code-unit order, so that equal values give equal bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sortKeys(value));
}

/** Sorts the keys of a value's objects. Returns the same value when they are already sorted. */
function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return items.every((item) => sortKeys(item) === item) ? items : items.map(sortKeys);
  }
  const fields = value as Record<string, unknown>;
  const names = Object.keys(fields);
  let last = '';
  for (const name of names) {
    const field = fields[name];
    if (name < last || sortKeys(field) !== field) {
      return Object.fromEntries(names.sort().map((each) => [each, sortKeys(fields[each])]));
    }
    last = name;
  }
  return value;
}
