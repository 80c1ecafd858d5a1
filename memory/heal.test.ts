import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { CALL, newFleet, type TestFleet, type TestNode } from '../test/nodes.ts';
import { segmentPrefix } from './layout.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const DAY_MS = 24 * 3_600_000;
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
let c: TestNode;
let ahead = 0;
beforeEach(async () => {
  ahead = 0;
  const now = (): number => Date.now() + ahead;
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3', { now });
  b = fleet.add('b', '13.25.3', { now });
  c = fleet.add('c', '12.7.5', { now });
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await c.engine.push(fleet.space, CALL);
  await c.engine.pull(fleet.space, true, CALL);
  await a.engine.pull(fleet.space, true, CALL);
});
afterEach(() => fleet.close());

/** Flips a bit of the last segment of a node, as a failing disk does. */
async function rot(node: TestNode): Promise<void> {
  const last = (await node.options.store.list(segmentPrefix(fleet.space.cid, node.name))).at(-1);
  const bytes = (await node.options.store.get(last?.key ?? '')) ?? Buffer.alloc(0);
  const at = bytes.length - 9;
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  await node.options.store.put(last?.key ?? '', bytes);
}

it('a segment that rotted in the store is healed by the node that wrote it', async () => {
  await rot(a);
  const first = await b.engine.pull(fleet.space, true, CALL);
  expect(first.problems).toHaveLength(1);
  expect(b.count('observations')).toBe(0);
  await a.engine.pull(fleet.space, true, CALL);
  expect((await a.engine.push(fleet.space, CALL)).rows).toBeGreaterThan(24);
  await b.engine.pull(fleet.space, true, CALL);
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
  expect(b.hash()).toBe(a.hash());
  // Nobody answers twice.
  await a.engine.pull(fleet.space, true, CALL);
  expect((await a.engine.push(fleet.space, CALL)).rows).toBe(0);
});

it('or by another that has its memories, while that one is away', async () => {
  await rot(a);
  ahead = 3 * DAY_MS;
  await b.engine.pull(fleet.space, true, CALL);
  await c.engine.pull(fleet.space, true, CALL);
  expect((await c.engine.push(fleet.space, CALL)).rows).toBeGreaterThan(24);
  await b.engine.pull(fleet.space, true, CALL);
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
  expect(b.hash()).toBe(c.hash());
});

it('what a node healed is healed for the node itself, too', async () => {
  writeHistory(a.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await rot(a);
  await b.engine.pull(fleet.space, true, CALL);
  await a.engine.close();
  // It lost its ledger, and reads its own segments back.
  const again = fleet.reopen(a, { ledgerPath: `${a.options.ledgerPath}-2` });
  try {
    expect((await again.pull(fleet.space, true, CALL)).problems).toHaveLength(1);
    await again.push(fleet.space, CALL);
    expect((await again.pull(fleet.space, true, CALL)).problems).toEqual([]);
  } finally {
    await again.close();
  }
  await b.engine.pull(fleet.space, true, CALL);
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
});
