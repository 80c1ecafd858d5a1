/**
 * A column's value as it travels in JSON. Text that is not valid UTF-8 (claude-mem stores what tools print) travels
 * as its bytes, so that it arrives as it was; so do blobs.
 */
export type Value = null | number | string | { readonly $text: string } | { readonly $blob: string };

/** A row's columns by name. */
export type Row = Readonly<Record<string, Value>>;

/** What SQLite hands out for a column. */
export type SqliteValue = null | number | bigint | string | Buffer;

/** Turns a value read from SQLite into one that travels. Text with undecodable bytes needs `rawText`, its bytes. */
export function toValue(value: SqliteValue, rawText: () => Buffer): Value {
  if (value === null || typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return { $blob: value.toString('base64') };
  // The decoder writes U+FFFD where bytes are not UTF-8; a real U+FFFD survives the round trip below.
  if (!value.includes('\uFFFD')) return value;
  const bytes = rawText();
  return bytes.equals(Buffer.from(value, 'utf8')) ? value : { $text: bytes.toString('base64') };
}

/** A value ready to be bound, and whether SQLite must store the bound bytes as text. */
export function toBinding(value: Value): { bind: null | number | string | Buffer; asText: boolean } {
  if (value === null || typeof value === 'number' || typeof value === 'string') {
    return { bind: value, asText: false };
  }
  if ('$text' in value) return { bind: Buffer.from(value.$text, 'base64'), asText: true };
  return { bind: Buffer.from(value.$blob, 'base64'), asText: false };
}

/** Whether two values are the same. */
export function sameValue(a: Value, b: Value): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The text of a value, or null when it is not plain text. */
export function textOf(value: Value | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** The number of a value, or null when it is not a number. */
export function numberOf(value: Value | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
