import { setTimeout as sleep } from 'node:timers/promises';
import { distribution, quantile, single, type Result } from '../results.ts';
import type { BenchNode } from './fleet.ts';
import { GOALS, compareWithGoal, notMeasured } from './goals.ts';
import type { LockCalls } from './lock-process.ts';
import { startProgram } from './program.ts';
import type { WriterCalls } from './writer-process.ts';

/** How long the writer is alone, for comparison, in milliseconds. */
const ALONE_MS = 8_000;

/**
 * Measures how a merge affects a worker that writes continually. It compares the worker's latency alone and during
 * the merge, and counts writes lost to SQLITE_BUSY. It also measures from outside how long the merge held the write
 * lock.
 * @param merge runs the merge on the node
 */
export async function measureNeighbour<T>(
  label: string,
  node: BenchNode,
  merge: () => Promise<T>,
): Promise<{ merged: T; results: Result[] }> {
  const job = { path: node.path, name: `writer-${label.replaceAll(/\W+/g, '-')}` };
  const writer = startProgram<WriterCalls>('writer-process.ts', job);
  // The first answer says that it has the database open.
  await writer.call('take');
  const locks = process.platform === 'linux' ? startProgram<LockCalls>('lock-process.ts', job) : null;
  try {
    await sleep(ALONE_MS);
    const alone = await writer.call('take');
    await locks?.call('take', node.running.pid);
    const merged = await merge();
    const meanwhile = await writer.call('take');
    const holds = (await locks?.call('take', node.running.pid)) ?? [];
    const added = p99(meanwhile.latencies) - p99(alone.latencies);
    const lockResults =
      locks === null
        ? [notMeasured(label, 'write lock held by the merge', 'the kernel lists locks on Linux only')]
        : [
            compareWithGoal(distribution(label, 'write lock held by the merge', 'ms', holds), GOALS.lock),
            single(label, 'write lock held by the merge: longest', 'ms', Math.max(0, ...holds), holds.length),
          ];
    return {
      merged,
      results: [
        distribution(label, 'a write of the worker, alone', 'ms', alone.latencies),
        distribution(label, 'a write of the worker, during the merge', 'ms', meanwhile.latencies),
        single(
          label,
          'a write of the worker, during the merge: longest',
          'ms',
          Math.max(0, ...meanwhile.latencies),
          meanwhile.latencies.length,
        ),
        compareWithGoal(
          single(label, "added to the worker's write p99", 'ms', added, meanwhile.latencies.length),
          GOALS.added,
        ),
        compareWithGoal(
          single(
            label,
            'SQLITE_BUSY seen by the worker',
            'writes',
            meanwhile.busy,
            meanwhile.latencies.length,
          ),
          GOALS.busy,
        ),
        ...lockResults,
      ],
    };
  } finally {
    await writer.stop();
    await locks?.stop();
  }
}

const p99 = (samples: readonly number[]): number =>
  quantile(
    [...samples].sort((a, b) => a - b),
    0.99,
  );
