import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { OutputChunk } from '../../contract/tasks/runs.ts';
import { TaskOutput } from './output.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-output-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Line {
  at: number;
  stream: string;
  text: string;
}
const linesOf = (log: Buffer | null): Line[] =>
  (log?.toString() ?? '')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

it('sends what is written in order, and keeps all of it in the log', async () => {
  const sent: OutputChunk[] = [];
  const output = new TaskOutput(join(folder, 'a', 'log'), async (chunks) => {
    sent.push(...chunks);
    return await Promise.resolve(true);
  });
  output.write('stdout', 'one\n');
  output.write('stderr', 'careful\n');
  output.write('stdout', 'two\n');
  const lines = linesOf(await output.end());
  expect(lines.map(({ stream, text }) => [stream, text])).toEqual([
    ['stdout', 'one\n'],
    ['stderr', 'careful\n'],
    ['stdout', 'two\n'],
  ]);
  await expect
    .poll(() => sent.map(({ seq, text }) => [seq, text]))
    .toEqual([
      [0, 'one\n'],
      [1, 'careful\n'],
      [2, 'two\n'],
    ]);
  await output.remove();
  expect(existsSync(join(folder, 'a', 'log'))).toBe(false);
});

it('sends later, and only once, to a control plane that was away', async () => {
  const sent: OutputChunk[] = [];
  let away = 2;
  const output = new TaskOutput(join(folder, 'log'), async (chunks) => {
    away -= 1;
    if (away >= 0) throw new Error('away');
    sent.push(...chunks);
    return await Promise.resolve(true);
  });
  output.write('stdout', 'hello');
  await expect.poll(() => sent.map(({ text }) => text), { timeout: 10_000 }).toEqual(['hello']);
  await output.end();
});

it('reports how much is not shown live, and keeps it in the log', async () => {
  const sent: OutputChunk[] = [];
  const { promise: open, resolve: letThrough } = Promise.withResolvers<undefined>();
  const output = new TaskOutput(join(folder, 'log'), async (chunks) => {
    await open;
    sent.push(...chunks);
    return true;
  });
  const piece = 'x'.repeat(60_000);
  for (let n = 0; n < 40; n += 1) output.write('stdout', piece);
  letThrough(undefined);
  await expect.poll(() => sent.length, { timeout: 10_000 }).toBe(16);
  output.write('stdout', 'the end');
  const log = linesOf(await output.end());
  expect(log.map(({ text }) => text).join('').length).toBe(40 * 60_000 + 7);
  await expect.poll(() => sent.at(-1)?.text, { timeout: 10_000 }).toBe('the end');
  expect(sent.at(-2)?.text).toContain('1440000 characters are not shown live');
  expect(sent.map(({ seq }) => seq)).toEqual(sent.map((_, index) => index));
});

it('stops sending when nobody watches', async () => {
  let calls = 0;
  const output = new TaskOutput(join(folder, 'log'), async () => {
    calls += 1;
    return await Promise.resolve(false);
  });
  output.write('stdout', 'one');
  await expect.poll(() => calls).toBe(1);
  output.write('stdout', 'two');
  expect(linesOf(await output.end()).map(({ text }) => text)).toEqual(['one', 'two']);
  expect(calls).toBe(1);
});

it('makes no log for a program that wrote nothing', async () => {
  const output = new TaskOutput(join(folder, 'log'), async () => await Promise.resolve(true));
  expect(await output.end()).toBeNull();
});
