import { afterEach, beforeEach, expect, it } from 'vitest';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const LATER = JANUARY + 3_600_000;
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3', { orphanWaitMs: 0 });
  b = fleet.add('b', '13.25.3', { orphanWaitMs: 0 });
});
afterEach(() => fleet.close());

const SESSION = { contentSessionId: 'manual-garden', memorySessionId: 'manual-garden', project: 'garden' };

function manual(node: TestNode, prompt: string, at: number): void {
  node.write.session({ ...SESSION, startedAt: at });
  node.db.prepare('UPDATE sdk_sessions SET user_prompt = ?').run(prompt);
  const row = { memorySessionId: SESSION.memorySessionId, project: 'garden', narrative: 'n' };
  node.write.observation({ ...row, title: prompt, createdAt: at });
}

const sessionsOf = (node: TestNode): unknown[] =>
  node.db.prepare('SELECT user_prompt, status, started_at_epoch FROM sdk_sessions').all();

it('a session that was seen, deleted and written again before it was sent is one memory', async () => {
  // Neither push is a node's first one, which would pull before it sends.
  for (const { engine } of [a, b]) await engine.push(fleet.space, CALL);
  manual(b, 'first', JANUARY);
  await b.engine.pull(fleet.space, false, CALL);
  b.db.exec('DELETE FROM sdk_sessions');
  manual(b, 'second', LATER);
  await b.engine.audit(CALL, { deep: true });
  manual(a, 'elsewhere', JANUARY);
  for (const { engine } of [a, b]) await engine.push(fleet.space, CALL);
  await settle(fleet.space, [a, b]);
  expect(sessionsOf(a)).toEqual(sessionsOf(b));
  expect([a.count('observations'), b.count('observations')]).toEqual([2, 2]);
});

it('a session that is sent, deleted and written again has its last content everywhere', async () => {
  manual(b, 'first', JANUARY);
  await settle(fleet.space, [a, b]);
  b.db.exec('DELETE FROM sdk_sessions');
  manual(b, 'second', LATER);
  await b.engine.audit(CALL, { deep: true });
  await settle(fleet.space, [a, b]);
  expect(sessionsOf(b)).toMatchObject([{ user_prompt: 'second', started_at_epoch: LATER }]);
  expect(sessionsOf(a)).toEqual(sessionsOf(b));
  expect([a.count('observations'), b.count('observations')]).toEqual([1, 1]);
});

it('a session that every machine deleted is restored when a row is written into it', async () => {
  manual(a, 'shared', JANUARY);
  await settle(fleet.space, [a, b]);
  const row = { memorySessionId: SESSION.memorySessionId, project: 'garden', narrative: 'n' };
  a.write.observation({ ...row, title: 'unseen by b', createdAt: LATER });
  await a.engine.push(fleet.space, CALL);
  b.db.exec('DELETE FROM sdk_sessions');
  await b.engine.push(fleet.space, CALL);
  a.db.exec('DELETE FROM sdk_sessions');
  // b makes up a session for a row, before it has seen that session deleted; then a user continues in it.
  await b.engine.pull(fleet.space, false, CALL);
  await b.engine.pull(fleet.space, false, CALL);
  const { memory_session_id: memory } = b.db.prepare('SELECT memory_session_id FROM sdk_sessions').get() as {
    memory_session_id: string;
  };
  b.write.observation({ ...row, memorySessionId: memory, title: 'goes on', createdAt: LATER + 60_000 });
  await settle(fleet.space, [a, b]);
  const c = fleet.add('c', '13.25.3', { orphanWaitMs: 0 });
  await settle(fleet.space, [a, b, c]);
  expect(sessionsOf(b)).toHaveLength(1);
  expect([sessionsOf(a), sessionsOf(c)]).toEqual([sessionsOf(b), sessionsOf(b)]);
  expect([a, b, c].map((node) => node.count('observations'))).toEqual([1, 1, 1]);
});

it('a deletion during a full resend applies everywhere', async () => {
  manual(a, 'first', JANUARY);
  await settle(fleet.space, [a, b]);
  for (const { key } of await a.options.store.list(`projects/${fleet.space.cid}/memory/v1/seg/a/`))
    await a.options.store.remove(key);
  // a finds that the store lost its segments; the next push sends everything again.
  await a.engine.pull(fleet.space, true, CALL);
  a.db.exec('DELETE FROM observations');
  await settle(fleet.space, [a, b]);
  expect([a.count('observations'), b.count('observations')]).toEqual([0, 0]);
});

it('a change that arrives during a full resend does not count as sending the whole memory', async () => {
  manual(a, 'first', JANUARY);
  await settle(fleet.space, [a, b]);
  b.db.exec(`UPDATE sdk_sessions SET custom_title = 'later'`);
  await b.engine.push(fleet.space, CALL);
  for (const { key } of await a.options.store.list(`projects/${fleet.space.cid}/memory/v1/seg/a/`))
    await a.options.store.remove(key);
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  const c = fleet.add('c', '13.25.3', { orphanWaitMs: 0 });
  await c.engine.pull(fleet.space, true, CALL);
  await settle(fleet.space, [a, b, c]);
  expect(sessionsOf(c)).toEqual(sessionsOf(a));
  expect(c.count('observations')).toBe(1);
});

it('a node that lost its ledger restores the segments that the store lost', async () => {
  manual(a, 'first', JANUARY);
  await a.engine.push(fleet.space, CALL);
  await a.engine.close();
  const again = fleet.reopen(a, { ledgerPath: `${a.options.ledgerPath}-2` });
  try {
    await again.pull(fleet.space, true, CALL);
    for (const { key } of await b.options.store.list(`projects/${fleet.space.cid}/memory/v1/seg/a/`))
      await b.options.store.remove(key);
    await again.pull(fleet.space, true, CALL);
    await again.push(fleet.space, CALL);
  } finally {
    await again.close();
  }
  await b.engine.pull(fleet.space, true, CALL);
  expect(b.count('observations')).toBe(1);
});

it('a deletion that a memory has outlived does not count as sending the memory', async () => {
  manual(b, 'first', JANUARY);
  await settle(fleet.space, [a, b]);
  const lose = async (node: string): Promise<void> => {
    const { store } = b.options;
    const prefix = `projects/${fleet.space.cid}/memory/v1/seg/${node}/`;
    for (const { key } of await store.list(prefix)) await store.remove(key);
  };
  await lose('b');
  b.db.exec('DELETE FROM sdk_sessions');
  await b.engine.audit(CALL, { deep: true });
  await b.engine.pull(fleet.space, true, CALL);
  await b.engine.push(fleet.space, CALL);
  const { memory_session_id: memory, project } = a.db
    .prepare('SELECT memory_session_id, project FROM sdk_sessions')
    .get() as { memory_session_id: string; project: string };
  a.write.observation({
    memorySessionId: memory,
    project,
    title: 'later',
    narrative: 'text',
    createdAt: JANUARY + 9,
  });
  // A row keeps the session alive; then the store loses the segment that said so.
  await settle(fleet.space, [a, b]);
  await lose('a');
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  const c = fleet.add('c', '13.25.3', { orphanWaitMs: 0 });
  await settle(fleet.space, [c, a]);
  expect(sessionsOf(c)).toEqual(sessionsOf(a));
  expect(c.count('observations')).toBe(1);
});
