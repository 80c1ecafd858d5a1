import { KNOWN_SETTINGS } from '../contract/settings.ts';

/** Returns one sentence for each unknown MEMBRIDGE_* name, with the nearest known name. */
export function describeUnknownSettings(names: readonly string[]): string[] {
  return names
    .filter((name) => name.startsWith('MEMBRIDGE_') && !KNOWN_SETTINGS.includes(name))
    .map((name) => `${name} is not a setting of Membridge; did you mean ${findNearest(name)}?`);
}

function findNearest(name: string): string {
  const ranked = KNOWN_SETTINGS.map((known) => ({ known, distance: editDistance(name, known) }));
  return ranked.reduce((best, next) => (next.distance < best.distance ? next : best)).known;
}

/** Returns the Levenshtein distance, computed one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
