import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from './history.ts';
import type { Plan } from './steps.ts';

/** The share of a worker process. */
export interface Share {
  readonly seed: number;
  /** Numbers of histories. */
  readonly histories: readonly number[];
  /** The engine's module; a broken one shows whether its fault is detected. */
  readonly engine: string;
  readonly root: string;
  /** Whether to stop at the first failure. */
  readonly untilFailure: boolean;
}

/** One history that failed. */
export interface Failure {
  readonly history: number;
  readonly outcome: Outcome;
}

/** A worker's message after every history. */
export interface HistoryReport {
  readonly faults: Record<string, number>;
  readonly failure: Failure | null;
}

export interface SimOptions {
  readonly seed: number;
  readonly first?: number;
  readonly histories: number;
  readonly engine?: string;
  readonly workers?: number;
  readonly untilFailure?: boolean;
  readonly progress?: (done: number, failures: number) => void;
  /** Called for every failure immediately. */
  readonly onFailure?: (failure: Failure) => void;
}

/** The result of a run of many histories. */
export interface SimReport {
  readonly histories: number;
  readonly seed: number;
  readonly faults: Record<string, number>;
  readonly failures: Failure[];
  readonly ms: number;
}

/**
 * How long a history may take before it counts as hanging, in ms: usually 3 s, and much more where others use the
 * machine.
 */
const HANG_MS = 120_000;

/** The engine that the product runs. */
export const REAL_ENGINE = new URL('../../memory/engine.ts', import.meta.url).href;

/** Makes a folder for the histories' files: in memory where the system allows that, because they are written often. */
export function makeRoot(): string {
  const shm = '/dev/shm';
  return mkdtempSync(join(existsSync(shm) ? shm : tmpdir(), 'membridge-sim-'));
}

/** Runs histories `first` to `first + histories - 1` of a seed on several processes. */
export async function runMany(options: SimOptions): Promise<SimReport> {
  const began = performance.now();
  const count = Math.min(options.workers ?? availableParallelism(), options.histories);
  const numbers = Array.from({ length: options.histories }, (_, n) => (options.first ?? 0) + n);
  const faults: Record<string, number> = {};
  const failures: Failure[] = [];
  let done = 0;
  const workers: ChildProcess[] = [];
  const runs = Array.from({ length: count }, async (_, worker) => {
    const root = makeRoot();
    const share: Share = {
      seed: options.seed,
      histories: numbers.filter((_number, at) => at % count === worker),
      engine: options.engine ?? REAL_ENGINE,
      root,
      untilFailure: options.untilFailure ?? false,
    };
    try {
      await runShare(share, workers, (told) => {
        done += 1;
        for (const [fault, times] of Object.entries(told.faults))
          faults[fault] = (faults[fault] ?? 0) + times;
        if (told.failure !== null) {
          failures.push(told.failure);
          options.onFailure?.(told.failure);
        }
        options.progress?.(done, failures.length);
        if (told.failure !== null && share.untilFailure) for (const other of workers) other.kill();
      });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
  await Promise.all(runs);
  failures.sort((a, b) => a.history - b.history);
  return { histories: done, seed: options.seed, faults, failures, ms: performance.now() - began };
}

/** Runs a share in a process, and the rest of it in another one when a history hung. */
async function runShare(
  share: Share,
  workers: ChildProcess[],
  hear: (told: HistoryReport) => void,
): Promise<void> {
  for (let left = share.histories; left.length > 0;) {
    const { done, hung } = await runUntilHang({ ...share, histories: left }, workers, hear);
    if (!hung || share.untilFailure) return;
    left = left.slice(done);
  }
}

/** Runs until a history hangs. @returns how many histories ended or hung, and whether the last one hung */
async function runUntilHang(
  share: Share,
  workers: ChildProcess[],
  hear: (told: HistoryReport) => void,
): Promise<{ done: number; hung: boolean }> {
  const child = fork(new URL('worker.ts', import.meta.url), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  workers.push(child);
  let at = 0;
  let hung = false;
  const hang = (): void => {
    hung = true;
    const broken = [`history ${share.histories[at]} did not end within ${HANG_MS / 1_000} s`];
    const nothing = { lost: [], duplicated: [], invented: [], diverged: [], faults: {} };
    hear({ faults: {}, failure: { history: share.histories[at] ?? -1, outcome: { ...nothing, broken } } });
    at += 1;
    child.kill('SIGKILL');
  };
  let watch = setTimeout(hang, HANG_MS);
  child.on('message', (told: HistoryReport) => {
    at += 1;
    clearTimeout(watch);
    watch = setTimeout(hang, HANG_MS);
    hear(told);
  });
  child.send(share);
  try {
    await new Promise<void>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => {
        // The signal is ours: the history hung, or another one failed as wanted.
        if (code === 0 || signal !== null) resolve();
        else reject(new Error(`a simulation process ended with ${code}`));
      });
    });
  } finally {
    clearTimeout(watch);
  }
  return { done: at, hung };
}

/** Returns the command that repeats a failing history. */
export function commandFor(seed: number, history: number): string {
  return `npm run sim -- --seed ${seed} --history ${history}`;
}

/** Returns a plan as a list that a person can follow. */
export function describePlan(plan: Plan): string[] {
  const names = plan.releases.map(
    (release, n) =>
      `${String.fromCharCode(97 + n)} = claude-mem ${release}, clock ${plan.skews[n] ?? 0} ms off`,
  );
  const shared = plan.shared > 0 ? [`b began as a copy of a's database with ${plan.shared} sessions`] : [];
  return [names.join(', '), ...shared, ...plan.steps.map((step, n) => `${n + 1}. ${JSON.stringify(step)}`)];
}
