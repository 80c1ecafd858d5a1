import type { Result } from '../results.ts';

/** The goal of a figure. */
export interface Goal {
  readonly text: string;
  readonly isMet: (result: Result) => boolean;
}

const atMost =
  (figure: 'p50' | 'p99' | 'value', limit: number) =>
  (result: Result): boolean =>
    (result[figure] ?? Number.POSITIVE_INFINITY) <= limit;
const atLeast =
  (limit: number) =>
  (result: Result): boolean =>
    (result.value ?? 0) >= limit;
const both =
  (p50: number, p99: number) =>
  (result: Result): boolean =>
    atMost('p50', p50)(result) && atMost('p99', p99)(result);

/** The goals of memory sync (the design's table "What it must reach"; its sizes are for a database of 1,000,000 rows). */
export const GOALS = {
  // 100 new rows into 1M: at most 64 KB up in at most 3 requests.
  bytesUp: { text: 'p99 ≤ 65,536 bytes', isMet: atMost('p99', 65_536) },
  requestsUp: { text: 'p99 ≤ 3', isMet: atMost('p99', 3) },
  // Push p50 at most 50 ms, p99 at most 250 ms.
  push: { text: 'p50 ≤ 50 ms, p99 ≤ 250 ms', isMet: both(50, 250) },
  // Pull on another node p50 at most 100 ms, p99 at most 500 ms.
  pull: { text: 'p50 ≤ 100 ms, p99 ≤ 500 ms', isMet: both(100, 500) },
  // No-op sync at most 5 ms and one request.
  noop: { text: 'p50 ≤ 5 ms', isMet: atMost('p50', 5) },
  noopRequests: { text: 'p99 ≤ 1', isMet: atMost('p99', 1) },
  // A push at 1M rows against one at 20k rows: at most 1.5 times.
  growth: { text: '≤ 1.5', isMet: atMost('value', 1.5) },
  // A memory committed on A is visible on B within 2 s, p95; judged by p99, which is stricter.
  visible: { text: 'p95 ≤ 2,000 ms (judged by p99)', isMet: atMost('p99', 2_000) },
  // A worker that writes during a merge: no SQLITE_BUSY, locks of at most 100 ms (p99), at most 350 ms of added
  // latency (p99).
  busy: { text: '0', isMet: atMost('value', 0) },
  lock: { text: 'p99 ≤ 100 ms', isMet: atMost('p99', 100) },
  added: { text: '≤ 350 ms', isMet: atMost('value', 350) },
  // The first push, and a bootstrap offline: 10,000 rows/s; live 3,000 rows/s.
  firstPush: { text: '≥ 10,000 rows/s', isMet: atLeast(10_000) },
  bootstrapOffline: { text: '≥ 10,000 rows/s', isMet: atLeast(10_000) },
  bootstrapLive: { text: '≥ 3,000 rows/s', isMet: atLeast(3_000) },
  // A full audit within 10 s per 1M rows; a restore of 1 GB within 60 s; the agent within 250 MB.
  audit: { text: '≥ 100,000 rows/s (1M in 10 s)', isMet: atLeast(100_000) },
  restore: { text: '≥ 17 MB/s (1 GB in 60 s)', isMet: atLeast(1_000 / 60) },
  memory: { text: '≤ 250 MB', isMet: atMost('value', 250) },
} satisfies Record<string, Goal>;

/** Adds its goal to a result. */
export function compareWithGoal(result: Result, goal: Goal): Result {
  return { ...result, goal: goal.text, met: goal.isMet(result) };
}

/** Makes a line for what could not be measured, with the reason. */
export function notMeasured(name: string, metric: string, note: string): Result {
  return { case: name, metric, unit: '', n: 0, p50: null, p99: null, value: null, note };
}
