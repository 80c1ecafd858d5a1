import { afterEach, beforeEach, expect, it } from 'vitest';
import { leaseKey } from '../../contract/memory/leadership.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { openObjectStore } from '../../storage/object-store.ts';
import { CALL, newFleet, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { legacyKeys } from '../legacy/objects.ts';
import { snapshotsPrefix } from '../format/layout.ts';
import { changedStore } from '../../test/memory/changed-store.ts';

let fleet: TestFleet;
let a: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: Date.UTC(2026, 0, 5, 9) });
});
afterEach(async () => await fleet.close());

const store = () => openObjectStore(fleet.access);
const lead = (node: string | null, epoch: number): Promise<unknown> =>
  store().put(leaseKey(fleet.space.cid), Buffer.from(JSON.stringify({ primary_node_id: node, epoch })));
const snapshots = async (): Promise<string[]> =>
  (await store().list(snapshotsPrefix(fleet.space.cid))).map(({ key }) => key);

it('the primary of the leadership epoch takes a snapshot and publishes', async () => {
  await lead('a', 3);
  expect((await a.engine.snapshot(fleet.space, CALL, 3)).operations).toBeGreaterThan(0);
  const target = { access: fleet.access };
  expect((await a.engine.publishLegacy(fleet.space, target, CALL, 3)).state).toBe('published');
});

it.each([
  ['another node', 'b', 4],
  ['the same node in a later epoch', 'a', 4],
  ['nobody', null, 3],
])('a node deposed by %s is refused and leaves nothing that others see', async (_who, node, epoch) => {
  await lead(node, epoch);
  const deposed = { code: 'deposed', message: expect.stringContaining('a is no longer primary') as string };
  await expect(a.engine.snapshot(fleet.space, CALL, 3)).rejects.toMatchObject(deposed);
  await expect(a.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL, 3)).rejects.toMatchObject(
    deposed,
  );
  expect(await snapshots()).toEqual([]);
  expect(await store().get(legacyKeys(fleet.space.cid).database)).toBeNull();
});

it('a node deposed while it writes leaves no manifest', async () => {
  const real = store();
  const b = fleet.add('b', '13.25.3', {
    store: changedStore(real, {
      // Another primary is selected while the first part is being written.
      put: async (key, bytes) => {
        if (key.includes('/part-')) await lead('c', 4);
        await real.put(key, bytes);
      },
    }),
  });
  writeHistory(b.db, { name: 'beta', seed: 2, observations: 12, from: Date.UTC(2026, 0, 5, 9) });
  await lead('b', 3);
  await expect(b.engine.snapshot(fleet.space, CALL, 3)).rejects.toMatchObject({ code: 'deposed' });
  expect((await snapshots()).filter((key) => key.endsWith('manifest.json'))).toEqual([]);
});

it('no node acts as primary without a lease in the store', async () => {
  await expect(a.engine.snapshot(fleet.space, CALL, 1)).rejects.toMatchObject({ code: 'deposed' });
  expect((await a.engine.snapshot(fleet.space, CALL)).operations).toBeGreaterThan(0);
});
