import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineReader, splitPieces, shorten } from './lines.ts';

/** Generates a text in arbitrary chunks. */
const chunked = fc
  .tuple(
    fc.string({ unit: fc.constantFrom('a', 'ö', '😀', '\n', '\r\n', '"', '{'), maxLength: 80 }),
    fc.array(fc.nat(100)),
  )
  .map(([text, cuts]) => {
    const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length].sort((a, b) => a - b);
    return { text, chunks: at.slice(1).map((end, n) => text.slice(at[n], end)) };
  });

function readAll(longest: number, chunks: readonly string[]): { lines: string[]; leftOut: number } {
  const lines: string[] = [];
  const reader = new LineReader(longest, (line) => lines.push(line));
  for (const chunk of chunks) reader.take(chunk);
  reader.end();
  return { lines, leftOut: reader.leftOut };
}

describe('a reader of lines', () => {
  it('gives the same lines for any split into chunks', () => {
    fc.assert(
      fc.property(chunked, ({ text, chunks }) => {
        const expected = text.split('\n').map((line) => line.replace(/\r$/, ''));
        if (text.endsWith('\n') || text === '') expected.pop();
        expect(readAll(1_000, chunks)).toEqual({ lines: expected, leftOut: 0 });
      }),
    );
  });

  it('leaves out exactly the lines that are too long, for any split into chunks', () => {
    fc.assert(
      fc.property(chunked, ({ text, chunks }) => {
        const all = text.split('\n');
        if (text.endsWith('\n') || text === '') all.pop();
        const short = all.filter((line) => line.length <= 5);
        expect(readAll(5, chunks)).toEqual({
          lines: short.map((line) => line.replace(/\r$/, '')),
          leftOut: all.length - short.length,
        });
      }),
    );
  });
});

describe('a shortened text', () => {
  it('never exceeds its length, and never ends in half a character', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 60 }), (text, length) => {
        const short = shorten(text, length);
        expect(short.length).toBeLessThanOrEqual(Math.max(length, 0));
        expect(short.isWellFormed()).toBe(true);
        if (text.length <= length) expect(short).toBe(text);
      }),
    );
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 60 }), (text, length) => {
        const all = [...splitPieces(text, length)];
        expect(all.join('')).toBe(text);
        expect(all.every((piece) => piece.length <= length && piece !== '' && piece.isWellFormed())).toBe(
          true,
        );
      }),
    );
  });
});
