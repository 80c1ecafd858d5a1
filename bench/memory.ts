import { mkdirSync, mkdtempSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BulkWriter } from '../fixtures/claude-mem/bulk.ts';
import {
  RELEASE,
  cachedDatabase,
  countMerged,
  openAsWorker,
  startFleet,
  type BenchFleet,
  type BenchNode,
} from './memory/fleet.ts';
import { GOALS, compareWithGoal } from './memory/goals.ts';
import { measureLimits, withLimit, type Limits } from './memory/limits.ts';
import { measureNeighbour } from './memory/neighbour.ts';
import { growth, measureRounds, measureVisible } from './memory/rounds.ts';
import { measureRsync, measureWholeFile } from './memory/whole-file.ts';
import { single, type Result } from './results.ts';

/** The default sizes: rows of all four kinds together. */
const SIZES = [20_000, 100_000, 1_000_000];

/** How long a live bootstrap is measured, in milliseconds; its figure is a rate. */
const LIVE_MS = 60_000;

/** Rows merged into a full database while its worker writes. */
const CATCH_UP_ROWS = 5_000;

type Log = (line: string) => void;

/**
 * `npm run bench -- memory [--rows N ...]`: what a sync costs, by the size of the database, compared with its goals
 * and with the original. It uses real files, its own MinIO, and a separate process for every measured node.
 * @param sizes rows of all kinds together; the three defaults when empty
 */
export async function benchMemory(root: string, log: Log, sizes: readonly number[]): Promise<Result[]> {
  const cache = join(root, '.membridge', 'bench');
  mkdirSync(cache, { recursive: true });
  const results: Result[] = [];
  const pushes: { rows: number; push: readonly number[] }[] = [];
  for (const rows of sizes.length > 0 ? [...sizes].sort((a, b) => a - b) : SIZES) {
    const source = cachedDatabase(cache, rows, log);
    const fleet = await startFleet(mkdtempSync(join(cache, 'run-')), log);
    try {
      const measured = await measureSize(fleet, source, rows, log);
      results.push(...measured.results);
      pushes.push({ rows, push: measured.push });
    } finally {
      await fleet.close();
    }
  }
  return [...results, ...growth(pushes)];
}

async function measureSize(
  fleet: BenchFleet,
  source: string,
  rows: number,
  log: Log,
): Promise<{ results: Result[]; push: readonly number[] }> {
  const label = `${rows.toLocaleString('en')} rows`;
  const results: Result[] = [];
  const peak = async (node: BenchNode, of: string): Promise<void> => {
    const bytes = await node.running.call('peakMemory');
    results.push(compareWithGoal(single(label, `peak memory: ${of}`, 'MB', bytes / 1e6), GOALS.memory));
  };

  log(`${label}: what SQLite alone takes ...`);
  const limits = measureLimits(source, fleet.folder, RELEASE);

  log(`${label}: the first push ...`);
  const first = fleet.add('first', source);
  const pushed = await first.running.call('push');
  results.push(
    single(label, 'first push of all rows', 'ms', pushed.wallMs),
    compareWithGoal(
      withLimit(
        single(label, 'first push of all rows: rate', 'rows/s', (rows / pushed.wallMs) * 1_000),
        limits.read,
      ),
      GOALS.firstPush,
    ),
    cpuResult(label, 'first push of all rows', pushed.cpuMs),
    single(label, 'first push of all rows: bytes up', 'bytes', pushed.traffic.bytesUp),
  );
  await peak(first, 'first push of all rows');

  log(`${label}: bootstrap of an empty node, nobody else at work ...`);
  const second = fleet.add('second');
  const pulled = await second.running.call('pull', true);
  if (pulled.inserted !== rows) throw new Error(`the bootstrap brought ${pulled.inserted} rows of ${rows}`);
  results.push(
    single(label, 'bootstrap offline', 'ms', pulled.wallMs),
    compareWithGoal(
      withLimit(
        single(label, 'bootstrap offline: rate', 'rows/s', (rows / pulled.wallMs) * 1_000),
        limits.insert,
      ),
      GOALS.bootstrapOffline,
    ),
  );
  results.push(cpuResult(label, 'bootstrap offline', pulled.cpuMs));
  await peak(second, 'bootstrap');

  log(`${label}: rounds ...`);
  await first.restart();
  await second.restart();
  const rounds = await measureRounds(label, first, second);
  results.push(...rounds.results, ...(await measureVisible(label, first, second)));
  await peak(first, 'pushes of 100 rows');
  await peak(second, 'pulls of 100 rows');

  log(`${label}: a worker writes during a catch-up ...`);
  results.push(...(await catchUp(label, first, second)));

  const audit = await second.running.call('audit');
  results.push(
    compareWithGoal(
      withLimit(
        single(label, 'full audit: rate', 'rows/s', (audit.rows / audit.wallMs) * 1_000),
        limits.read,
      ),
      GOALS.audit,
    ),
  );
  results.push(cpuResult(label, 'full audit', audit.cpuMs));
  const again = await second.running.call('audit');
  results.push(
    compareWithGoal(
      withLimit(
        single(label, 'full audit by digests: rate', 'rows/s', (again.rows / again.wallMs) * 1_000),
        limits.read,
      ),
      GOALS.audit,
    ),
  );
  log(`${label}: a snapshot, and a restore from it ...`);
  results.push(...(await restore(label, second, limits)));
  await second.remove();

  log(`${label}: bootstrap of an empty node while a worker writes ...`);
  results.push(...(await liveBootstrap(label, fleet, limits)));

  await first.running.stop();
  results.push(...(await measureWholeFile(label, first.path, fleet.access, log)));
  results.push(...measureRsync(label, first.path));
  return { results, push: rounds.push };
}

/** Makes the figure of a call's processor time. On a busy machine it says more than the elapsed time. */
const cpuResult = (label: string, of: string, ms: number): Result =>
  single(label, `${of}: processor time`, 'ms', ms);

/** A node that was away for thousands of rows merges them while its worker writes. */
async function catchUp(label: string, from: BenchNode, to: BenchNode): Promise<Result[]> {
  const db = openAsWorker(from.path);
  try {
    new BulkWriter(db, { name: 'away', seed: 13, from: Date.now() }).write(CATCH_UP_ROWS);
  } finally {
    db.close();
  }
  await from.running.call('push');
  const name = `${label}, ${CATCH_UP_ROWS.toLocaleString('en')} more merged while a worker writes`;
  const { merged, results } = await measureNeighbour(name, to, () => to.running.call('pull', false));
  return [single(name, 'rate', 'rows/s', (merged.inserted / merged.wallMs) * 1_000), ...results];
}

async function restore(label: string, node: BenchNode, limits: Limits): Promise<Result[]> {
  const { wallMs } = await node.running.call('snapshot');
  const path = `${node.path}.restored`;
  const restored = await node.running.call('restore', path);
  const bytes = statSync(path).size;
  const rate = bytes / 1e6 / (restored.wallMs / 1_000);
  return [
    single(label, 'snapshot of the space', 'ms', wallMs),
    single(label, 'restore into a new file', 'ms', restored.wallMs),
    cpuResult(label, 'restore into a new file', restored.cpuMs),
    compareWithGoal(withLimit(single(label, 'restore: rate', 'MB/s', rate), limits.copy), GOALS.restore),
  ];
}

async function liveBootstrap(label: string, fleet: BenchFleet, limits: Limits): Promise<Result[]> {
  const third = fleet.add('third');
  const name = `${label}, bootstrap while a worker writes`;
  const db = openAsWorker(third.path);
  try {
    const { merged, results } = await measureNeighbour(name, third, async () => {
      const before = countMerged(db);
      const pull = await third.running.call('pullFor', LIVE_MS);
      return { ...pull, rows: countMerged(db) - before };
    });
    const rate = (merged.rows / merged.wallMs) * 1_000;
    const found = withLimit(single(name, 'rate', 'rows/s', rate, merged.rows), limits.insert);
    return [compareWithGoal(found, GOALS.bootstrapLive), ...results];
  } finally {
    db.close();
    await third.remove();
  }
}
