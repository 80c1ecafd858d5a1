import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import { removeStackData } from '../stack/stack.ts';
import { measureActivities } from './gateway/activities.ts';
import { EnrolledNodes } from './gateway/nodes.ts';
import { measureCrowd, measureStoreBootstraps, measureStoreRounds } from './gateway/store.ts';
import { cachedDatabase } from './memory/fleet.ts';
import type { Result } from './results.ts';
import { start } from './running.ts';

/** The rows that an empty node gets. */
const ROWS = 20_000;

/**
 * `npm run bench -- gateway`: what it costs that agents reach Temporal and the object store through the control
 * plane. Each figure is measured both ways in one run, alternately.
 */
export async function benchGateway(root: string, log: (line: string) => void): Promise<Result[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-bench-'));
  const undo: (() => unknown)[] = [() => removeStackData(dataDir)];
  const results: Result[] = [];
  try {
    const source = cachedDatabase(join(root, '.membridge', 'bench'), ROWS, log);
    const running = await start(root, dataDir, log);
    undo.push(() => running.stop());
    const { canonical_id: cid, name } = await running.control.createSpace('bench');
    const space: SpaceConfig = { cid, projectId: name, projects: ['*'] };
    const nodes = new EnrolledNodes(running, join(dataDir, 'nodes'), space);
    undo.push(() => nodes.stop());

    log('the first push of everything ...');
    const direct = await nodes.add('direct', 'direct', source);
    await direct.running.call('push');
    const through = await nodes.add('through', 'through');
    await through.running.call('pull', true);

    log('activities ...');
    results.push(...(await measureActivities(running, through)));
    log('pushes and pulls ...');
    results.push(...(await measureStoreRounds({ direct, through })));
    log('bootstraps ...');
    results.push(...(await measureStoreBootstraps((way, n) => nodes.add(`${way}-${n}`, way))));
    log('many bootstraps at the same time ...');
    results.push(...(await measureCrowd(running, nodes)));
    return results;
  } finally {
    for (const each of undo.toReversed()) await each();
  }
}
