/**
 * Child processes that never outlive their purpose: each has its own process group, is recorded on disk, and is
 * stopped in the end.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTimeOf } from './lock.mjs';

export interface ChildCommand {
  file: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** Run as this user; only root may ask for it. */
  user?: { uid: number; gid: number };
}

export interface ChildOptions extends ChildCommand {
  /** Names the pid record and the log file: one child of each name runs per data directory. */
  name: string;
  dataDir: string;
  /** The signal that asks this program to end; default SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** How long it may take after that before SIGKILL, in milliseconds; default 10,000. */
  graceMs?: number;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Child {
  readonly pid: number;
  readonly logFile: string;
  /** Settles when the process has ended, however it ended. */
  readonly exited: Promise<Exit>;
  readonly running: boolean;
  /** Asks it to end, waits, then kills the rest of its group. */
  stop(): Promise<void>;
  /** Sends SIGKILL to its group immediately. */
  kill(): Promise<void>;
  /** Returns the last lines that this run has written to the log. */
  lastLines(lines?: number): string;
}

interface PidRecord {
  pid: number;
  startTime: string;
  command: string;
}

const maxLogBytes = 8 * 1024 * 1024;

/**
 * Starts a child in its own process group with its output in `<dataDir>/<name>.log`. It records the child in
 * `<dataDir>/run/<name>.json`, so that the next start can end it if this process is killed.
 * @throws when the program cannot be executed
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { name, dataDir, stopSignal = 'SIGTERM', graceMs = 10_000 } = options;
  mkdirSync(join(dataDir, 'run'), { recursive: true, mode: 0o700 });
  const logFile = join(dataDir, `${name}.log`);
  if (existsSync(logFile) && statSync(logFile).size > maxLogBytes) renameSync(logFile, `${logFile}.1`);
  const log = openSync(logFile, 'a', 0o600);
  const logStart = statSync(logFile).size;
  const child = spawn(options.file, options.args, {
    env: options.env,
    cwd: options.cwd ?? dataDir,
    detached: true,
    stdio: ['ignore', log, log],
    ...options.user,
  });
  closeSync(log);
  let running = true;
  const exited = new Promise<Exit>((settle) => {
    child.once('exit', (code, signal) => {
      running = false;
      removeRecord(dataDir, name, child.pid);
      settle({ code, signal });
    });
  });
  await new Promise<void>((settle, fail) => {
    child.once('spawn', settle);
    child.once('error', (error) =>
      fail(new Error(`${name}: ${options.file} cannot be run: ${error.message}`)),
    );
  });
  const pid = child.pid!;
  const startTime = startTimeOf(pid);
  if (startTime !== undefined) {
    const command = [options.file, ...options.args].join(' ');
    writeRecord(dataDir, name, { pid, startTime, command });
  }

  const signalAndWait = async (signal: NodeJS.Signals): Promise<void> => {
    if (running) {
      signalGroup(pid, signal);
      const grace = sleep(graceMs, 'late' as const, { ref: false });
      if ((await Promise.race([exited, grace])) === 'late') signalGroup(pid, 'SIGKILL');
      await exited;
    }
    // Its own children may still be in the group.
    signalGroup(pid, 'SIGKILL');
  };
  return {
    pid,
    logFile,
    exited,
    get running() {
      return running;
    },
    stop: () => signalAndWait(stopSignal),
    kill: () => signalAndWait('SIGKILL'),
    lastLines: (lines = 15) => {
      const text = readFileSync(logFile).subarray(logStart).toString('utf8');
      return text.trimEnd().split('\n').slice(-lines).join('\n');
    },
  };
}

/**
 * Ends a child that a killed parent left behind. It is recognized by pid, start time and command together, so that
 * another process with the same pid is never touched.
 * @returns whether there was one
 */
export async function stopLeftover(
  options: Pick<ChildOptions, 'name' | 'dataDir' | 'stopSignal' | 'graceMs'>,
): Promise<boolean> {
  const record = readRecord(options.dataDir, options.name);
  if (!record) return false;
  const isOurs = isRunning(record);
  if (isOurs) await stopByPid(record.pid, options.stopSignal ?? 'SIGTERM', options.graceMs ?? 10_000);
  removeRecord(options.dataDir, options.name, record.pid);
  return isOurs;
}

/** Sends SIGKILL to every child recorded in a data directory: the meaning of a second Ctrl-C. */
export function killRecorded(dataDir: string): void {
  const folder = join(dataDir, 'run');
  if (!existsSync(folder)) return;
  for (const file of readdirSync(folder)) {
    const record = readRecord(dataDir, basename(file, '.json'));
    if (record && isRunning(record)) signalGroup(record.pid, 'SIGKILL');
  }
}

/**
 * Ends a process that is not our child, and its group: a signal, a wait, then SIGKILL.
 * @param graceMs milliseconds between the signal and SIGKILL
 */
export async function stopByPid(pid: number, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  const started = startTimeOf(pid);
  const isGone = (): boolean => started === undefined || startTimeOf(pid) !== started;
  signalGroup(pid, signal);
  for (const deadline = Date.now() + graceMs; !isGone() && Date.now() < deadline;) await sleep(25);
  signalGroup(pid, 'SIGKILL');
  while (!isGone()) await sleep(25);
}

/** Returns the command line of a running process, arguments separated by blanks; empty when there is none. */
export function readCommandOf(pid: number): string {
  try {
    if (process.platform === 'linux') {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    }
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

function isRunning(record: PidRecord): boolean {
  return (
    startTimeOf(record.pid) === record.startTime && isSameCommand(readCommandOf(record.pid), record.command)
  );
}

function isSameCommand(found: string, recorded: string): boolean {
  // A script with a #! line shows its interpreter first, and blanks inside arguments look like separators.
  return found !== '' && (found === recorded || found.endsWith(recorded) || recorded.startsWith(found));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // EPERM on macOS: only zombies are left in the group.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

function recordFile(dataDir: string, name: string): string {
  return join(dataDir, 'run', `${name}.json`);
}

function writeRecord(dataDir: string, name: string, record: PidRecord): void {
  const file = recordFile(dataDir, name);
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function readRecord(dataDir: string, name: string): PidRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordFile(dataDir, name), 'utf8')) as PidRecord;
  } catch {
    return undefined;
  }
}

function removeRecord(dataDir: string, name: string, pid: number | undefined): void {
  if (readRecord(dataDir, name)?.pid === pid) rmSync(recordFile(dataDir, name), { force: true });
}
