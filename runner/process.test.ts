import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isGroupAlive, startTimeOf } from '../git/processes.ts';
import { makeRunnerNode, type RunnerNode } from '../test/tasks/runner-node.ts';
import { runToEnd, type ProgramCall, type ProgramEnd } from './process.ts';
import { listFromProc, listFromPs, inspectTree } from './process-tree.ts';

let node: RunnerNode;
let heard: { stream: string; text: string }[];
beforeEach(() => {
  node = makeRunnerNode();
  heard = [];
});
afterEach(() => node.remove());

const LIMITS = { timeoutMs: 60_000, memoryMb: null, outputBytes: 1_000_000 };
type Input = Partial<Omit<ProgramCall, 'limits'>> & { limits?: Partial<ProgramCall['limits']> };

/** Runs a Node.js script. */
async function run(source: string, { limits, ...more }: Input = {}): Promise<ProgramEnd> {
  return await runToEnd({
    program: node.script('program', source),
    args: [],
    cwd: node.cwd,
    env: { PATH: process.env['PATH'] ?? '' },
    input: '',
    signal: new AbortController().signal,
    heard: (stream, text) => heard.push({ stream, text }),
    started: (group) => node.groups.started.push(group),
    ended: (group) => node.groups.ended.push(group),
    ...more,
    limits: { ...LIMITS, ...limits },
  });
}

const said = (stream: string): string =>
  heard.flatMap((piece) => (piece.stream === stream ? [piece.text] : [])).join('');

/**
 * Ignores SIGTERM and forks twice: a child in its group, and below that a grandchild in a separate group and
 * session. Writes all of their numbers to the file `pids`, then to standard output.
 */
const STUBBORN = `
  const { spawn } = require('node:child_process');
  const { appendFileSync, readFileSync } = require('node:fs');
  const deep = Number(process.argv[2] ?? 0);
  process.on('SIGTERM', () => {});
  appendFileSync('pids', process.pid + '\\n');
  setInterval(() => {}, 1000);
  if (deep < 2) spawn(process.execPath, [__filename, String(deep + 1)], { stdio: 'inherit', detached: deep === 1 });
  else console.log('all are there');
`;

const pids = (): number[] => readFileSync(join(node.cwd, 'pids'), 'utf8').trimEnd().split('\n').map(Number);

function expectNothingLeft(): void {
  expect(pids()).toHaveLength(3);
  expect(pids().filter((pid) => startTimeOf(pid) !== null)).toEqual([]);
  expect(new Set(node.groups.ended)).toEqual(new Set(node.groups.started));
}

/** Waits until the program has printed something. */
function whenSaid(words: string): { promise: Promise<void>; heard: ProgramCall['heard'] } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    promise,
    heard: (stream, text) => {
      heard.push({ stream, text });
      if (said('stdout').includes(words)) resolve();
    },
  };
}

describe('a canceled program', () => {
  it('is ended with children and grandchildren that ignore SIGTERM, one in a separate group', async () => {
    const cancel = new AbortController();
    const there = whenSaid('all are there');
    const running = run(STUBBORN, { signal: cancel.signal, heard: there.heard });
    await there.promise;
    const reason = new Error('cancelled by a test');
    cancel.abort(reason);
    await expect(running).rejects.toBe(reason);
    expectNothingLeft();
    expect(node.groups.started).toHaveLength(2);
  });

  it('is not started when it was canceled before', async () => {
    await expect(
      run(`require('node:fs').writeFileSync('x', '')`, { signal: AbortSignal.abort(new Error('early')) }),
    ).rejects.toThrow('early');
    expect(existsSync(join(node.cwd, 'x'))).toBe(false);
  });

  it('may handle SIGTERM in its own way', async () => {
    const cancel = new AbortController();
    const there = whenSaid('ready');
    const running = run(
      `process.on('SIGTERM', () => { console.log('tidied'); process.exit(0); });
       setInterval(() => {}, 1000); console.log('ready');`,
      { signal: cancel.signal, heard: there.heard },
    );
    await there.promise;
    cancel.abort(new Error('cancelled'));
    await expect(running).rejects.toThrow('cancelled');
    expect(node.groups.ended).toEqual(node.groups.started);
  });
});

describe('a limit of a program', () => {
  it('ends everything when the time is over', async () => {
    const end = await run(STUBBORN, { limits: { timeoutMs: 3_000 } });
    expect(end.error).toMatchObject({ code: 'task_timeout', retryable: true });
    expect(said('stdout')).toBe('all are there\n');
    expectNothingLeft();
  });

  it('counts the memory of child processes, too', async () => {
    const end = await run(
      `const { spawn } = require('node:child_process');
       const eat = 'const held = Buffer.alloc(150 * 2 ** 20, 1); setInterval(() => held.length, 1000)';
       spawn(process.execPath, ['-e', eat], { stdio: 'inherit' });
       spawn(process.execPath, ['-e', eat], { stdio: 'inherit', detached: true });
       setInterval(() => {}, 1000);`,
      { limits: { memoryMb: 300 } },
    );
    expect(end.error).toMatchObject({ code: 'memory_exceeded', retryable: false });
    expect(end.error?.message).toMatch(/^The program used 3\d\d|4\d\d MiB/);
    expect(node.groups.started.filter((group) => isGroupAlive(group))).toEqual([]);
  });

  it('counts the output of both streams, and keeps what was printed before', async () => {
    const end = await run(
      `const { existsSync } = require('node:fs');
       process.stderr.write('e'.repeat(1000));
       const more = () => process.stdout.write('ö'.repeat(10000), more);
       // Which of two streams is read first is nobody's to say.
       const wait = () => existsSync('heard') ? more() : setTimeout(wait, 10);
       wait();`,
      {
        limits: { outputBytes: 100_001 },
        heard: (stream, text) => {
          heard.push({ stream, text });
          if (said('stderr').length === 1_000) writeFileSync(join(node.cwd, 'heard'), '');
        },
      },
    );
    expect(end.error).toMatchObject({ code: 'output_exceeded', retryable: false });
    expect(said('stderr')).toBe('e'.repeat(1_000));
    // Half of a character at the limit is not shown.
    expect(said('stdout')).toBe('ö'.repeat(49_500));
  });

  it('keeps memory low when a program prints endlessly', async () => {
    let most = 0;
    let longest = 0;
    const before = process.memoryUsage().rss;
    const end = await run(
      `const chunk = Buffer.alloc(2 ** 20, 'x');
       const more = () => process.stdout.write(chunk, more);
       more();`,
      {
        limits: { outputBytes: 200_000_000 },
        heard: (_, text) => {
          longest = Math.max(longest, text.length);
          most = Math.max(most, process.memoryUsage.rss());
        },
      },
    );
    expect(end.error?.code).toBe('output_exceeded');
    expect(longest).toBeLessThanOrEqual(65_536);
    expect(most - before).toBeLessThan(100 * 2 ** 20);
  });
});

describe('a program that ends', () => {
  it('leaves nothing behind in its group', async () => {
    const end = await run(
      `const { spawn } = require('node:child_process');
       const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)'],
         { stdio: ['ignore', 'pipe', 'ignore'] });
       child.stdout.once('data', () => { console.log(child.pid); process.exit(0); });`,
    );
    expect(end).toEqual({ exitCode: 0, killedBy: null, error: null });
    expect(startTimeOf(Number(said('stdout')))).toBeNull();
  });

  it('leaves a daemon alone that serves others, even if it holds the streams', async () => {
    const end = await run(
      `const { spawn } = require('node:child_process');
       const daemon = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit', detached: true });
       daemon.unref();
       console.log(daemon.pid);
       process.exit(0);`,
    );
    const daemon = Number(said('stdout'));
    try {
      expect(end.exitCode).toBe(0);
      expect(startTimeOf(daemon)).not.toBeNull();
    } finally {
      process.kill(daemon, 'SIGKILL');
    }
    expect(new Set(node.groups.ended)).toEqual(new Set(node.groups.started));
  });

  it('is read to its last byte', async () => {
    await run(`process.stdout.write('x'.repeat(900_000)); process.exitCode = 4;`);
    expect(said('stdout')).toHaveLength(900_000);
  });

  it('is read in whole characters for any split into writes', async () => {
    await run(
      `const bytes = Buffer.from('aä€😀'.repeat(40));
       let at = 0;
       const next = () => { if (at < bytes.length) process.stdout.write(bytes.subarray(at, ++at), () => setImmediate(next)); };
       next();`,
    );
    expect(said('stdout')).toBe('aä€😀'.repeat(40));
    expect(heard.length).toBeGreaterThan(1);
    expect(heard.every(({ text }) => text.isWellFormed() && !text.includes('�'))).toBe(true);
  });
});

describe('an output listener that throws', () => {
  it('ends the program, and the error is reported', async () => {
    const failing = run(`setInterval(() => console.log('x'), 10)`, {
      heard: () => {
        throw new Error('no room');
      },
    });
    await expect(failing).rejects.toThrow('no room');
    expect(node.groups.started.map((group) => isGroupAlive(group))).toEqual([false]);
  });
});

describe('listing processes', () => {
  it('gives the same result through /proc and ps', async () => {
    const mine = ({ pid }: { pid: number }): boolean => pid === process.pid;
    const [one, other] = [listFromProc().find(mine), (await listFromPs()).find(mine)];
    expect(one).toMatchObject({ parent: process.ppid });
    expect(other).toMatchObject({ parent: process.ppid, group: one?.group });
    const [bytes = 0, sameBytes = 0] = [one?.rssBytes(), other?.rssBytes()];
    expect(bytes).toBeGreaterThan(10_000_000);
    expect(Math.abs(bytes - sameBytes)).toBeLessThan(bytes / 2);
  });

  it('finds nothing for an unknown group', async () => {
    expect(await inspectTree(2 ** 30)).toEqual({ groups: new Set(), rssBytes: 0 });
  });
});
