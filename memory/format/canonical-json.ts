/** Returns canonical JSON: object keys in code-unit order, so that equal values give equal bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(inOrder(value));
}

/** Sorts the keys of a value's objects. Returns the same value when they are already sorted. */
function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return items.every((item) => inOrder(item) === item) ? items : items.map(inOrder);
  }
  const fields = value as Record<string, unknown>;
  const names = Object.keys(fields);
  let last = '';
  for (const name of names) {
    const field = fields[name];
    if (name < last || inOrder(field) !== field) {
      return Object.fromEntries(names.sort().map((each) => [each, inOrder(fields[each])]));
    }
    last = name;
  }
  return value;
}
