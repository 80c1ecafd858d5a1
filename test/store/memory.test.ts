import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { openControlPlaneStore } from '../../storage/control-plane-store.ts';
import { startPlaneProcess, type PlaneProcess } from '../support/plane-process.ts';
import { enrolStoreNode, segmentKeyOf, type StoreNode } from './node.ts';
import { serverAt } from '../../transport/server.ts';

const CID = canonicalId('shared');
const OBJECT_BYTES = 30 * 2 ** 20;
const NODES = 4;
/** How much memory V8 and the allocator keep for reuse, in MiB: less than two of the objects. */
const MAX_GROWTH_MIB = 45;

let folder: string;
let plane: PlaneProcess;
const nodes: StoreNode[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-store-memory-'));
  plane = await startPlaneProcess({ root: join(import.meta.dirname, '../..'), name: 'plane', folder });
  await plane.call('POST', '/api/membridge/spaces', { body: { name: 'shared', projects: ['*'] } });
  for (let n = 0; n < NODES; n += 1) nodes.push(await enrolStoreNode(plane, `node-${n}`));
});
afterAll(async () => {
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Returns the control plane's resident memory, in MiB. */
function residentMiB(): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${plane.pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1_024;
}

it('streams large objects of several nodes at once in flat memory', async () => {
  const bytes = randomBytes(OBJECT_BYTES);
  const move = async (rounds: number): Promise<void> => {
    await Promise.all(
      nodes.map(async (node, at) => {
        const access = { server: serverAt(plane.plane.url), agent_key: node.enrolled.agent_key };
        const store = openControlPlaneStore(access);
        const key = segmentKeyOf(CID, node.id, at + 1, bytes);
        for (let round = 0; round < rounds; round += 1) {
          await store.put(key, bytes);
          expect((await store.get(key))?.equals(bytes)).toBe(true);
        }
        store.close();
      }),
    );
  };
  await move(1);
  const before = residentMiB();
  let highest = before;
  let isDone = false;
  const watching = (async () => {
    while (!isDone) {
      highest = Math.max(highest, residentMiB());
      await sleep(20);
    }
  })();
  await move(4);
  isDone = true;
  await watching;
  expect(highest - before).toBeLessThan(MAX_GROWTH_MIB);
}, 120_000);
