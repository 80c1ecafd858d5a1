import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compare, takeInventory, unite } from '../../demo/inventory.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { upgradeDatabase } from '../../fixtures/claude-mem/upgrade.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';

/** Databases and machines as claude-mem's users have them. */
const JANUARY = Date.UTC(2026, 0, 5, 9);
const YEAR = 365 * 24 * 3_600_000;

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await newFleet();
});
afterEach(() => fleet.close());

function expectAllThereOnce(nodes: readonly TestNode[], expected: Map<string, number>): void {
  for (const node of nodes) {
    expect(compare(takeInventory(node.db), expected), node.name).toEqual({ lost: 0, duplicated: 0 });
    expectIntact(node.path, node.name);
    expect(node.hash(), node.name).toBe(nodes[0]?.hash());
  }
}

function begin(node: TestNode, session: string, memory: string | null, startedAt = JANUARY): void {
  node.write.session({ contentSessionId: session, memorySessionId: memory, project: 'garden', startedAt });
}

function observe(node: TestNode, memory: string, title: string, createdAt = JANUARY): void {
  node.write.observation({
    memorySessionId: memory,
    project: 'garden',
    title,
    narrative: `${title}, at length.`,
    createdAt,
  });
}

/** claude-mem before mid-2026 gave a session a new memory id at every restart; its rows follow by cascade. */
function remint(node: TestNode, from: string, to: string): void {
  node.db.prepare('UPDATE sdk_sessions SET memory_session_id = ? WHERE memory_session_id = ?').run(to, from);
}

describe('a memory_session_id rewritten after the first sync', () => {
  it('keeps its rows on its machine, and later rows find the session on every machine', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => fleet.add(name, '13.25.3')) as [
      TestNode,
      TestNode,
      TestNode,
    ];
    begin(a, 'conversation', 'minted-1');
    observe(a, 'minted-1', 'First');
    await settle(fleet.space, [a, b]);
    for (const hop of [2, 3, 4]) {
      remint(a, `minted-${hop - 1}`, `minted-${hop}`);
      observe(a, `minted-${hop}`, `After hop ${hop}`, JANUARY + hop);
      await settle(fleet.space, [a, b]);
    }
    // The other machine resumes the session and rewrites its memory id too; a third machine joins.
    remint(b, 'minted-1', 'minted-by-b');
    observe(b, 'minted-by-b', 'Seen by b', JANUARY + 10);
    await settle(fleet.space, [a, b, c]);
    expectAllThereOnce([a, b, c], takeInventory(a.db));
    for (const node of [a, b, c]) {
      expect([node.count('sdk_sessions'), node.count('observations')]).toEqual([1, 5]);
    }
    expect(a.db.prepare('SELECT memory_session_id FROM sdk_sessions').pluck().get()).toBe('minted-4');
    expect(b.db.prepare('SELECT memory_session_id FROM sdk_sessions').pluck().get()).toBe('minted-by-b');
  });

  it('does not mix with a session that has the same memory id on another machine', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    begin(a, 'one', 'm1');
    observe(a, 'm1', 'Of one');
    begin(b, 'two', 'm2');
    observe(b, 'm2', 'Of two');
    await settle(fleet.space, [a, b]);
    remint(a, 'm1', 'm3');
    remint(b, 'm2', 'm1-of-two');
    observe(a, 'm3', 'Of one, later', JANUARY + 1);
    observe(b, 'm1-of-two', 'Of two, later', JANUARY + 2);
    await settle(fleet.space, [a, b]);
    const bySession = `SELECT s.content_session_id, o.title FROM observations o JOIN sdk_sessions s USING (memory_session_id)
      ORDER BY 1, 2`;
    expect(a.db.prepare(bySession).raw().all()).toEqual([
      ['one', 'Of one'],
      ['one', 'Of one, later'],
      ['two', 'Of two'],
      ['two', 'Of two, later'],
    ]);
    expect(b.db.prepare(bySession).raw().all()).toEqual(a.db.prepare(bySession).raw().all());
  });
});

describe('sessions with equal names', () => {
  it('are folded into one when made by hand under both of claude-mem’s names', async () => {
    const nodes = ['a', 'b'].map((name) => fleet.add(name, '13.25.3'));
    for (const node of nodes) {
      for (const session of ['manual-garden', 'manual-garden-claude']) {
        begin(node, session, session);
        for (let n = 0; n < 3; n += 1) observe(node, session, `${session} ${n} of ${node.name}`, JANUARY + n);
      }
    }
    const expected = unite(nodes.map((node) => takeInventory(node.db)));
    await settle(fleet.space, nodes);
    expectAllThereOnce(nodes, expected);
    for (const node of nodes)
      expect([node.count('sdk_sessions'), node.count('observations')]).toEqual([2, 12]);
  });

  it('keep their rows apart when two conversations have one memory id', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    begin(a, 'one', 'same');
    observe(a, 'same', 'Of one');
    begin(b, 'two', 'same');
    observe(b, 'same', 'Of two');
    const expected = unite([a, b].map((node) => takeInventory(node.db)));
    await settle(fleet.space, [a, b]);
    expectAllThereOnce([a, b], expected);
  });
});

it.each(['7.4.5', '12.7.5'])(
  'keep their rows apart when two platforms use one id, on %s and after its upgrade',
  async (release) => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', release, { orphanWaitMs: 0 });
    for (const platform of ['claude', 'codex']) {
      a.write.session({
        contentSessionId: 's',
        memorySessionId: `of-${platform}`,
        project: 'garden',
        startedAt: JANUARY,
        platform,
      });
      observe(a, `of-${platform}`, `By ${platform}`);
      a.db
        .prepare(
          `INSERT INTO user_prompts (session_db_id, content_session_id, prompt_number, prompt_text, created_at, created_at_epoch)
         SELECT id, 's', 1, ?, 'then', ? FROM sdk_sessions WHERE platform_source = ?`,
        )
        .run(`To ${platform}`, JANUARY, platform);
    }
    const before = takeInventory(a.db);
    await settle(fleet.space, [a, b]);
    expect(compare(takeInventory(a.db), before)).toEqual({ lost: 0, duplicated: 0 });
    expect(b.count('observations')).toBe(1);
    upgradeDatabase(b.db, '13.25.3');
    await settle(fleet.space, [a, b]);
    expectAllThereOnce([a, b], before);
  },
);

describe('rows left by upgrades and accidents', () => {
  it('arrive once without title, text and hash', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    for (const node of [a, b]) {
      begin(node, 's', 'm');
      for (const [title, narrative, hash] of [
        [null, null, null],
        [null, 'Only a narrative.', null],
        ['Only a title', null, null],
        ['', '', '__null_migration_1__'],
      ] as const) {
        node.write.observation({
          memorySessionId: 'm',
          project: 'garden',
          title,
          narrative,
          contentHash: hash,
          createdAt: JANUARY,
        });
      }
    }
    const expected = takeInventory(a.db);
    await settle(fleet.space, [a, b]);
    expectAllThereOnce([a, b], expected);
    expect(a.count('observations')).toBe(4);
  });

  it('are all kept when they share a __null_migration_ hash and differ in text', async () => {
    const nodes = ['a', 'b', 'c'].map((name) => fleet.add(name, '13.25.3'));
    for (const node of nodes) {
      begin(node, 'manual-garden', 'manual-garden');
      for (let n = 1; n <= 4; n += 1) {
        node.write.observation({
          memorySessionId: 'manual-garden',
          project: 'garden',
          title: n === 1 ? 'The same everywhere' : `Number ${n} of ${node.name}`,
          narrative: 'Kept by hand.',
          contentHash: `__null_migration_${n}__`,
          createdAt: JANUARY + n,
        });
      }
    }
    const expected = unite(nodes.map((node) => takeInventory(node.db)));
    await settle(fleet.space, nodes);
    expectAllThereOnce(nodes, expected);
    for (const node of nodes) expect(node.count('observations')).toBe(1 + 3 * 3);
  });

  it('get a stub session that shows them when they have none, for every kind', async () => {
    const a = fleet.add('a', '13.25.3', { orphanWaitMs: 0 });
    const b = fleet.add('b', '13.25.3', { orphanWaitMs: 0 });
    a.db.pragma('foreign_keys = OFF');
    observe(a, 'gone', 'An orphan');
    a.write.summary({
      memorySessionId: 'gone',
      project: 'garden',
      request: 'Of an orphan',
      learned: 'It is kept.',
      createdAt: JANUARY,
    });
    a.write.prompt({ contentSessionId: 'gone-too', number: 1, text: 'Where did it go?', createdAt: JANUARY });
    a.db.pragma('foreign_keys = ON');
    await settle(fleet.space, [a, b]);
    expect(['observations', 'session_summaries', 'user_prompts'].map((table) => b.count(table))).toEqual([
      1, 1, 1,
    ]);
    expect(b.db.pragma('foreign_key_check')).toEqual([]);
    expect(b.db.prepare('SELECT count(*) FROM user_prompts WHERE session_db_id IS NULL').pluck().get()).toBe(
      0,
    );
  });

  it('arrive byte for byte at 19 MB, with lone surrogates and NULs', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '8.5.10');
    begin(a, 's', 'm');
    const text = Buffer.alloc(19_000_000, 'All work and no play. ');
    Buffer.from([0x00, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x8c, 0xb1, 0xff, 0x00]).copy(text, 9_000_000);
    a.db
      .prepare(
        `INSERT INTO user_prompts (session_db_id, content_session_id, prompt_number, prompt_text, created_at, created_at_epoch)
         VALUES (1, 's', 1, CAST(? AS TEXT), 'then', ?)`,
      )
      .run(text, JANUARY);
    a.write.observation({
      memorySessionId: 'm',
      project: 'garden',
      title: 'Half a pair: \ud83c',
      narrative: 'Nothing\0between',
      facts: ['\udf31'],
      createdAt: JANUARY,
    });
    await settle(fleet.space, [a, b]);
    const bytes = (node: TestNode): unknown =>
      node.db.prepare('SELECT CAST(prompt_text AS BLOB) FROM user_prompts').pluck().get();
    expect(text.equals(bytes(b) as Buffer)).toBe(true);
    const odd = 'SELECT CAST(title AS BLOB), CAST(narrative AS BLOB), CAST(facts AS BLOB) FROM observations';
    expect(b.db.prepare(odd).raw().get()).toEqual(a.db.prepare(odd).raw().get());
    expect(b.hash()).toBe(a.hash());
  });

  it('arrive in order when one session has 1,495 observations', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '7.4.5');
    begin(a, 'marathon', 'm');
    a.db.transaction(() => {
      for (let n = 0; n < 1_495; n += 1) observe(a, 'm', `Step ${n}`, JANUARY + n);
    })();
    await settle(fleet.space, [a, b]);
    const titles = (node: TestNode): unknown[] =>
      node.db.prepare('SELECT title FROM observations ORDER BY id').pluck().all();
    expect(titles(b)).toEqual(titles(a));
  });
});

describe('unusual machines', () => {
  it('send each memory once when disk and agent were cloned', async () => {
    const a = fleet.add('a', '13.25.3');
    const c = fleet.add('c', '13.25.3');
    writeHistory(a.db, { name: 'before', seed: 1, observations: 36, from: JANUARY });
    await settle(fleet.space, [a, c]);
    await a.engine.close();
    a.db.pragma('wal_checkpoint(TRUNCATE)');
    const folder = join(fleet.folder, 'clone');
    // The same node, key and ledger on a second machine.
    const clone = fleet.add('clone', '13.25.3', {
      identity: a.options.identity,
      ledgerPath: join(folder, 'ledger.db'),
      databasePath: join(folder, 'cloned.db'),
    });
    copyFileSync(a.path, join(folder, 'cloned.db'));
    copyFileSync(a.options.ledgerPath, join(folder, 'ledger.db'));
    const twin: TestNode = { ...clone, path: join(folder, 'cloned.db') };
    const db = new Database(twin.path);
    writeHistory(db, { name: 'of-the-clone', seed: 2, observations: 24, from: JANUARY + YEAR });
    writeHistory(a.db, { name: 'of-a', seed: 3, observations: 24, from: JANUARY + YEAR });
    const expected = unite([takeInventory(db), takeInventory(a.db)]);
    for (let round = 0; round < 6; round += 1) {
      for (const node of [a, twin, c]) {
        await node.engine.push(fleet.space, CALL);
        await node.engine.pull(fleet.space, true, CALL);
      }
    }
    for (const each of [a.db, db, c.db]) {
      expect(compare(takeInventory(each), expected)).toEqual({ lost: 0, duplicated: 0 });
    }
    db.close();
  });

  it.each([10 * YEAR, -10 * YEAR])(
    'neither lose nor duplicate anything when the clock is off by %i ms',
    async (skew) => {
      const a = fleet.add('a', '13.25.3', { now: () => Date.now() + skew });
      const b = fleet.add('b', '13.25.3');
      writeHistory(a.db, { name: 'skewed', seed: 1, observations: 24, from: JANUARY + skew });
      writeHistory(b.db, { name: 'true', seed: 2, observations: 24, from: JANUARY });
      for (const node of [a, b]) begin(node, 'shared', `shared-of-${node.name}`, JANUARY);
      const expected = unite([a, b].map((node) => takeInventory(node.db)));
      await settle(fleet.space, [a, b]);
      b.write.prompt({ contentSessionId: 'shared', number: 1, text: 'Later', createdAt: JANUARY + 5 });
      await settle(fleet.space, [a, b]);
      expectAllThereOnce([a, b], unite([expected, takeInventory(b.db)]));
    },
  );

  it('lose nothing when an old worker writes while rows of a newer one arrive', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '5.5.1');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 600, from: JANUARY });
    begin(b, 'live', 'live', Date.now());
    await a.engine.push(fleet.space, CALL);
    let merging = true;
    let written = 0;
    const pulling = b.engine.pull(fleet.space, false, CALL).finally(() => {
      merging = false;
    });
    while (merging) {
      observe(b, 'live', `Live ${written}`, Date.now());
      written += 1;
      await sleep(2);
    }
    await pulling;
    expect(written).toBeGreaterThan(10);
    await settle(fleet.space, [a, b]);
    expect([a.count('observations'), b.count('observations')]).toEqual([600 + written, 600 + written]);
    expect(a.hash()).toBe(b.hash());
  });
});
