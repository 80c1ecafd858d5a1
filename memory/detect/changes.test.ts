import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type Database from 'better-sqlite3';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 48, from: JANUARY });
  await settle(fleet.space, [a, b]);
});
afterEach(() => fleet.close());

const one = (db: Database.Database, sql: string): unknown => db.prepare(sql).pluck().get();

describe('a changed row', () => {
  it('is sent to the others, field by field', async () => {
    a.db.exec(`UPDATE observations SET concepts = '["gotcha"]' WHERE id = 3`);
    b.db.exec(`UPDATE observations SET project = 'renamed' WHERE id = 3`);
    a.db.exec(`UPDATE sdk_sessions SET custom_title = 'The long night' WHERE id = 2`);
    await settle(fleet.space, [a, b]);
    for (const node of [a, b]) {
      expect(node.db.prepare('SELECT project, concepts FROM observations WHERE id = 3').get()).toEqual({
        project: 'renamed',
        concepts: '["gotcha"]',
      });
      expect(one(node.db, 'SELECT custom_title FROM sdk_sessions WHERE id = 2')).toBe('The long night');
    }
    expect(a.hash()).toBe(b.hash());
    expectIntact(b.path, 'b');
  });

  it('costs a few hundred bytes to send', async () => {
    a.db.exec(`UPDATE observations SET concepts = '["gotcha"]' WHERE id = 3`);
    const pushed = await a.engine.push(fleet.space, CALL);
    expect(pushed.rows).toBe(1);
    expect(pushed.traffic.bytesUp).toBeLessThan(2_500);
  });

  it('converges when both machines change it at once, and is not exchanged forever', async () => {
    a.db.exec(`UPDATE observations SET project = 'ours' WHERE id = 5`);
    b.db.exec(`UPDATE observations SET project = 'theirs' WHERE id = 5`);
    await settle(fleet.space, [a, b]);
    expect(a.hash()).toBe(b.hash());
    expect(
      (await a.engine.push(fleet.space, CALL)).rows + (await b.engine.push(fleet.space, CALL)).rows,
    ).toBe(0);
  });

  it('empties a field everywhere when it is emptied on one machine', async () => {
    a.db.exec(`UPDATE sdk_sessions SET user_prompt = NULL WHERE id = 1`);
    await settle(fleet.space, [a, b]);
    expect(one(b.db, 'SELECT user_prompt FROM sdk_sessions WHERE id = 1')).toBeNull();
  });

  it('is sent with the next push, even far from the newest rows', async () => {
    writeHistory(a.db, { name: 'later', seed: 2, observations: 120, from: JANUARY + 1e9 });
    await settle(fleet.space, [a, b]);
    a.db.exec(`UPDATE observations SET merged_into_project = 'main' WHERE id = 1`);
    expect((await a.engine.push(fleet.space, CALL)).rows).toBe(1);
    await settle(fleet.space, [a, b]);
    expect(one(b.db, 'SELECT merged_into_project FROM observations WHERE id = 1')).toBe('main');
  });

  it('is found by the rolling audit, which completes a round', async () => {
    a.db.exec(`UPDATE session_summaries SET project = 'moved' WHERE id = 1`);
    for (let rounds = 0; rounds < 200 && !(await a.engine.auditFor(1)); rounds += 1);
    expect(await a.engine.notice([fleet.space], CALL.signal)).toEqual([fleet.space.cid]);
  });

  it('becomes another memory when its text changes, and the old memory is deleted', async () => {
    a.db.exec(`UPDATE observations SET narrative = 'rewritten' WHERE id = 24`);
    await settle(fleet.space, [a, b]);
    expect(b.count('observations')).toBe(48);
    expect(one(b.db, `SELECT count(*) FROM observations WHERE narrative = 'rewritten'`)).toBe(1);
  });

  it('changes nothing at the peers when only its session’s memory id changes', async () => {
    a.db.exec(`UPDATE sdk_sessions SET memory_session_id = 'minted-again' WHERE id = 1`);
    await settle(fleet.space, [a, b]);
    a.write.observation({
      memorySessionId: 'minted-again',
      project: 'garden',
      title: 'After',
      narrative: 'n',
      createdAt: JANUARY + 5,
    });
    await settle(fleet.space, [a, b]);
    expect(b.count('sdk_sessions')).toBe(4);
    expect(a.hash()).toBe(b.hash());
  });
});

describe('a deleted row', () => {
  it('is deleted on the others, and stays deleted', async () => {
    a.db.exec('DELETE FROM observations WHERE id IN (7, 8)');
    a.db.exec('DELETE FROM user_prompts WHERE id = 2');
    await settle(fleet.space, [a, b]);
    expect([b.count('observations'), b.count('user_prompts')]).toEqual([46, 35]);
    const c = fleet.add('c', '12.7.5');
    await settle(fleet.space, [a, b, c]);
    expect(c.count('observations')).toBe(46);
    expect(c.hash()).toBe(a.hash());
    expectIntact(b.path, 'b');
  });

  it('removes the rows of its session everywhere when it is a session', async () => {
    a.db.exec('DELETE FROM sdk_sessions WHERE id = 2');
    await settle(fleet.space, [a, b]);
    expect([b.count('sdk_sessions'), b.count('observations'), b.count('user_prompts')]).toEqual([3, 36, 27]);
  });

  it('leaves rows that a peer wrote concurrently into a deleted session', async () => {
    await fleet.close();
    fleet = await newFleet();
    a = fleet.add('a', '13.25.3', { orphanWaitMs: 0 });
    b = fleet.add('b', '13.25.3', { orphanWaitMs: 0 });
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    await settle(fleet.space, [a, b]);
    b.write.observation({
      memorySessionId: 'mem-alpha-000001',
      project: 'garden',
      title: 'Late',
      narrative: 'n',
      createdAt: JANUARY + 5,
    });
    a.db.exec('DELETE FROM sdk_sessions WHERE id = 2');
    await settle(fleet.space, [a, b]);
    for (const node of [a, b]) {
      expect(one(node.db, `SELECT count(*) FROM observations WHERE title = 'Late'`)).toBe(1);
      expect(node.count('observations')).toBe(13);
    }
    expect(a.hash()).toBe(b.hash());
  });

  it('comes back when the memory is written again', async () => {
    const row = a.db.prepare('SELECT * FROM observations WHERE id = 9').get() as Record<string, unknown>;
    a.db.exec('DELETE FROM observations WHERE id = 9');
    await settle(fleet.space, [a, b]);
    expect(b.count('observations')).toBe(47);
    const columns = Object.keys(row).filter((column) => column !== 'id');
    a.db
      .prepare(
        `INSERT INTO observations (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      )
      .run(columns.map((column) => row[column]));
    await settle(fleet.space, [a, b]);
    expect([a.count('observations'), b.count('observations')]).toEqual([48, 48]);
    expect(a.hash()).toBe(b.hash());
  });

  it('is held for approval among very many deletions', async () => {
    writeHistory(a.db, { name: 'more', seed: 5, observations: 120, from: JANUARY + 1e9 });
    await settle(fleet.space, [a, b]);
    a.db.exec('DELETE FROM observations WHERE id > 80');
    await expect(a.engine.push(fleet.space, CALL)).rejects.toMatchObject({ code: 'memory_guarded' });
    expect(b.count('observations')).toBe(168);
    expect(await a.engine.resolveDeletes('approve', CALL)).toEqual({ deletes: 88 });
    await settle(fleet.space, [a, b]);
    expect(b.count('observations')).toBe(80);
  });

  it('needs a new approval after an approval was used', async () => {
    writeHistory(a.db, { name: 'more', seed: 5, observations: 352, from: JANUARY + 1e9 });
    await a.engine.push(fleet.space, CALL);
    a.db.exec('DELETE FROM observations WHERE id <= 100');
    await a.engine.audit(CALL, { deep: true });
    await expect(a.engine.push(fleet.space, CALL)).rejects.toMatchObject({ code: 'memory_guarded' });
    expect(await a.engine.resolveDeletes('approve', CALL)).toEqual({ deletes: 100 });
    expect((await a.engine.push(fleet.space, CALL)).rows).toBe(100);
    a.db.exec('DELETE FROM observations WHERE id <= 195');
    await a.engine.audit(CALL, { deep: true });
    await expect(a.engine.push(fleet.space, CALL)).rejects.toMatchObject({ code: 'memory_guarded' });
    expect(await a.engine.resolveDeletes('approve', CALL)).toEqual({ deletes: 95 });
  });

  it('is fetched back from the fleet when a person chooses to restore', async () => {
    writeHistory(a.db, { name: 'more', seed: 5, observations: 120, from: JANUARY + 1e9 });
    await settle(fleet.space, [a, b]);
    a.db.exec('DELETE FROM observations WHERE id > 80');
    await expect(a.engine.push(fleet.space, CALL)).rejects.toMatchObject({ code: 'memory_guarded' });
    await a.engine.resolveDeletes('restore', CALL);
    await settle(fleet.space, [a, b]);
    expect([a.count('observations'), b.count('observations')]).toEqual([168, 168]);
    expect(a.hash()).toBe(b.hash());
  });
});
