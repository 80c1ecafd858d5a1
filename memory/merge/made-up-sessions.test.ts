import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
let c: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  [a, b, c] = ['a', 'b', 'c'].map((name) => fleet.add(name, '13.25.3', { orphanWaitMs: 0 })) as [
    TestNode,
    TestNode,
    TestNode,
  ];
});
afterEach(() => fleet.close());

function begin(node: TestNode, project: string): void {
  node.write.session({ contentSessionId: 's', memorySessionId: 'm', project, startedAt: JANUARY });
  node.db.prepare(`UPDATE sdk_sessions SET user_prompt = 'begin', status = 'completed'`).run();
}

function observe(node: TestNode, title: string): void {
  const row = { memorySessionId: 'm', project: 'garden', title, narrative: 'text', createdAt: JANUARY };
  node.write.observation(row);
}

const rename = (node: TestNode, title: string): void => {
  node.db.prepare('UPDATE sdk_sessions SET custom_title = ?').run(title);
};
const move = (node: TestNode, project: string): void => {
  node.db.prepare('UPDATE sdk_sessions SET project = ?').run(project);
};
const sessions = (node: TestNode): unknown[] =>
  node.db.prepare('SELECT project, user_prompt, custom_title, status FROM sdk_sessions').all();

/**
 * Gives b a session that it deleted and that is made up again for a row of a peer that had not seen the
 * deletion.
 */
async function deleteOnB(peer = a): Promise<void> {
  begin(peer, 'garden');
  observe(peer, 'first');
  await settle(fleet.space, [peer, b, c]);
  observe(peer, 'unseen by b');
  await peer.engine.push(fleet.space, CALL);
  b.db.exec('DELETE FROM sdk_sessions');
  await b.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, false, CALL);
  expect(sessions(b)).toMatchObject([{ user_prompt: null }]);
}

describe('a deleted session that is made up again for a peer’s row', () => {
  it('is live everywhere after an edit', async () => {
    // The deletion waits there for 10 minutes, because the session holds a row that nobody deleted.
    const patient = fleet.add('patient', '13.25.3');
    await deleteOnB(patient);
    rename(b, 'renamed');
    await b.engine.push(fleet.space, CALL);
    await settle(fleet.space, [patient, b, c]);
    expect(sessions(b)).toMatchObject([{ custom_title: 'renamed' }]);
    expect([sessions(patient), sessions(c)]).toEqual([sessions(b), sessions(b)]);
  });

  it('keeps an edit that overtakes a peer’s resend of the session', async () => {
    await deleteOnB();
    // Two pulls: first the deletion waits, then the remaining row keeps the session alive.
    for (let pull = 0; pull < 2; pull += 1) await a.engine.pull(fleet.space, false, CALL);
    await a.engine.push(fleet.space, CALL);
    rename(b, 'renamed');
    await b.engine.pull(fleet.space, false, CALL);
    await settle(fleet.space, [a, b, c]);
    expect(sessions(b)).toMatchObject([{ custom_title: 'renamed' }]);
    expect([sessions(a), sessions(c)]).toEqual([sessions(b), sessions(b)]);
  });

  it('takes over what a peer wrote into it before seeing the deletion, once it is sent again', async () => {
    await deleteOnB();
    for (let pull = 0; pull < 2; pull += 1) await a.engine.pull(fleet.space, false, CALL);
    // c writes more often, so its counter is greater.
    for (const title of ['once', 'twice', 'three times']) {
      rename(c, title);
      await c.engine.push(fleet.space, CALL);
    }
    await b.engine.pull(fleet.space, false, CALL);
    await a.engine.push(fleet.space, CALL);
    await settle(fleet.space, [a, b, c]);
    expect(sessions(b)).toMatchObject([{ user_prompt: 'begin', custom_title: 'three times' }]);
    expect([sessions(a), sessions(c)]).toEqual([sessions(b), sessions(b)]);
  });
});

describe('a session made up for a row whose own session is not synced', () => {
  it('keeps what was written into it here when its own session arrives, and sends it', async () => {
    const space = { ...fleet.space, excluded: ['secret'] };
    begin(a, 'secret');
    observe(a, 'first');
    await settle(space, [a, b]);
    expect(sessions(b)).toMatchObject([{ project: 'garden', user_prompt: null, status: 'completed' }]);
    rename(b, 'given');
    move(b, 'elsewhere');
    b.db.exec(`UPDATE sdk_sessions SET completed_at_epoch = ${JANUARY + 9_000_000}, completed_at = 'later'`);
    await settle(space, [a, b]);
    move(a, 'garden');
    await settle(space, [a, b]);
    // a wrote the project later.
    expect(sessions(b)).toMatchObject([{ project: 'garden', user_prompt: 'begin', custom_title: 'given' }]);
    expect(a.db.prepare('SELECT completed_at FROM sdk_sessions').pluck().all()).toEqual(['later']);
    await settle(space, [a, b, c]);
    expect([sessions(a), sessions(c)]).toEqual([sessions(b), sessions(b)]);
  });
});

it('leaves a row without a session unchanged when a peer sends it under a made-up session', async () => {
  const second = { ...fleet.space, cid: canonicalId('second') };
  b.db.pragma('foreign_keys = OFF');
  observe(b, 'lost its session');
  for (const space of [fleet.space, second]) await b.engine.push(space, CALL);
  b.db.exec(`UPDATE observations SET concepts = '["changed"]'`);
  await b.engine.push(fleet.space, CALL);
  // a received more in the first space than the second one holds, so it sends that as well.
  for (const space of [fleet.space, second]) await a.engine.pull(space, true, CALL);
  expect(a.count('sdk_sessions')).toBe(1);
  expect((await a.engine.push(second, CALL)).rows).toBe(1);
  expect(await b.engine.pull(second, true, CALL)).toMatchObject({ segments: 1, updated: 0, waiting: 0 });
  expect(b.count('sdk_sessions')).toBe(0);
});
