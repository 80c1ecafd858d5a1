import { BulkWriter } from '../../fixtures/claude-mem/bulk.ts';
import { distribution, single, type Result } from '../results.ts';
import { openAsWorker, type BenchNode } from './fleet.ts';
import { GOALS, compareWithGoal } from './goals.ts';

/** New rows per round. The design's figure is for 100 rows. With 30 rounds, the 99th percentile is the slowest one. */
const NEW_ROWS = 100;
const ROUNDS = 30;

/** Rounds before the measured ones: first segments, certificates, caches. */
const WARM_UP = 3;

/** The results of the rounds; `push` is for the growth between sizes. */
export interface Rounds {
  readonly results: Result[];
  /** Push times, in milliseconds. */
  readonly push: readonly number[];
}

/** Measures rounds of 100 new rows on one node: push, pull on the other node, then a sync of both with nothing to do. */
export async function measureRounds(label: string, from: BenchNode, to: BenchNode): Promise<Rounds> {
  const db = openAsWorker(from.path);
  const writer = new BulkWriter(db, { name: 'new', seed: 11, from: Date.now() });
  const push: number[] = [];
  const bytes: number[] = [];
  const requests: number[] = [];
  const pull: number[] = [];
  const noop: number[] = [];
  const noopRequests: number[] = [];
  try {
    for (let round = -WARM_UP; round < ROUNDS; round += 1) {
      writer.write(NEW_ROWS);
      const pushed = await from.running.call('push');
      const pulled = await to.running.call('pull', false);
      if (pushed.rows !== NEW_ROWS || pulled.inserted !== NEW_ROWS) {
        throw new Error(
          `round ${round}: ${pushed.rows} rows pushed, ${pulled.inserted} merged, not ${NEW_ROWS}`,
        );
      }
      // Both publish a certificate at their first push, and learn of the other's at the next pull.
      if (round < 0) await to.running.call('push');
      const idlePush = await from.running.call('push');
      const idlePull = await from.running.call('pull', false);
      if (round < 0) continue;
      push.push(pushed.wallMs);
      bytes.push(pushed.traffic.bytesUp);
      requests.push(pushed.traffic.requests);
      pull.push(pulled.wallMs);
      noop.push(idlePush.wallMs + idlePull.wallMs);
      noopRequests.push(idlePush.traffic.requests + idlePull.traffic.requests);
    }
  } finally {
    db.close();
  }
  const of = `${NEW_ROWS} new rows`;
  return {
    push,
    results: [
      compareWithGoal(distribution(label, `push of ${of}: bytes up`, 'bytes', bytes), GOALS.bytesUp),
      compareWithGoal(distribution(label, `push of ${of}: requests`, 'requests', requests), GOALS.requestsUp),
      compareWithGoal(distribution(label, `push of ${of}`, 'ms', push), GOALS.push),
      compareWithGoal(distribution(label, `pull of ${of} on another node`, 'ms', pull), GOALS.pull),
      compareWithGoal(distribution(label, 'push and pull with nothing to do', 'ms', noop), GOALS.noop),
      compareWithGoal(
        distribution(label, 'push and pull with nothing to do: requests', 'requests', noopRequests),
        GOALS.noopRequests,
      ),
    ],
  };
}

/**
 * Measures one new memory at a time, from its commit on one node until the merge on the other has committed; engines
 * only.
 */
export async function measureVisible(label: string, from: BenchNode, to: BenchNode): Promise<Result[]> {
  const db = openAsWorker(from.path);
  const there = openAsWorker(to.path);
  const writer = new BulkWriter(db, { name: 'one', seed: 12, from: Date.now() });
  const find = there.prepare('SELECT count(*) FROM sdk_sessions').pluck();
  const notice: number[] = [];
  const visible: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = find.get() as number;
      writer.write(1);
      const began = performance.now();
      notice.push((await from.running.call('notice')).wallMs);
      await from.running.call('push');
      await to.running.call('pull', false);
      visible.push(performance.now() - began);
      if ((find.get() as number) !== before + 1) throw new Error('a pushed memory was not merged');
    }
  } finally {
    db.close();
    there.close();
  }
  return [
    compareWithGoal(
      distribution(
        label,
        'one memory, commit to visible on another node (engines, no workflow)',
        'ms',
        visible,
      ),
      GOALS.visible,
    ),
    distribution(label, 'noticing one new memory', 'ms', notice),
  ];
}

/** Returns the growth of a push from the smallest to the largest size, by the median. */
export function growth(sizes: readonly { rows: number; push: readonly number[] }[]): Result[] {
  const smallest = sizes[0];
  const largest = sizes.at(-1);
  if (smallest === undefined || largest === undefined || smallest === largest) return [];
  const median = (samples: readonly number[]): number => distribution('', '', '', samples).p50 ?? Number.NaN;
  const rows = (count: number): string => count.toLocaleString('en');
  const result = single(
    `${rows(smallest.rows)} to ${rows(largest.rows)} rows`,
    `push of ${NEW_ROWS} new rows: growth of p50`,
    'times',
    median(largest.push) / median(smallest.push),
    ROUNDS,
  );
  return [compareWithGoal(result, GOALS.growth)];
}
