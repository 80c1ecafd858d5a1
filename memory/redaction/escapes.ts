import type { Span } from './key-values.ts';

/** A text with its escapes decoded, and the original position of each character. */
export interface Decoded {
  readonly text: string;
  /** Position of each character, and of the end, in the undecoded text. */
  readonly places: Int32Array;
}

const SINGLE_ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  '"': '"',
  "'": "'",
  '`': '`',
  '/': '/',
  '\\': '\\',
};

const UNICODE = /[0-9a-fA-F]{4}/y;

/** Decodes the escapes of JSON and of most programming languages; leaves everything else unchanged. */
export function decodeEscapes(text: string): Decoded {
  const places = new Int32Array(text.length + 1);
  const parts: string[] = [];
  let length = 0;
  /** Start of the current stretch without escapes. */
  let plain = 0;
  const keepPlain = (end: number): void => {
    if (end === plain) return;
    parts.push(text.slice(plain, end));
    for (let at = plain; at < end; at += 1) places[length++] = at;
  };
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', Math.max(at, plain))) {
    const next = text[at + 1] ?? '';
    let decoded = SINGLE_ESCAPES[next];
    let size = 2;
    if (next === 'u') {
      UNICODE.lastIndex = at + 2;
      const code = UNICODE.exec(text)?.[0];
      if (code !== undefined) {
        decoded = String.fromCharCode(Number.parseInt(code, 16));
        size = 6;
      }
    }
    if (decoded === undefined) {
      at += 1;
      continue;
    }
    keepPlain(at);
    parts.push(decoded);
    places[length++] = at;
    plain = at + size;
  }
  keepPlain(text.length);
  places[length] = text.length;
  return { text: parts.join(''), places: places.subarray(0, length + 1) };
}

const STRING_LITERAL = /"(?:[^"\\]|\\.)*"/g;

/**
 * Clips finds in JSON to the parts within strings, so that the result is still JSON. A find across several
 * strings is replaced in each.
 * @param text JSON that can be parsed
 */
export function clipToStrings(text: string, spans: readonly Span[]): Span[] {
  const clipped: Span[] = [];
  let next = 0;
  for (const literal of text.matchAll(STRING_LITERAL)) {
    const [begin, end] = [literal.index + 1, literal.index + literal[0].length - 1];
    while ((spans[next]?.end ?? Infinity) <= begin) next += 1;
    for (let index = next; (spans[index]?.start ?? Infinity) < end; index += 1) {
      const { start, end: spanEnd, name } = spans[index] as Span;
      const [from, to] = [Math.max(start, begin), Math.min(spanEnd, end)];
      if (from < to) clipped.push({ start: from, end: to, name });
    }
  }
  return clipped;
}

/** Returns whether a text is a JSON array or object. */
export function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
