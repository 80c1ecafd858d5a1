import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { forgeSegment } from '../../test/git/forge.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';
import { memoryKey } from '../format/keys.ts';
import { SHAPES } from '../format/kinds.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
let c: TestNode;
let clock = JANUARY;
beforeEach(async () => {
  fleet = await newFleet();
  clock = Date.UTC(2026, 5, 1);
  const now = (): number => (clock += 1_000);
  a = fleet.add('a', '13.25.3', { now });
  b = fleet.add('b', '13.25.3', { now });
  c = fleet.add('c', '12.7.5', { now });
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  writeHistory(b.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY + 1e9 });
  await settle(fleet.space, [a, b, c]);
});
afterEach(() => fleet.close());

const projects = (node: TestNode): unknown =>
  node.db.prepare(`SELECT project FROM observations ORDER BY created_at_epoch, title`).pluck().all();

it('everything that a node wrote since a time is taken back everywhere, and can be restored', async () => {
  const before = { hash: a.hash(), projects: projects(a) };
  const since = (clock += 60_000);
  writeHistory(b.db, { name: 'poison', seed: 3, observations: 24, from: JANUARY + 2e9 });
  b.db.exec(`UPDATE observations SET project = 'poisoned' WHERE id <= 5`);
  await b.engine.audit(CALL, { deep: true });
  await settle(fleet.space, [a, b, c]);
  const poisoned = a.hash();
  expect(a.count('observations')).toBe(72);
  expect(projects(c)).toContain('poisoned');

  const tried = await a.engine.revoke(fleet.space, { node: 'b', since, dryRun: true }, CALL);
  expect(tried).toMatchObject({ id: null, memories: 52, changes: 5, kept: 0 });
  expect(a.hash()).toBe(poisoned);
  const done = await a.engine.revoke(fleet.space, { node: 'b', since, dryRun: false }, CALL);
  expect(done).toMatchObject({ memories: 52, changes: 5, kept: 0 });
  await settle(fleet.space, [a, b, c]);
  for (const node of [a, b, c]) {
    expect(node.hash(), node.name).toBe(before.hash);
    expect(projects(node)).toEqual(before.projects);
    expectIntact(node.path, node.name);
  }

  await a.engine.undoRevocation(fleet.space, done.id ?? '', CALL);
  await settle(fleet.space, [a, b, c]);
  for (const node of [a, b, c]) expect(node.hash(), node.name).toBe(poisoned);
  await expect(a.engine.undoRevocation(fleet.space, done.id ?? '', CALL)).rejects.toMatchObject({
    code: 'conflict',
  });
  expect(await a.engine.revocations()).toMatchObject([{ node: 'b', undone: true }]);
});

it('a session that other nodes wrote into stays', async () => {
  const since = (clock += 60_000);
  b.write.session({
    contentSessionId: 'shared',
    memorySessionId: 'm',
    project: 'p',
    userPrompt: 'x',
    startedAt: JANUARY,
  });
  await settle(fleet.space, [a, b, c]);
  const memory = a.db
    .prepare(`SELECT memory_session_id FROM sdk_sessions WHERE content_session_id = 'shared'`)
    .pluck()
    .get();
  a.write.observation({
    memorySessionId: String(memory),
    project: 'p',
    title: 'Mine',
    narrative: 'n',
    createdAt: JANUARY,
  });
  await settle(fleet.space, [a, b, c]);
  expect(await a.engine.revoke(fleet.space, { node: 'b', since, dryRun: false }, CALL)).toMatchObject({
    kept: 1,
  });
  await settle(fleet.space, [a, b, c]);
  expect(b.db.prepare(`SELECT count(*) FROM observations WHERE title = 'Mine'`).pluck().get()).toBe(1);
});

describe('revoking a compromised node', () => {
  const forged = (title: string, version: unknown): object => {
    const set = { created_at_epoch: JANUARY + 7, type: 'discovery', title };
    const key = memoryKey('observation', set, null).toString('hex');
    const session = a.db.prepare('SELECT content_session_id FROM sdk_sessions').pluck().get();
    const of = { platform: 'claude', session };
    return { kind: 'observation', key, ver: version, set: { ...set, project: 'p', created_at: 'x' }, of };
  };
  /**
   * Builds an operation with which the node passes another node's memory off as its own, with another
   * project.
   */
  const usurped = (node: TestNode, id: number, version: unknown): object => {
    const row = node.db.prepare('SELECT * FROM observations WHERE id = ?').get(id) as Record<
      string,
      string | number | null
    >;
    const told = SHAPES.observation.columns.filter((column) => (row[column] ?? null) !== null);
    const set = Object.fromEntries(told.map((column) => [column, row[column] ?? null]));
    const key = memoryKey('observation', set, null).toString('hex');
    return { kind: 'observation', key, ver: version, set: { ...set, project: 'poisoned' } };
  };
  const titles = (node: TestNode): unknown[] =>
    node.db.prepare('SELECT title FROM observations').pluck().all();

  it('leaves others’ memories unchanged, even if the node sent them as its own', async () => {
    const before = { hash: a.hash(), projects: projects(a) };
    const since = (clock += 60_000);
    await forgeSegment(b, fleet.space.cid, [usurped(a, 1, [9, clock * 1_024, 'b'])]);
    for (const node of [a, c]) await node.engine.pull(fleet.space, true, CALL);
    expect(projects(c)).toContain('poisoned');
    const tried = await c.engine.revoke(fleet.space, { node: 'b', since, dryRun: true }, CALL);
    expect(tried).toMatchObject({ memories: 0, changes: 1, kept: 0 });
    const done = await c.engine.revoke(fleet.space, { node: 'b', since, dryRun: false }, CALL);
    expect(done).toMatchObject({ memories: 0, changes: 1, kept: 0 });
    await settle(fleet.space, [a, b, c]);
    for (const node of [a, b, c]) {
      expect(node.hash(), node.name).toBe(before.hash);
      expect(projects(node)).toEqual(before.projects);
      expectIntact(node.path, node.name);
    }
    // They no longer bear that node's name, so a node that does not trust it gets all memories.
    await c.engine.snapshot(fleet.space, CALL);
    const d = fleet.add('d', '13.25.3');
    await d.engine.pull({ ...fleet.space, trust: { b: 'ignore' } }, true, CALL);
    expect(d.db.prepare('SELECT count(*) FROM observations WHERE title = ?').pluck().get(titles(a)[0])).toBe(
      1,
    );

    await c.engine.undoRevocation(fleet.space, done.id ?? '', CALL);
    await settle(fleet.space, [a, b, c]);
    for (const node of [a, b, c]) expect(projects(node), node.name).toContain('poisoned');
  });

  it('removes what the node sent in another’s name or with a clock that was put back', async () => {
    const since = (clock += 60_000);
    await forgeSegment(b, fleet.space.cid, [
      forged('in the name of a', [1, clock * 1_024, 'a']),
      forged('in no one’s name', [1, clock * 1_024, 'ghost']),
      forged('long ago', [1, JANUARY * 1_024, 'b']),
    ]);
    for (const node of [a, c]) await node.engine.pull(fleet.space, true, CALL);
    expect(a.count('observations')).toBe(51);
    expect(await a.engine.revoke(fleet.space, { node: 'b', since, dryRun: false }, CALL)).toMatchObject({
      memories: 3,
      changes: 0,
      kept: 0,
    });
    await a.engine.push(fleet.space, CALL);
    await c.engine.pull(fleet.space, true, CALL);
    for (const node of [a, c]) expect(node.count('observations')).toBe(48);
  });

  it('uses the row’s origin when the ledger was lost', async () => {
    const since = (clock += 60_000);
    await forgeSegment(b, fleet.space.cid, [forged('evil', [1, clock * 1_024, 'b'])]);
    await a.engine.pull(fleet.space, true, CALL);
    await a.engine.close();
    const again = fleet.reopen(a, { ledgerPath: `${a.options.ledgerPath}-2` });
    await again.push(fleet.space, CALL);
    await again.revoke(fleet.space, { node: 'b', since, dryRun: false }, CALL);
    await again.close();
    expect(titles(a)).not.toContain('evil');
    expect(a.count('observations')).toBe(48);
  });
});

it('reports the node, the segment and the time as the blame', async () => {
  const id = a.db
    .prepare(
      `SELECT o.id FROM observations o JOIN sdk_sessions s USING (memory_session_id) WHERE s.content_session_id LIKE 'beta%' LIMIT 1`,
    )
    .pluck()
    .get() as number;
  const [blame] = await a.engine.blame('observation', id);
  expect(blame).toMatchObject({ writer: { node: 'b' }, segment: { node: 'b', seq: 1 }, changed: [] });
  const [own] = await a.engine.blame('observation', 1);
  expect(own).toMatchObject({ writer: { node: 'a' }, segment: null });
});
