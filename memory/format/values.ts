/**
 * A column's value as it is sent in JSON. Blobs, and text that is not valid UTF-8 (claude-mem stores tool
 * output), are sent as bytes, so that they arrive unchanged. Whole numbers beyond JSON's exact range are sent
 * as decimal digits, and infinity by name.
 */
export type Value =
  | null
  | number
  | string
  | { readonly $text: string }
  | { readonly $blob: string }
  | { readonly $int: string }
  | { readonly $real: 'Infinity' | '-Infinity' };

/** A row's columns by name. */
export type Row = Readonly<Record<string, Value>>;

/** A column's value as SQLite returns it. */
export type SqliteValue = null | number | bigint | string | Buffer;

/**
 * Returns whether a number is exactly what SQLite holds: above 2^53 whole numbers were rounded, and JSON has
 * no infinity.
 */
export function isExact(value: number): boolean {
  return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value));
}

/**
 * Converts a value read from SQLite into one that can be sent.
 * @param again.rawText reads the bytes of a text that could not be decoded
 * @param again.exact reads a number that may have been rounded, with whole numbers as BigInt
 */
export function toValue(
  value: SqliteValue,
  again: { readonly rawText: () => Buffer; readonly exact: () => number | bigint },
): Value {
  if (value === null) return value;
  if (typeof value === 'number') return isExact(value) ? value : toExact(again.exact());
  if (typeof value === 'bigint') return toExact(value);
  if (typeof value !== 'string') return { $blob: value.toString('base64') };
  // The decoder writes U+FFFD for bytes that are not UTF-8; a real U+FFFD survives the round trip below.
  if (!value.includes('\uFFFD')) return value;
  const bytes = again.rawText();
  return bytes.equals(Buffer.from(value, 'utf8')) ? value : { $text: bytes.toString('base64') };
}

function toExact(value: number | bigint): Value {
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value;
    return { $real: value > 0 ? 'Infinity' : '-Infinity' };
  }
  const rounded = Number(value);
  return Number.isSafeInteger(rounded) ? rounded : { $int: value.toString() };
}

/** Returns a value to bind, and whether SQLite must store the bound bytes as text. */
export function toBinding(value: Value): { bind: null | number | bigint | string | Buffer; asText: boolean } {
  if (value === null || typeof value === 'number' || typeof value === 'string') {
    return { bind: value, asText: false };
  }
  if ('$int' in value) return { bind: BigInt(value.$int), asText: false };
  if ('$real' in value) return { bind: Number(value.$real), asText: false };
  if ('$text' in value) return { bind: Buffer.from(value.$text, 'base64'), asText: true };
  return { bind: Buffer.from(value.$blob, 'base64'), asText: false };
}

/** Returns whether two values are equal. */
export function isSameValue(a: Value, b: Value): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Returns the text of a value, or null when it is not plain text. */
export function textOf(value: Value | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** Returns the number of a value, rounded if very large, or null when it is not a number. */
export function numberOf(value: Value | undefined): number | null {
  if (typeof value === 'number') return value;
  if (typeof value !== 'object' || value === null) return null;
  if ('$int' in value) return Number(value.$int);
  return '$real' in value ? Number(value.$real) : null;
}
