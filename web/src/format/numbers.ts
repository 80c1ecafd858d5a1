const integers = new Intl.NumberFormat('en-US');
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Formats an integer with thousands separators. */
export function count(value: number): string {
  return integers.format(value);
}

/** Formats a number with its noun: "1 row", "1,204 rows". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Formats bytes in decimal units: "0 B", "12.4 kB", "1.2 GB". */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  // 999.5 would round to "1000".
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(size < 100 ? 1 : 0)} ${UNITS[unit] ?? 'B'}`;
}
