import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compare, takeInventory, unite } from '../demo/inventory.ts';
import { COMMUNITY_EDGE, RELEASES } from '../fixtures/claude-mem/build.ts';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { upgradeDatabase } from '../fixtures/claude-mem/upgrade.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../test/memory/nodes.ts';
import { expectIntact } from '../test/memory/expect-intact.ts';
import { openForReading } from './claude-mem/open.ts';
import { RowWriter } from './claude-mem/write.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const NEWEST = '13.25.3';

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await newFleet();
});
afterEach(() => fleet.close());

/** Returns a node's memories under the newest names of its tables. */
function inventory(node: TestNode): Map<string, number> {
  const db = openForReading(node.path);
  try {
    return takeInventory(db);
  } finally {
    db.close();
  }
}

function expectAllThereOnce(nodes: readonly TestNode[], expected: Map<string, number>): void {
  for (const node of nodes) {
    expect(compare(inventory(node), expected), node.name).toEqual({ lost: 0, duplicated: 0 });
    expectIntact(node.path, node.name);
    expect(node.hash(), node.name).toBe(nodes[0]?.hash());
  }
}

/**
 * Writes memories that both had before, memories of each, and content that only the newer tables have a
 * column for.
 */
function fill(older: TestNode, newer: TestNode): void {
  for (const node of [older, newer]) {
    writeHistory(node.db, { name: 'shared', seed: 7, observations: 24, from: JANUARY });
    writeHistory(node.db, { name: `of-${node.name}`, seed: 3, observations: 30, from: JANUARY + 1e9 });
  }
  const platform = hasColumn(newer, 'sdk_sessions', 'platform_source') ? 'codex' : 'claude';
  newer.write.session({
    contentSessionId: 'other-platform',
    memorySessionId: 'other-memory',
    project: 'garden',
    userPrompt: 'Plant a tree',
    startedAt: JANUARY + 2e9,
    platform,
  });
  const createdAt = JANUARY + 2e9;
  newer.write.prompt({ contentSessionId: 'other-platform', number: 1, text: 'Plant a tree', createdAt });
  newer.write.summary({
    memorySessionId: 'other-memory',
    project: 'garden',
    request: 'Plant',
    learned: 'Trees take time.',
    createdAt,
  });
  const anyType = !isLimited(newer);
  const concepts = [undefined, [], ['gotcha'], [' ', '"quoted"']];
  concepts.forEach((list, n) => {
    newer.write.observation({
      memorySessionId: 'other-memory',
      project: 'garden',
      type: anyType ? 'security_alert' : 'decision',
      title: `The key lay in the log (${n})`,
      narrative: 'It was removed.',
      ...(list === undefined ? {} : { concepts: list }),
      createdAt: createdAt + n,
    });
  });
}

const hasColumn = (node: TestNode, table: string, column: string): boolean =>
  (node.db.pragma(`table_info(${table})`) as { name: string }[]).some(({ name }) => name === column);

const isLimited = (node: TestNode): boolean =>
  /check\("type"/.test(
    node.db.prepare(`SELECT sql FROM sqlite_master WHERE name = 'observations'`).pluck().get() as string,
  );

const PAIRS: (readonly [string, string])[] = [
  ...[...RELEASES, COMMUNITY_EDGE].map((release) => [release, NEWEST] as const),
  ...RELEASES.slice(1).map((release, n) => [RELEASES[n] ?? '', release] as const),
  [COMMUNITY_EDGE, '13.11.0'],
  ['4.2.1', COMMUNITY_EDGE],
];

describe('a database of any release', () => {
  it.each(PAIRS)(
    'exchanges every row once in both directions, and a lost ledger duplicates none: %s meets %s',
    async (old, recent) => {
      const a = fleet.add('a', old);
      const b = fleet.add('b', recent);
      fill(a, b);
      const expected = unite([inventory(a), inventory(b)]);
      await settle(fleet.space, [a, b]);
      expectAllThereOnce([a, b], expected);
      for (const node of [a, b]) {
        await node.engine.close();
        for (const end of ['', '-wal', '-shm']) rmSync(`${node.options.ledgerPath}${end}`, { force: true });
      }
      await settle(fleet.space, [a, b]);
      expectAllThereOnce([a, b], expected);
    },
  );

  it('is identified as the oldest release with such tables', async () => {
    const labels = await Promise.all(
      ['4.2.1', '6.5.3', '8.5.10', '10.6.3', '13.25.3'].map(
        async (release) => (await fleet.add(`of-${release}`, release).engine.status()).schema,
      ),
    );
    expect(labels).toEqual([
      'claude-mem 4.2.1',
      'claude-mem 6.0.6',
      'claude-mem 8.2.6',
      'claude-mem 10.4',
      'claude-mem 13.24 or later',
    ]);
  });

  it('gets no table, view or column from Membridge', async () => {
    const a = fleet.add('a', '4.2.1');
    const b = fleet.add('b', NEWEST);
    const layout = (): unknown[] => a.db.prepare('SELECT type, name, sql FROM sqlite_master').all();
    const before = layout();
    fill(a, b);
    await settle(fleet.space, [a, b]);
    expect(layout()).toEqual(before);
  });
});

describe('a type that an old release does not know', () => {
  it('stays readable as a concept there, and survives later changes of concepts', async () => {
    const a = fleet.add('a', '5.5.1');
    const b = fleet.add('b', NEWEST);
    fill(a, b);
    await settle(fleet.space, [a, b]);
    const stored = (title: string): unknown =>
      a.db.prepare('SELECT type, concepts FROM observations WHERE title LIKE ?').get(`%(${title})`);
    expect(stored('1')).toEqual({ type: 'discovery', concepts: '["membridge-type=security_alert" ]' });
    expect(stored('2')).toEqual({
      type: 'discovery',
      concepts: '["membridge-type=security_alert","gotcha"]',
    });
    expectAllThereOnce([a, b], inventory(b));

    const writer = new RowWriter(a.db);
    const id = a.db.prepare(`SELECT id FROM observations WHERE title LIKE '%(2)'`).pluck().get() as number;
    writer.update('observation', id, { concepts: '["pattern"]' });
    expect(stored('2')).toEqual({
      type: 'discovery',
      concepts: '["membridge-type=security_alert","pattern"]',
    });
    writer.update('observation', id, { type: 'bugfix' });
    expect(stored('2')).toEqual({ type: 'bugfix', concepts: '["pattern"]' });
  });

  it('survives the upgrade of its database, there and on a machine that joins later', async () => {
    const a = fleet.add('a', '4.2.1');
    const b = fleet.add('b', NEWEST);
    fill(a, b);
    await settle(fleet.space, [a, b]);
    upgradeDatabase(a.db, NEWEST);
    await settle(fleet.space, [a, b]);
    expect(a.hash()).toBe(b.hash());
    // The next merge moves the carried type to its column, where claude-mem shows it.
    b.write.prompt({ contentSessionId: 'other-platform', number: 2, text: 'Water it', createdAt: JANUARY });
    const expected = inventory(b);
    await settle(fleet.space, [a, b]);
    expectAllThereOnce([a, b], expected);
    expect(
      a.db
        .prepare(
          `SELECT platform_source, worker_port FROM sdk_sessions WHERE content_session_id = 'other-platform'`,
        )
        .get(),
    ).toEqual({ platform_source: 'codex', worker_port: null });
    await a.engine.close();
    rmSync(a.options.ledgerPath, { force: true });
    const c = fleet.add('c', '12.7.5');
    await settle(fleet.space, [a, b, c]);
    expectAllThereOnce([a, b, c], expected);
  });
});

describe('one old database copied to two machines and upgraded on both', () => {
  it.each([
    ['5.5.1', NEWEST, NEWEST],
    ['9.1.1', NEWEST, NEWEST],
    ['10.6.3', '12.7.5', NEWEST],
    ['4.2.1', '13.10.4', '13.15.3'],
  ])('has one history: %s upgraded to %s and to %s', async (old, first, second) => {
    const a = fleet.add('a', old);
    const b = fleet.add('b', old);
    for (const node of [a, b]) {
      writeHistory(node.db, { name: 'copied', seed: 9, observations: 60, from: JANUARY });
      node.write.observation({
        memorySessionId: 'mem-copied-000000',
        project: 'garden',
        title: null,
        narrative: 'No title, no hash.',
        concepts: ['gotcha: mind the step', 'how-it-works'],
        contentHash: null,
        createdAt: JANUARY,
      });
    }
    upgradeDatabase(a.db, first);
    upgradeDatabase(b.db, second);
    const expected = inventory(a);
    await settle(fleet.space, [a, b]);
    expectAllThereOnce([a, b], expected);
    expect(a.count('observations')).toBe(61);
  });

  it('has one history with a machine that stayed on the old release', async () => {
    const a = fleet.add('a', '5.5.1');
    const b = fleet.add('b', '5.5.1');
    for (const node of [a, b])
      writeHistory(node.db, { name: 'copied', seed: 9, observations: 60, from: JANUARY });
    await settle(fleet.space, [a, b]);
    upgradeDatabase(b.db, NEWEST);
    writeHistory(b.db, { name: 'since', seed: 10, observations: 24, from: JANUARY + 1e9 });
    const expected = inventory(b);
    await settle(fleet.space, [a, b]);
    expectAllThereOnce([a, b], expected);
  });
});

describe('a column that one side does not know', () => {
  it('passes through an old machine’s fleet to a machine that joins later', async () => {
    const a = fleet.add('a', NEWEST);
    const b = fleet.add('b', '7.4.5');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    a.db.exec(`UPDATE observations SET metadata = '{"a":1}'`);
    await settle(fleet.space, [a, b]);
    const c = fleet.add('c', NEWEST);
    await settle(fleet.space, [b, c]);
    expect(c.db.prepare(`SELECT count(*) FROM observations WHERE metadata = '{"a":1}'`).pluck().get()).toBe(
      12,
    );
  });

  it('makes Membridge refuse the database, untouched, when every row needs it', async () => {
    const a = fleet.add('a', NEWEST);
    const b = fleet.add('b', NEWEST);
    writeHistory(b.db, { name: 'beta', seed: 1, observations: 12, from: JANUARY });
    await b.engine.push(fleet.space, CALL);
    a.db.exec(`DROP TABLE tool_uses; CREATE TABLE new_prompts AS SELECT * FROM user_prompts;
      DROP TABLE user_prompts; CREATE TABLE user_prompts (id INTEGER PRIMARY KEY AUTOINCREMENT, session_db_id INTEGER,
      content_session_id TEXT NOT NULL, prompt_number INTEGER NOT NULL, prompt_text TEXT NOT NULL, created_at TEXT NOT NULL,
      created_at_epoch INTEGER NOT NULL, tenant TEXT NOT NULL)`);
    a.db.pragma('wal_checkpoint(TRUNCATE)');
    const digest = (): string => createHash('sha256').update(readFileSync(a.path)).digest('hex');
    const before = digest();
    await expect(a.engine.pull(fleet.space, true, CALL)).rejects.toMatchObject({
      code: 'memory_schema_unknown',
      message: expect.stringContaining('user_prompts.tenant') as string,
    });
    expect(digest()).toBe(before);
  });
});

it('is synced even without full-text tables', async () => {
  const a = fleet.add('a', NEWEST);
  const b = fleet.add('b', '6.5.3');
  for (const table of ['observations', 'session_summaries']) {
    b.db.exec(
      `DROP TRIGGER ${table}_ai; DROP TRIGGER ${table}_ad; DROP TRIGGER ${table}_au; DROP TABLE ${table}_fts`,
    );
  }
  fill(b, a);
  const expected = unite([inventory(a), inventory(b)]);
  await settle(fleet.space, [a, b]);
  for (const node of [a, b]) {
    expect(compare(inventory(node), expected)).toEqual({ lost: 0, duplicated: 0 });
    expect(node.db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  }
  expect(a.hash()).toBe(b.hash());
});

it('does not stop what an old claude-mem writes later from being sent', async () => {
  const a = fleet.add('a', '4.2.1');
  const b = fleet.add('b', NEWEST);
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
  await settle(fleet.space, [a, b]);
  a.write.prompt({ contentSessionId: 'alpha-000000', number: 99, text: 'And now?', createdAt: JANUARY });
  await settle(fleet.space, [a, b]);
  expect(b.db.prepare('SELECT count(*) FROM user_prompts WHERE prompt_number = 99').pluck().get()).toBe(1);
});

it('does not hide a deletion after an upgrade when the newest rows were deleted before it', async () => {
  const [a, b] = [fleet.add('a', '13.15.3'), fleet.add('b', NEWEST)];
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await settle(fleet.space, [a, b]);
  const before = b.count('observations');
  const newest = (): number => Number(a.db.prepare('SELECT max(id) FROM observations').pluck().get());
  a.db.prepare('DELETE FROM observations WHERE id > ?').run(newest() - 3);
  await settle(fleet.space, [a, b]);
  // The upgrade copies the tables: the next id follows the highest remaining one.
  upgradeDatabase(a.db, NEWEST);
  a.db.prepare('DELETE FROM observations WHERE id = ?').run(newest() - 2);
  await settle(fleet.space, [a, b]);
  expect([a.count('observations'), b.count('observations')]).toEqual([before - 4, before - 4]);
});
