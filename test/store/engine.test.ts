import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { segmentsPrefix } from '../../memory/format/layout.ts';
import { openControlPlaneStore } from '../../storage/control-plane-store.ts';
import { changedStore } from '../memory/changed-store.ts';
import { openCutLine, type CutLine } from '../support/cut-line.ts';
import { CALL, settle, type TestFleet } from '../memory/nodes.ts';
import { startStoreFleets, type StoreFleets } from './fleet.ts';
import { serverAt } from '../../transport/server.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const DAY = 24 * 3_600_000;

let fleets: StoreFleets;
let fleet: TestFleet;
let line: CutLine;
beforeAll(async () => {
  fleets = await startStoreFleets(['a', 'b', 'c']);
  line = await openCutLine(new URL(fleets.test.plane.url).host);
});
afterAll(async () => {
  line.stop();
  await fleets.stop();
});
beforeEach(async () => {
  fleet = await fleets.newFleet();
});
afterEach(() => fleet.close());

it('collects segments that a snapshot holds, and starts a new machine from the snapshot', async () => {
  let time = Date.now();
  const now = (): number => time;
  const [a, b] = [fleet.add('a', '13.25.3', { now }), fleet.add('b', '13.25.3', { now })];
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
  writeHistory(b.db, { name: 'beta', seed: 2, observations: 60, from: JANUARY });
  await settle(fleet.space, [a, b]);
  await a.engine.snapshot(fleet.space, CALL);
  for (let passed = 0; passed < 40; passed += 10) {
    time += 10 * DAY;
    for (const node of [a, b]) await node.engine.pull(fleet.space, true, CALL);
  }
  let collected = 0;
  for (const node of [a, b]) collected += (await node.engine.collect(fleet.space, CALL)).segments;
  expect(collected).toBe(2);
  expect(await fleets.test.plane.deps.store.list(segmentsPrefix(fleet.space.cid))).toEqual([]);
  const c = fleet.add('c', '12.7.5', { now });
  await settle(fleet.space, [a, b, c]);
  expect(c.hash()).toBe(a.hash());
});

it('sends everything once, whichever request of a push breaks', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  const agentKey = fleets.agentKey('a');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 240, from: JANUARY });
  await a.engine.close();
  let failures = 0;
  for (let breaksAt = 1; breaksAt <= 6; breaksAt += 1) {
    let requests = 0;
    const cut = (): void => {
      requests += 1;
      if (requests === breaksAt) setImmediate(() => line.cut());
    };
    const real = openControlPlaneStore({ server: serverAt(`http://${line.address}`), agent_key: agentKey });
    const store = changedStore(real, {
      put: async (key, bytes) => {
        cut();
        await real.put(key, bytes);
      },
      get: async (key) => {
        cut();
        return await real.get(key);
      },
    });
    const engine = fleet.reopen(a, { store });
    await engine.push(fleet.space, CALL).catch((error: unknown) => {
      failures += 1;
      expect(error).toMatchObject({ code: 'store_unavailable' });
    });
    await engine.close();
    line.mend();
  }
  const engine = fleet.reopen(a, {});
  await engine.push(fleet.space, CALL);
  await engine.close();
  expect(failures).toBeGreaterThan(0);
  expect((await b.engine.pull(fleet.space, false, CALL)).problems).toEqual([]);
  expect(b.hash()).toBe(a.hash());
});
