const collator = new Intl.Collator('en', { numeric: true });

/** Orders names as people expect: "node-2" before "node-10". Uses one collator, because making one per comparison is slow. */
export function compareNames(a: string, b: string): number {
  return collator.compare(a, b);
}
