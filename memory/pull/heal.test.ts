import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { canonicalJson } from '../format/canonical-json.ts';
import { ackKey, parseSegmentKey, segmentName, segmentPrefix } from '../format/layout.ts';
import { signBytes } from '../format/signing.ts';

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

/** Flips a bit of a node's last segment, as a failing disk does. */
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
  // The report is answered only once.
  await a.engine.pull(fleet.space, true, CALL);
  expect((await a.engine.push(fleet.space, CALL)).rows).toBe(0);
});

it('a rotted segment is healed by another node that has its memories while the writer is away', async () => {
  await rot(a);
  ahead = 3 * DAY_MS;
  await b.engine.pull(fleet.space, true, CALL);
  await c.engine.pull(fleet.space, true, CALL);
  expect((await c.engine.push(fleet.space, CALL)).rows).toBeGreaterThan(24);
  await b.engine.pull(fleet.space, true, CALL);
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
  expect(b.hash()).toBe(c.hash());
});

it('a rotted segment is healed with its deletions and its changes of others’ memories', async () => {
  b.write.session({ contentSessionId: 'own', memorySessionId: 'own', project: 'p', startedAt: JANUARY });
  await settle(fleet.space, [a, b, c]);
  const courses = (node: TestNode): unknown =>
    node.db.prepare('SELECT status, completed_at_epoch FROM sdk_sessions ORDER BY content_session_id').all();
  b.db.exec(`DELETE FROM observations WHERE id = 3`);
  b.db.exec(`UPDATE observations SET project = 'moved' WHERE id = 4`);
  // A session's progress has no version: the ledger does not say who advanced it.
  b.db.prepare(`UPDATE sdk_sessions SET completed_at_epoch = ?`).run(JANUARY + 9 * DAY_MS);
  await b.engine.audit(CALL, { deep: true });
  await b.engine.push(fleet.space, CALL);
  await a.engine.pull(fleet.space, true, CALL);
  await rot(b);
  expect((await c.engine.pull(fleet.space, true, CALL)).problems).toHaveLength(1);
  await b.engine.pull(fleet.space, true, CALL);
  await b.engine.push(fleet.space, CALL);
  await c.engine.pull(fleet.space, true, CALL);
  expect((await c.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
  expect(c.hash()).toBe(b.hash());
  expect(courses(c)).toEqual(courses(b));
});

it('a made-up report, or one of an untrusted node, makes no node send anything again', async () => {
  const claim = async (segment: string): Promise<void> => {
    const body = canonicalJson({
      format: 'membridge-ack/1',
      space: fleet.space.cid,
      node: 'b',
      key_id: b.options.identity.key.keyId,
      at: Date.now(),
      applied: {},
      damaged: [segment],
    });
    const signature = signBytes(b.options.identity.key, Buffer.from(body));
    await b.options.store.put(ackKey(fleet.space.cid, 'b'), Buffer.from(`${body}\n${signature}\n`));
  };
  await b.engine.pull(fleet.space, true, CALL);
  await claim(`a/0fffffffffff00000000/7-${'0'.repeat(32)}`);
  await a.engine.pull(fleet.space, true, CALL);
  expect((await a.engine.push(fleet.space, CALL)).rows).toBe(0);

  const [object] = await a.options.store.list(segmentPrefix(fleet.space.cid, 'a'));
  const name = parseSegmentKey(fleet.space.cid, object?.key ?? '');
  await claim(name === null ? '' : segmentName(name));
  const without = { ...fleet.space, trust: { b: 'ignore' as const } };
  await a.engine.pull(without, true, CALL);
  expect((await a.engine.push(without, CALL)).rows).toBe(0);
  await a.engine.pull(fleet.space, true, CALL);
  expect((await a.engine.push(fleet.space, CALL)).rows).toBeGreaterThan(24);
});

it('a recreated ledger forgets what it was about to heal, and reports nothing as healed', async () => {
  const last = (await a.options.store.list(segmentPrefix(fleet.space.cid, 'a'))).at(-1)?.key ?? '';
  const sound = (await a.options.store.get(last)) ?? Buffer.alloc(0);
  await rot(a);
  a.write.session({ contentSessionId: 'later', memorySessionId: 'later', project: 'p', startedAt: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  await a.options.store.put(last, sound);
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.resolveDeletes('restore', CALL);
  a.write.session({ contentSessionId: 'new', memorySessionId: 'new', project: 'p', startedAt: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, false, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  expect(b.hash()).toBe(a.hash());
});

it('a segment that a node healed counts as healed for that node too', async () => {
  writeHistory(a.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await rot(a);
  await b.engine.pull(fleet.space, true, CALL);
  await a.engine.close();
  // The node lost its ledger, and reads its own segments back.
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

it('a damaged answer is healed together with what it healed', async () => {
  await rot(a);
  await b.engine.pull(fleet.space, true, CALL);
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  // The answer rots before any node has read it.
  await rot(a);
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toHaveLength(1);
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
  expect(b.hash()).toBe(a.hash());
});

it('a lost answer is sent again', async () => {
  await rot(a);
  await b.engine.pull(fleet.space, true, CALL);
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  const { store } = a.options;
  const answer = (await store.list(segmentPrefix(fleet.space.cid, 'a'))).at(-1);
  await store.remove(answer?.key ?? '');
  for (let round = 0; round < 3; round += 1) {
    for (const { engine } of [a, b]) {
      await engine.pull(fleet.space, true, CALL);
      await engine.push(fleet.space, CALL);
    }
  }
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
  expect(b.hash()).toBe(a.hash());
});

it('a node heals its own segment whose predecessor the store lost', async () => {
  const space = { ...fleet.space, encrypted: true };
  a.write.session({
    contentSessionId: 'later',
    memorySessionId: 'later',
    project: 'garden',
    startedAt: JANUARY,
  });
  await a.engine.push(space, CALL);
  const late = fleet.add('late', '13.25.3');
  // The segment was sealed before this node had a key.
  expect((await late.engine.pull(space, true, CALL)).problems).toHaveLength(1);
  const { store } = a.options;
  const [first] = await store.list(segmentPrefix(fleet.space.cid, 'a'));
  await store.remove(first?.key ?? '');
  for (let round = 0; round < 3; round += 1) {
    for (const { engine } of [a, late]) {
      await engine.pull(space, true, CALL);
      await engine.push(space, CALL);
    }
  }
  expect((await late.engine.pull(space, true, CALL)).problems).toEqual([]);
  expect(late.hash()).toBe(a.hash());
});
