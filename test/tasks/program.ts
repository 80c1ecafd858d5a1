import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

/**
 * Stands in for any command-line program; the last line of its prompt says what it does. Each start adds a line to
 * starts.jsonl. `hold NAME` runs until the file NAME.go exists, and then prints NAME.
 */
const SOURCE = `
import { spawn } from 'node:child_process';
import { appendFileSync, closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
const folder = process.argv[2];
const { MEMBRIDGE_TASK_ID: task, MEMBRIDGE_NODE_ID: node } = process.env;
const note = (more) => appendFileSync(join(folder, 'starts.jsonl'), JSON.stringify({ task, node, pid: process.pid, cwd: process.cwd(), ...more }) + '\\n');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let prompt = '';
for await (const piece of process.stdin) prompt += piece;
const [verb, ...rest] = prompt.trim().split('\\n').at(-1).split(' ');
const said = rest.join(' ');
if (verb === 'family') {
  // A child of its group, and one that has left it; both ignore what asks them to end.
  const idle = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";
  const near = spawn(process.execPath, ['-e', idle], { stdio: 'ignore' });
  const far = spawn(process.execPath, ['-e', idle], { stdio: 'ignore', detached: true });
  note({ verb: prompt.trim(), pids: [process.pid, near.pid, far.pid] });
  await sleep(600_000);
}
note({ verb: prompt.trim(), pids: [process.pid] });
if (verb === 'say') process.stdout.write(said);
else if (verb === 'cost') process.stdout.write(JSON.stringify({ type: 'result', subtype: 'success', is_error: false, result: 'ok', total_cost_usd: Number(said) }));
else if (verb === 'hold') {
  while (!existsSync(join(folder, said + '.go'))) await sleep(20);
  process.stdout.write(said);
} else if (verb === 'alone') {
  // Two at once on one node would find each other's file.
  const lock = join(folder, 'lock-' + node);
  try { closeSync(openSync(lock, 'wx')); } catch { appendFileSync(join(folder, 'overlaps'), task + '\\n'); process.exit(9); }
  await sleep(30);
  rmSync(lock);
  process.stdout.write('alone');
} else if (verb === 'eat') {
  const held = [];
  for (;;) { held.push(Buffer.alloc(8 * 2 ** 20, 1)); await sleep(20); }
} else if (verb === 'shout') {
  for (;;) { process.stdout.write('x'.repeat(1_000)); await sleep(1); }
}
`;

/** One start of the program. */
export interface ProgramStart {
  readonly task: string;
  readonly node: string;
  readonly verb: string;
  readonly cwd: string;
  /** Its processes. */
  readonly pids: readonly number[];
}

/** The program in a test's folder, in which the test can also let it continue. */
export interface TaskProgram {
  /** Settings of an agent that runs it: without a sandbox, because tests find its processes by their ids on the machine. */
  readonly settings: Readonly<Record<'MEMBRIDGE_RUNNER' | 'MEMBRIDGE_TASK_SANDBOX', string>>;
  starts(task?: string): ProgramStart[];
  /** Waits for the start of a task's program, the nth from 1. */
  started(task: string, nth?: number): Promise<ProgramStart>;
  /** Lets programs that hold under a name continue. */
  go(name: string): void;
  /** Returns whether two ran at the same time on one node. */
  overlapped(): boolean;
}

export function writeTaskProgram(folder: string): TaskProgram {
  mkdirSync(folder, { recursive: true });
  const script = join(folder, 'program.mjs');
  writeFileSync(script, SOURCE);
  const path = join(folder, 'starts.jsonl');
  appendFileSync(path, '');
  const starts = (task?: string): ProgramStart[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as ProgramStart)
      .filter((start) => task === undefined || start.task === task);
  return {
    settings: {
      MEMBRIDGE_RUNNER: JSON.stringify([process.execPath, script, folder]),
      MEMBRIDGE_TASK_SANDBOX: 'none',
    },
    starts,
    started: async (task, nth = 1) => {
      await expect
        .poll(() => starts(task).length, { timeout: 40_000, interval: 20 })
        .toBeGreaterThanOrEqual(nth);
      const start = starts(task)[nth - 1];
      if (start === undefined) throw new Error(`${task} was not started ${nth} times`);
      return start;
    },
    go: (name) => writeFileSync(join(folder, `${name}.go`), ''),
    overlapped: () => existsSync(join(folder, 'overlaps')),
  };
}

/** Returns whether a process runs; one that has ended and was not reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** Expects processes to be gone within some milliseconds. */
export async function expectDead(pids: readonly number[], within: number): Promise<void> {
  await expect.poll(() => pids.filter((pid) => isAlive(pid)), { timeout: within, interval: 10 }).toEqual([]);
}
