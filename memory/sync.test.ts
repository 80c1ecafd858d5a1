import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { CALL, newFleet, settle, type TestFleet } from '../test/memory/nodes.ts';
import { expectIntact } from '../test/memory/expect-intact.ts';
import { startStoreFleets, type StoreFleets } from '../test/store/fleet.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);

let fleet: TestFleet;
afterEach(() => fleet.close());

describe('machines that access the object store directly', () => {
  beforeEach(async () => {
    fleet = await newFleet();
  });
  testSync();
});

describe('machines that access it through the control plane', () => {
  let fleets: StoreFleets;
  beforeAll(async () => {
    fleets = await startStoreFleets(['a', 'b', 'c']);
  });
  afterAll(() => fleets.stop());
  beforeEach(async () => {
    fleet = await fleets.newFleet();
  });
  testSync();
});

/** Tests that hold for both ways to the store. */
function testSync(): void {
  describe('a push and a pull', () => {
    it('send new memories of every kind to another node, row by row', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '13.25.3');
      writeHistory(a.db, { name: 'alpha', seed: 1, observations: 240, from: JANUARY });
      const pushed = await a.engine.push(fleet.space, CALL);
      expect(pushed.rows).toBe(240 + 20 + 180 + 80);
      const pulled = await b.engine.pull(fleet.space, false, CALL);
      expect(pulled.inserted).toBe(pushed.rows);
      expect(b.hash()).toBe(a.hash());
      expectIntact(b.path, 'b');
    });

    it('cost one request and transfer nothing when nothing is new', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '13.25.3');
      writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
      await settle(fleet.space, [a, b]);
      expect(await b.engine.push(fleet.space, CALL)).toMatchObject({ rows: 0, traffic: { requests: 0 } });
      expect(await b.engine.pull(fleet.space, false, CALL)).toMatchObject({
        operations: 0,
        traffic: { requests: 1, bytesDown: 0 },
      });
    });

    it('never send received memories back', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '13.25.3');
      writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
      await a.engine.push(fleet.space, CALL);
      await b.engine.pull(fleet.space, false, CALL);
      expect((await b.engine.push(fleet.space, CALL)).rows).toBe(0);
    });

    it('send 100 new rows in at most 3 requests and 64 KB', async () => {
      const a = fleet.add('a', '13.25.3');
      writeHistory(a.db, { name: 'alpha', seed: 1, observations: 1_200, from: JANUARY });
      await a.engine.push(fleet.space, CALL);
      for (let n = 0; n < 100; n += 1) {
        a.write.observation({
          memorySessionId: 'mem-alpha-000000',
          project: 'garden',
          title: `New finding ${n}`,
          narrative: `Number ${n}`,
          createdAt: JANUARY + n,
        });
      }
      const pushed = await a.engine.push(fleet.space, CALL);
      expect(pushed.rows).toBe(100);
      expect(pushed.traffic.requests).toBeLessThanOrEqual(3);
      expect(pushed.traffic.bytesUp).toBeLessThanOrEqual(64 * 1024);
    });
  });

  describe('a merge', () => {
    it('gives three nodes with shared and own history equal contents, each memory once', async () => {
      const nodes = ['a', 'b', 'c'].map((name) => fleet.add(name, '13.25.3'));
      nodes.forEach((node, n) => {
        writeHistory(node.db, { name: 'shared', seed: 7, observations: 120, from: JANUARY });
        writeHistory(node.db, { name: `own-${node.name}`, seed: 100 + n, observations: 60, from: JANUARY });
      });
      await settle(fleet.space, nodes);
      const [first, ...others] = nodes.map((node) => node.hash());
      expect(others).toEqual([first, first]);
      for (const node of nodes) expect(node.count('observations')).toBe(120 + 3 * 60);
    });

    it('recognizes shared history instead of sending it twice', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '13.25.3');
      for (const node of [a, b])
        writeHistory(node.db, { name: 'shared', seed: 7, observations: 120, from: JANUARY });
      await a.engine.push(fleet.space, CALL);
      expect((await b.engine.push(fleet.space, CALL)).rows).toBe(0);
      expect(b.count('observations')).toBe(120);
    });

    it('folds the manual session that exists on every machine into one', async () => {
      const nodes = ['a', 'b', 'c'].map((name) => fleet.add(name, '13.25.3'));
      nodes.forEach((node, n) => {
        node.write.session({
          contentSessionId: 'manual-garden',
          memorySessionId: 'manual-garden',
          project: 'garden',
          userPrompt: n === 1 ? 'Saved by hand' : null,
          startedAt: JANUARY + n * 1_000,
        });
        node.write.observation({
          memorySessionId: 'manual-garden',
          project: 'garden',
          title: `Note of ${node.name}`,
          narrative: 'Kept by hand.',
          createdAt: JANUARY + n,
          // Hashes that an upgrade left on every machine, each for a different row.
          contentHash: '__null_migration_5__',
        });
      });
      await settle(fleet.space, nodes);
      for (const node of nodes) {
        expect(node.count('sdk_sessions')).toBe(1);
        expect(node.count('observations')).toBe(3);
        expect(node.hash()).toBe(nodes[0]?.hash());
        expect(node.db.prepare('SELECT user_prompt FROM sdk_sessions').pluck().get()).toBe('Saved by hand');
      }
    });

    it('maps a conversation resumed on two machines to one session with two memory session ids', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '13.25.3');
      for (const node of [a, b]) {
        node.write.session({
          contentSessionId: 'conversation',
          memorySessionId: `mem-of-${node.name}`,
          project: 'garden',
          startedAt: JANUARY,
        });
        node.write.observation({
          memorySessionId: `mem-of-${node.name}`,
          project: 'garden',
          title: `Seen by ${node.name}`,
          narrative: null,
          createdAt: JANUARY,
        });
      }
      await settle(fleet.space, [a, b]);
      for (const node of [a, b]) {
        expect(node.db.prepare('SELECT memory_session_id FROM sdk_sessions').pluck().all()).toEqual([
          `mem-of-${node.name}`,
        ]);
        expect(node.count('observations')).toBe(2);
        expect(node.db.pragma('foreign_key_check')).toEqual([]);
      }
      expect(a.hash()).toBe(b.hash());
    });

    it('works between claude-mem 13.25.3 and 12.7.5 in both directions', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '12.7.5');
      writeHistory(a.db, { name: 'new', seed: 1, observations: 60, from: JANUARY });
      writeHistory(b.db, { name: 'old', seed: 2, observations: 60, from: JANUARY });
      await settle(fleet.space, [a, b]);
      expect(a.count('observations')).toBe(120);
      expect(b.hash()).toBe(a.hash());
      expect(b.db.pragma('foreign_key_check')).toEqual([]);
    });

    it('keeps true twins, non-UTF-8 text, NULs and lone surrogates unchanged', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '13.25.3');
      a.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'p', startedAt: JANUARY });
      for (let twin = 0; twin < 2; twin += 1) {
        a.write.prompt({ contentSessionId: 's', number: 1, text: 'again', createdAt: JANUARY });
      }
      const odd = Buffer.from([0x61, 0x00, 0xed, 0xa0, 0x80, 0xff, 0x62]);
      a.db
        .prepare(
          `INSERT INTO user_prompts (session_db_id, content_session_id, prompt_number, prompt_text, created_at, created_at_epoch)
         VALUES (1, 's', 2, CAST(? AS TEXT), 'now', 5)`,
        )
        .run(odd);
      await settle(fleet.space, [a, b]);
      expect(b.count('user_prompts')).toBe(3);
      const bytes = b.db
        .prepare(`SELECT CAST(prompt_text AS BLOB) FROM user_prompts WHERE prompt_number = 2`)
        .pluck()
        .get();
      expect(bytes).toEqual(odd);
      expect(b.hash()).toBe(a.hash());
    });

    it('gives a row without a session a stub session, so that it is not lost', async () => {
      const a = fleet.add('a', '13.25.3');
      const b = fleet.add('b', '13.25.3');
      a.db.pragma('foreign_keys = OFF');
      a.write.observation({
        memorySessionId: 'gone',
        project: 'garden',
        title: 'Orphan',
        narrative: 'Its session was removed.',
        createdAt: JANUARY,
      });
      await settle(fleet.space, [a, b]);
      expect(b.db.prepare('SELECT memory_session_id FROM observations').pluck().get()).toBe('gone');
      expect(b.hash()).toBe(a.hash());
    });
  });
}
