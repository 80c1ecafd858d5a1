import { copyFileSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../test/memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
let c: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  [a, b, c] = ['a', 'b', 'c'].map((name) => fleet.add(name, '13.25.3')) as [TestNode, TestNode, TestNode];
});
afterEach(() => fleet.close());

async function begin(observations: number): Promise<void> {
  writeAll(a, observations);
  await settle(fleet.space, [a, b, c]);
}

/** Writes one session with this number of observations. */
function writeAll(node: TestNode, observations: number): void {
  node.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'first', startedAt: JANUARY });
  for (let n = 0; n < observations; n += 1) observe(node, n, 'first');
}

/** Writes the same observation each time, except for its project. */
const observe = (node: TestNode, n: number, project: string): number =>
  node.write.observation({
    memorySessionId: 'm',
    project,
    title: `title ${n}`,
    narrative: 'text',
    createdAt: JANUARY + n,
  });
const projects = (node: TestNode): unknown[] =>
  node.db.prepare('SELECT project FROM observations ORDER BY created_at_epoch').pluck().all();

describe('a memory that is written again after its deletion', () => {
  it('is equal everywhere after concurrent writes during the deletion', async () => {
    await begin(1);
    a.db.exec('DELETE FROM observations');
    await a.engine.audit(CALL, { deep: true });
    await a.engine.push(fleet.space, CALL);
    for (const project of ['second', 'third', 'fourth', 'fifth']) {
      b.db.prepare('UPDATE observations SET project = ?').run(project);
      await b.engine.audit(CALL, { deep: true });
      await b.engine.push(fleet.space, CALL);
    }
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map(projects)).toEqual([[], [], []]);
    observe(c, 0, 'again');
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map(projects)).toEqual([['again'], ['again'], ['again']]);
  });

  it('is equal everywhere when its deletion was not noticed either', async () => {
    await begin(200);
    a.db.exec(`DELETE FROM observations WHERE title = 'title 3'`);
    await a.engine.audit(CALL, { deep: true });
    observe(a, 3, 'again');
    await a.engine.push(fleet.space, CALL);
    // Outside the newest rows, which a pull checks.
    b.db.exec(`DELETE FROM observations WHERE title = 'title 3'`);
    await b.engine.pull(fleet.space, true, CALL);
    await b.engine.audit(CALL, { deep: true });
    await settle(fleet.space, [a, b, c]);
    expect(projects(b)[3]).toBe('again');
    expect([b, c].map((node) => node.hash())).toEqual([a.hash(), a.hash()]);
  });

  it('is not a twin of its own deleted row when the deletion was not noticed', async () => {
    for (const node of [a, b]) writeAll(node, 100);
    await a.engine.audit(CALL, { deep: true });
    // Outside the newest rows, which a push checks.
    a.db.exec(`DELETE FROM observations WHERE title = 'title 3'`);
    observe(a, 3, 'first');
    await b.engine.push(fleet.space, CALL);
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map((node) => node.count('observations'))).toEqual([100, 100, 100]);
    expect([b, c].map((node) => node.hash())).toEqual([a.hash(), a.hash()]);
  });

  it('is not a twin of its deleted row when the fleet knows it, and sends what differs', async () => {
    await begin(100);
    a.db.exec(`DELETE FROM observations WHERE title = 'title 3'`);
    observe(a, 3, 'again');
    await a.engine.push(fleet.space, CALL);
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map((node) => projects(node)[3])).toEqual(['again', 'again', 'again']);
    await a.engine.audit(CALL, { deep: true });
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map((node) => node.count('observations'))).toEqual([100, 100, 100]);
  });

  it('is not a twin of its deleted row when a merge wrote it before the ledger was restored', async () => {
    for (const node of [a, b]) writeAll(node, 2);
    await a.engine.audit(CALL, { deep: true });
    await b.engine.push(fleet.space, CALL);
    a.db.exec(`DELETE FROM observations WHERE title = 'title 1'`);
    await a.engine.close();
    const { ledgerPath } = a.options;
    copyFileSync(ledgerPath, `${ledgerPath}.kept`);
    expect((await a.engine.pull(fleet.space, true, CALL)).inserted).toBe(1);
    await a.engine.close();
    for (const suffix of ['-wal', '-shm']) rmSync(`${ledgerPath}${suffix}`, { force: true });
    copyFileSync(`${ledgerPath}.kept`, ledgerPath);
    await a.engine.audit(CALL, { deep: true });
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map((node) => node.count('observations'))).toEqual([2, 2, 2]);
  });

  it('is written again for a fleet that knows it without its secret', async () => {
    const text = `the key is sk-ant-${'a'.repeat(40)}`;
    const write = (): number =>
      a.write.prompt({ contentSessionId: 's', number: 1, text, createdAt: JANUARY });
    const prompts = (node: TestNode): unknown =>
      node.db.prepare('SELECT prompt_text FROM user_prompts').pluck().all();
    await begin(1);
    write();
    await settle(fleet.space, [a, b, c]);
    const [redacted] = prompts(b) as string[];
    expect(redacted).toMatch(/^the key is \[redacted:/);
    a.db.exec('DELETE FROM user_prompts');
    await settle(fleet.space, [a, b, c]);
    expect(prompts(b)).toEqual([]);
    write();
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map(prompts)).toEqual([[text], [redacted], [redacted]]);
  });

  it('is equal on a machine that receives the operations in another order', async () => {
    await begin(1);
    b.db.exec('DELETE FROM sdk_sessions');
    b.write.session({
      contentSessionId: 's',
      memorySessionId: 'n',
      project: 'first',
      startedAt: JANUARY + 9,
      status: 'active',
    });
    await settle(fleet.space, [b, c, a]);
    a.db.exec(`UPDATE sdk_sessions SET status = 'failed', custom_title = 'after'`);
    await settle(fleet.space, [a, b, c]);
    // It reads what a wrote before it reads that b deleted the session and wrote it again.
    const newcomer = fleet.add('newcomer', '13.25.3');
    const all = [a, b, c, newcomer];
    await settle(fleet.space, [newcomer, a, b, c]);
    const states = all.map((node) =>
      node.db.prepare('SELECT status, custom_title FROM sdk_sessions').raw().all(),
    );
    expect(states).toEqual(Array(4).fill(states[0]));
    expect(states[0]).toEqual([[expect.any(String), 'after']]);
  });

  it('starts over on a machine where it was in use when the deletion arrived', async () => {
    let now = Date.now();
    const one = fleet.add('one', '13.25.3', { now: () => now });
    const two = fleet.add('two', '13.25.3', { now: () => now });
    const session = { contentSessionId: 'used', project: 'first', status: 'active' } as const;
    one.write.session({ ...session, memorySessionId: 'here', startedAt: now - 3_600_000 });
    await settle(fleet.space, [one, two]);
    two.db.exec('DELETE FROM sdk_sessions');
    two.write.session({ ...session, memorySessionId: 'there', startedAt: now - 60_000 });
    two.write.observation({
      memorySessionId: 'there',
      project: 'first',
      title: 'since then',
      narrative: null,
      createdAt: now,
    });
    await two.engine.push(fleet.space, CALL);
    await one.engine.pull(fleet.space, true, CALL);
    const started = (node: TestNode): unknown =>
      node.db.prepare('SELECT started_at_epoch FROM sdk_sessions').pluck().get();
    expect(started(one)).toBe(now - 3_600_000);
    const begun = now - 60_000;
    // The worker has finished the session.
    now += 2 * 86_400_000;
    await settle(fleet.space, [one, two]);
    expect([one, two].map(started)).toEqual([begun, begun]);
  });
});
