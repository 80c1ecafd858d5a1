import { describe, expect, it } from 'vitest';
import type { OutputChunk } from '../../../../contract/tasks/runs.ts';
import { appendOutput, MAX_LINES, NO_OUTPUT, toTerminalLine, type OutputView } from './output-lines.ts';

const piece = (seq: number, text: string, stream: OutputChunk['stream'] = 'stdout'): OutputChunk => ({
  seq,
  stream,
  at: 1,
  text,
});
const texts = ({ lines }: OutputView) => lines.map(({ text, stream }) => `${stream}: ${text}`);

describe('a line as it is shown', () => {
  it.each([
    ['plain', 'plain'],
    ['\u001B[1;31mred\u001B[0m and not', 'red and not'],
    ['\u001B]8;;https://example.org\u0007link\u001B]8;;\u0007', 'link'],
    ['\u001B]0;title\u001B\\text', 'text'],
    ['\u001B(Bcharset', 'charset'],
    ['half a sequence\u001B[3', 'half a sequence'],
    ['half a title\u001B]0;ti', 'half a title'],
    ['broken \u001B[3\u0001more stays', 'broken [3more stays'],
    ['10 %\r50 %\r100 %', '100 %'],
    ['100 %\r', '100 %'],
    ['a\tb\u0007\u0000', 'a\tb'],
    ['<b>not markup</b>', '<b>not markup</b>'],
  ])('shows %j as %j', (raw, text) => expect(toTerminalLine(raw)).toBe(text));
});

describe('the output of an attempt', () => {
  it('joins lines from chunks, and separates streams that write in turns', () => {
    const view = appendOutput(NO_OUTPUT, [
      piece(0, 'one\ntw'),
      piece(1, 'warn', 'stderr'),
      piece(2, 'o\n'),
      piece(3, 'ing\n', 'stderr'),
      piece(4, '\nlast'),
    ]);
    expect(texts(view)).toEqual([
      'stdout: one',
      'stdout: two',
      'stderr: warning',
      'stdout: ',
      'stdout: last',
    ]);
    expect(view.lines.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4]);
  });

  it('removes an escape sequence that arrived in two chunks', () => {
    const half = appendOutput(NO_OUTPUT, [piece(0, 'a\u001B[3')]);
    expect(texts(half)).toEqual(['stdout: a']);
    expect(texts(appendOutput(half, [piece(1, '1mb\n')]))).toEqual(['stdout: ab']);
  });

  it('accepts a chunk once, however often it arrives', () => {
    const once = appendOutput(NO_OUTPUT, [piece(0, 'a\n'), piece(1, 'b\n')]);
    expect(appendOutput(once, [piece(0, 'a\n'), piece(1, 'b\n')])).toBe(once);
    expect(texts(appendOutput(once, [piece(1, 'b\n'), piece(2, 'c\n')]))).toEqual([
      'stdout: a',
      'stdout: b',
      'stdout: c',
    ]);
  });

  it('keeps the newest lines, counts the earlier ones, and continues the numbers', () => {
    const many = Array.from({ length: MAX_LINES + 7 }, (_, n) => `line ${n}\n`).join('');
    const view = appendOutput(NO_OUTPUT, [piece(0, many)]);
    expect([view.lines.length, view.cut]).toEqual([MAX_LINES, 7]);
    expect(view.lines[0]).toMatchObject({ number: 7, text: 'line 7' });
    const after = appendOutput(view, [piece(1, 'more\n')]);
    expect(after.cut).toBe(8);
    expect(after.lines.at(-1)).toMatchObject({ number: MAX_LINES + 7, text: 'more' });
  });

  it('splits an endless line, and loses nothing of it', () => {
    const long = 'x'.repeat(9_000);
    const view = appendOutput(appendOutput(NO_OUTPUT, [piece(0, long)]), [piece(1, 'end\n')]);
    expect(view.lines.length).toBeGreaterThan(2);
    expect(view.lines.map(({ text }) => text).join('')).toBe(`${long}end`);
  });
});
