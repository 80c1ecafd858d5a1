import { readFileSync } from 'node:fs';
import { BulkWriter } from '../../fixtures/claude-mem/bulk.ts';
import { openAsWorker } from '../memory/fleet.ts';
import { distribution, single, type Result } from '../results.ts';
import type { Running } from '../running.ts';
import { goalOf, type Ways } from './goals.ts';
import type { EnrolledNode, EnrolledNodes } from './nodes.ts';

const WAYS = ['direct', 'through'] as const;
const NEW_ROWS = 100;
const ROUNDS = 30;
/** Rounds before the measured ones: first segments, certificates, caches. */
const WARM_UP = 3;
const BOOTSTRAPS = 5;
/** Nodes that start from nothing at the same time. */
const CROWD = 20;
/** Pause between two looks at the memory of the control plane, in milliseconds. */
const LOOK_MS = 100;

/** Measures rounds of new rows between two nodes: each pushes its own way what the other one pulls its own way. */
export async function measureStoreRounds(nodes: Ways<EnrolledNode>): Promise<Result[]> {
  const push: Ways<number[]> = { direct: [], through: [] };
  const pull: Ways<number[]> = { direct: [], through: [] };
  const open = WAYS.map((way, at) => {
    const db = openAsWorker(nodes[way].path);
    return { way, db, writer: new BulkWriter(db, { name: way, seed: 20 + at, from: Date.now() }) };
  });
  try {
    for (let round = -WARM_UP; round < ROUNDS; round += 1) {
      for (const { way, writer } of open) {
        const other = way === 'direct' ? 'through' : 'direct';
        writer.write(NEW_ROWS);
        const pushed = await nodes[way].running.call('push');
        const pulled = await nodes[other].running.call('pull', false);
        if (pushed.rows !== NEW_ROWS || pulled.inserted !== NEW_ROWS) {
          throw new Error(
            `round ${round}: ${pushed.rows} rows pushed, ${pulled.inserted} merged, not ${NEW_ROWS}`,
          );
        }
        if (round < 0) continue;
        push[way].push(pushed.wallMs);
        pull[other].push(pulled.wallMs);
      }
    }
  } finally {
    for (const { db } of open) db.close();
  }
  return [
    ...compare(`push of ${NEW_ROWS} rows`, push, 1.25),
    ...compare(`pull of ${NEW_ROWS} rows`, pull, null),
  ];
}

/** Measures how fast an empty node gets everything, alternately each way. */
export async function measureStoreBootstraps(
  add: (way: (typeof WAYS)[number], n: number) => Promise<EnrolledNode>,
): Promise<Result[]> {
  const rates: Ways<number[]> = { direct: [], through: [] };
  for (let n = 0; n < BOOTSTRAPS; n += 1) {
    for (const way of WAYS) {
      const node = await add(way, n);
      const { wallMs, traffic } = await node.running.call('pull', true);
      rates[way].push(traffic.bytesDown / 1e6 / (wallMs / 1_000));
      await node.running.stop();
    }
  }
  const of = (way: (typeof WAYS)[number]): Result =>
    distribution(`bootstrap, ${describeWay(way)}`, 'rate', 'MB/s', rates[way]);
  const [direct, through] = [of('direct'), of('through')];
  const times = (through.p50 ?? 0) / (direct.p50 ?? 1);
  return [
    direct,
    through,
    goalOf(
      single('bootstrap', 'rate through the control plane against direct', 'times', times),
      '≥ 0.9',
      times >= 0.9,
    ),
  ];
}

/** Measures nodes that all start from nothing at the same time, through the control plane. */
export async function measureCrowd({ api }: Running, nodes: EnrolledNodes): Promise<Result[]> {
  const crowd: EnrolledNode[] = [];
  for (let n = 0; n < CROWD; n += 1) crowd.push(await nodes.add(`crowd-${n}`, 'through'));
  const before = residentMb(api.pid);
  let highest = before;
  const looking = setInterval(() => (highest = Math.max(highest, residentMb(api.pid))), LOOK_MS);
  const began = performance.now();
  const pulled = await Promise.all(crowd.map(({ running }) => running.call('pull', true)));
  const ms = performance.now() - began;
  clearInterval(looking);
  const bytes = pulled.reduce((sum, { traffic }) => sum + traffic.bytesDown, 0);
  const label = `${CROWD} nodes start from nothing at the same time`;
  return [
    single(label, 'until all have everything', 'ms', ms),
    single(label, 'rate of all', 'MB/s', bytes / 1e6 / (ms / 1_000)),
    single(label, 'resident memory of the control plane before', 'MB', before),
    goalOf(single(label, 'growth of it, at most', 'MB', highest - before), '≤ 20', highest - before <= 20),
  ];
}

const describeWay = (way: keyof Ways<unknown>): string =>
  way === 'direct' ? 'direct' : 'through the control plane';

function compare(name: string, times: Ways<readonly number[]>, most: number | null): Result[] {
  const [direct, through] = WAYS.map((way) =>
    distribution(`${name}, ${describeWay(way)}`, 'duration', 'ms', times[way]),
  ) as [Result, Result];
  const ratio = single(
    name,
    'through the control plane against direct, at the median',
    'times',
    (through.p50 ?? 0) / (direct.p50 ?? 1),
  );
  return [direct, through, most === null ? ratio : goalOf(ratio, `≤ ${most}`, (ratio.value ?? 0) <= most)];
}

/** Returns the resident memory of a process, in MB. Linux only. */
function residentMb(pid: number): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round((Number(kib) * 1_024) / 1e6);
}
