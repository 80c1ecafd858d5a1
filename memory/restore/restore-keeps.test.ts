import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const YEAR = 365 * 24 * 3_600_000;

let fleet: TestFleet;
let time: number;
beforeEach(async () => {
  fleet = await newFleet();
  time = Math.floor(Date.now() / 1_000) * 1_000;
});
afterEach(() => fleet.close());

const add = (name: string, ahead = 0): TestNode =>
  fleet.add(name, '13.25.3', { now: () => time + ahead, orphanWaitMs: 0 });

function write(node: TestNode, name: string, count: number): void {
  const session = { contentSessionId: `s-${name}`, memorySessionId: `m-${name}`, project: 'garden' };
  node.write.session({ ...session, startedAt: JANUARY });
  for (let n = 0; n < count; n += 1) {
    node.write.observation({ ...session, title: `${name} ${n}`, narrative: 'n', createdAt: JANUARY + n });
  }
}

/**
 * Returns the titles in a node's database, even after a restore replaced the file under its open connection.
 */
function titles(node: TestNode): unknown[] {
  const db = new Database(node.path, { readonly: true });
  try {
    return db.prepare('SELECT title FROM observations ORDER BY title').pluck().all();
  } finally {
    db.close();
  }
}

function titleOfSession(node: TestNode, name: string): unknown {
  const db = new Database(node.path, { readonly: true });
  try {
    const select = 'SELECT custom_title FROM sdk_sessions WHERE content_session_id = ?';
    return db.prepare(select).pluck().get(`s-${name}`);
  } finally {
    db.close();
  }
}

async function tell(node: TestNode, sql: string): Promise<void> {
  node.db.exec(sql);
  await node.engine.audit(CALL, { deep: true });
  await node.engine.push(fleet.space, CALL);
}

describe('a restore in place', () => {
  it('keeps writes that nodes made while trusted, and adds nothing that was held back', async () => {
    const [a, b, c] = [add('a'), add('b'), add('c')];
    write(a, 'x', 2);
    write(b, 'y', 2);
    await settle(fleet.space, [a, b, c]);
    await tell(b, `UPDATE sdk_sessions SET custom_title = 'by b' WHERE content_session_id = 's-x'`);
    await settle(fleet.space, [a, b, c]);
    const held = { ...fleet.space, trust: { b: 'hold' as const } };
    await a.engine.pull(held, true, CALL);
    time += 60_000;
    write(b, 'z', 1);
    await tell(b, `UPDATE sdk_sessions SET custom_title = 'poison' WHERE content_session_id = 's-y'`);
    await settle(fleet.space, [b, c]);
    // Even if a trusted node forwards it.
    await c.engine.snapshot(fleet.space, CALL);
    time += 60_000;
    a.db.close();
    await a.engine.restoreTo({ config: held, at: time, out: 'in place' }, CALL);
    expect((await a.engine.push(held, CALL)).rows).toBe(0);
    expect(titles(a)).toEqual(['x 0', 'x 1', 'y 0', 'y 1']);
    expect(titleOfSession(a, 'x')).toBe('by b');
    expect(titleOfSession(a, 'y')).toBeNull();
    await b.engine.pull(fleet.space, true, CALL);
    expect(titles(b)).toEqual(['x 0', 'x 1', 'y 0', 'y 1', 'z 0']);
    expect(titleOfSession(b, 'y')).toBe('poison');
  });

  it('keeps writes of a node whose clock is ahead, and dates its later writes by their arrival', async () => {
    const [a, w] = [add('a'), add('w', 10 * YEAR)];
    write(a, 'x', 2);
    write(w, 'y', 2);
    await settle(fleet.space, [a, w]);
    const good = time;
    time += 60_000;
    write(w, 'later', 1);
    await tell(w, `DELETE FROM observations WHERE title IN ('x 0', 'y 0')`);
    await settle(fleet.space, [a, w]);
    expect(titles(a)).toEqual(['later 0', 'x 1', 'y 1']);
    time += 60_000;
    a.db.close();
    await a.engine.restoreTo({ config: fleet.space, at: good, out: 'in place' }, CALL);
    await a.engine.push(fleet.space, CALL);
    await w.engine.pull(fleet.space, true, CALL);
    for (const node of [a, w]) expect(titles(node), node.name).toEqual(['x 0', 'x 1', 'y 0', 'y 1']);
  });

  it('keeps writes of a node whose clock is ahead when the ledger is younger than the time', async () => {
    const [a, w] = [add('a'), add('w', 10 * YEAR)];
    write(a, 'x', 1);
    write(w, 'y', 1);
    await settle(fleet.space, [a, w]);
    const good = time;
    time += 60_000;
    const c = add('c');
    await c.engine.pull(fleet.space, true, CALL);
    c.db.close();
    await c.engine.restoreTo({ config: fleet.space, at: good, out: 'in place' }, CALL);
    await c.engine.push(fleet.space, CALL);
    await w.engine.pull(fleet.space, true, CALL);
    for (const node of [c, w]) expect(titles(node), node.name).toEqual(['x 0', 'y 0']);
  });

  it('keeps rows that another space knows too', async () => {
    const [a, b] = [add('a'), add('b')];
    const other = { ...fleet.space, cid: 'feedfacefeedface', projectId: 'other' };
    const before = time - 10_000;
    write(a, 'x', 2);
    for (const space of [fleet.space, other]) await a.engine.push(space, CALL);
    write(a, 'y', 1);
    await a.engine.push(fleet.space, CALL);
    await b.engine.pull(other, true, CALL);
    expect(titles(b)).toEqual(['x 0', 'x 1']);
    a.db.close();
    await a.engine.restoreTo({ config: fleet.space, at: before, out: 'in place' }, CALL);
    for (const space of [fleet.space, other]) await a.engine.push(space, CALL);
    await b.engine.pull(other, true, CALL);
    for (const node of [a, b]) expect(titles(node), node.name).toEqual(['x 0', 'x 1']);
  });
});
