import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MembridgeError } from '../contract/errors.ts';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { openObjectStore } from '../storage/object-store.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../test/memory/nodes.ts';
import { changedStore } from '../test/memory/changed-store.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
beforeEach(async () => {
  fleet = await newFleet();
});
afterEach(() => fleet.close());

async function pushesAfter(rounds: number, nodes: TestNode[]): Promise<number[]> {
  const sent: number[] = [];
  for (let round = 0; round < rounds; round += 1)
    for (const node of nodes) {
      sent.push((await node.engine.push(fleet.space, CALL)).rows);
      await node.engine.pull(fleet.space, false, CALL);
    }
  return sent;
}

it('the same instant written in two formats settles on one format', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  for (const node of [a, b])
    node.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'p', startedAt: JANUARY });
  b.db.exec(`UPDATE sdk_sessions SET started_at = '2026-01-05 09:00:00'`);
  const sent = await pushesAfter(12, [a, b]);
  expect(sent.slice(-4)).toEqual([0, 0, 0, 0]);
});

it('a session with completed_at text but no epoch on one machine settles', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  for (const node of [a, b])
    node.write.session({
      contentSessionId: 's',
      memorySessionId: 'm',
      project: 'p',
      startedAt: JANUARY,
      status: 'active',
    });
  b.db.exec(`UPDATE sdk_sessions SET completed_at = '2026-01-05 10:00:00'`);
  const sent = await pushesAfter(12, [a, b]);
  expect(sent.slice(-4)).toEqual([0, 0, 0, 0]);
});

it('an orphan finds its session when its memory id is that session’s content id', async () => {
  const a = fleet.add('a', '13.25.3', { orphanWaitMs: 0 });
  const b = fleet.add('b', '13.25.3', { orphanWaitMs: 0 });
  a.write.session({ contentSessionId: 'conv', memorySessionId: 'minted', project: 'p', startedAt: JANUARY });
  a.db.pragma('foreign_keys = OFF');
  a.write.observation({
    memorySessionId: 'conv',
    project: 'p',
    title: 'Orphan',
    narrative: 'x',
    createdAt: JANUARY,
  });
  await settle(fleet.space, [a, b]);
  expect((await b.engine.pull(fleet.space, true, CALL)).waiting).toBe(0);
  expect(b.count('observations')).toBe(1);
});

it('a lost head does not hide a node', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await a.options.store.remove(`projects/${fleet.space.cid}/memory/v1/heads/a`);
  await a.engine.push(fleet.space, CALL);
  await a.engine.pull(fleet.space, true, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  expect(b.count('observations')).toBe(24);
});

it('a lost certificate is published again', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await a.options.store.remove(`projects/${fleet.space.cid}/memory/v1/keys/a.json`);
  await a.engine.push(fleet.space, CALL);
  await a.engine.pull(fleet.space, true, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  expect(b.count('observations')).toBe(24);
});

it('a certificate that rotted in the store is published again', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await a.options.store.put(`projects/${fleet.space.cid}/memory/v1/keys/a.json`, Buffer.from('{"format":'));
  await a.engine.pull(fleet.space, true, CALL);
  expect((await b.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
  expect(b.count('observations')).toBe(24);
});

it('unreadable keys of one node do not stop the other nodes', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  writeHistory(b.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  const { store } = a.options;
  const key = `projects/${fleet.space.cid}/memory/v1/keys/a.json`;
  const keys = (await store.get(key)) ?? Buffer.alloc(0);
  await store.put(key, keys.subarray(0, 40));
  // The store holds objects of that node only.
  const { problems, inserted } = await b.engine.pull(fleet.space, true, CALL);
  expect(problems).toEqual([{ node: 'a', problem: expect.stringContaining('keys of node a') as string }]);
  expect(inserted).toBe(0);
  expect((await b.engine.push(fleet.space, CALL)).rows).toBeGreaterThan(24);
  await store.put(key, keys);
  // No head moved, yet the segment that could not be judged is fetched again.
  expect((await b.engine.pull(fleet.space, false, CALL)).problems).toEqual([]);
  expect(b.count('observations')).toBe(48);
  // Nothing was reported as damaged, so nothing is sent again.
  expect((await a.engine.push(fleet.space, CALL)).rows).toBe(0);
});

it('a store that lost everything is refilled by the nodes', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  for (const o of await a.options.store.list('projects/')) await a.options.store.remove(o.key);
  a.write.prompt({ contentSessionId: 'alpha-000000', number: 99, text: 'after', createdAt: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  expect(b.count('observations')).toBe(24);
});

it('an unreadable object of one node does not stop the others', async () => {
  const a = fleet.add('a', '13.25.3');
  const c = fleet.add('c', '13.25.3');
  const real = openObjectStore(fleet.access);
  const b = fleet.add('b', '13.25.3', {
    store: changedStore(real, {
      get: async (k) => {
        if (k.includes('/seg/a/'))
          throw new MembridgeError('store_unavailable', 'disk of the store is bad there');
        return await real.get(k);
      },
    }),
  });
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  writeHistory(c.db, { name: 'gamma', seed: 2, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await c.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, true, CALL).catch(() => undefined);
  expect(b.count('observations')).toBe(24);
});

for (const restart of [true, false])
  it(`rows written after the database was restored to yesterday's are sent (restart ${restart})`, async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 48, from: JANUARY });
    await settle(fleet.space, [a, b]);
    const backup = join(fleet.folder, 'yesterday.db');
    await a.db.backup(backup);
    writeHistory(a.db, { name: 'later', seed: 2, observations: 24, from: JANUARY + 1e9 });
    await settle(fleet.space, [a, b]);
    if (restart) await a.engine.close();
    // Restores in place, as `sqlite3 claude-mem.db ".restore yesterday.db"` does.
    const old = new Database(backup);
    a.db.exec(`ATTACH '${backup}' AS old; PRAGMA foreign_keys = OFF`);
    for (const t of ['user_prompts', 'observations', 'session_summaries', 'sdk_sessions'])
      a.db.exec(`DELETE FROM main.${t} WHERE id NOT IN (SELECT id FROM old.${t})`);
    a.db.exec(
      `DELETE FROM main.sqlite_sequence; INSERT INTO main.sqlite_sequence SELECT * FROM old.sqlite_sequence; DETACH old; PRAGMA foreign_keys = ON`,
    );
    old.close();
    writeHistory(a.db, { name: 'today', seed: 3, observations: 36, from: JANUARY + 2e9 });
    await settle(fleet.space, [a, b]);
    const missing = b.db
      .prepare(`SELECT count(*) FROM sdk_sessions WHERE content_session_id LIKE 'today%'`)
      .pluck()
      .get();
    expect([missing, b.count('observations')]).toEqual([3, 108]);
  });

it('sessions of two platforms with one id stay apart on a database that knows one platform', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '12.7.5');
  a.write.session({
    contentSessionId: 's',
    memorySessionId: 'm1',
    project: 'garden',
    userPrompt: 'plant',
    startedAt: JANUARY,
    platform: 'claude',
  });
  a.write.session({
    contentSessionId: 's',
    memorySessionId: 'm2',
    project: 'billing',
    userPrompt: 'invoice',
    startedAt: JANUARY + 5,
    platform: 'codex',
  });
  const before = a.db
    .prepare('SELECT platform_source, project, user_prompt FROM sdk_sessions ORDER BY id')
    .all();
  await settle(fleet.space, [a, b]);
  expect(
    a.db.prepare('SELECT platform_source, project, user_prompt FROM sdk_sessions ORDER BY id').all(),
  ).toEqual(before);
});

it('tables that claude-mem upgrades while the agent runs are used in their new form', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '12.7.5');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await b.engine.status();
  b.db.exec(
    'ALTER TABLE user_prompts ADD COLUMN session_db_id INTEGER REFERENCES sdk_sessions(id) ON DELETE CASCADE',
  );
  await settle(fleet.space, [a, b]);
  expect(b.db.prepare('SELECT count(*) FROM user_prompts WHERE session_db_id IS NULL').pluck().get()).toBe(0);
});

it('a damaged ledger is not reported as a damaged claude-mem database', async () => {
  const a = fleet.add('a', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 240, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await a.engine.close();
  const bytes = readFileSync(a.options.ledgerPath);
  bytes.fill(0x5a, 3 * 4096);
  writeFileSync(a.options.ledgerPath, bytes);
  rmSync(`${a.options.ledgerPath}-wal`, { force: true });
  const error = await a.engine.push(fleet.space, CALL).then(
    () => null,
    (e: unknown) => e,
  );
  expect((error as MembridgeError).code).toBe('ledger_failed');
});

it('a session with a name that is not UTF-8 does not cost its whole segment', async () => {
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  a.write.session({ contentSessionId: 'x', memorySessionId: 'mx', project: 'p', startedAt: JANUARY });
  a.db
    .prepare(`UPDATE sdk_sessions SET content_session_id = CAST(? AS TEXT) WHERE content_session_id = 'x'`)
    .run(Buffer.from([0x6d, 0xff]));
  await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, false, CALL);
  expect(b.count('observations')).toBe(24);
});

it('a waiting row keeps the later of two versions', async () => {
  const c = fleet.add('c', '13.25.3', { orphanWaitMs: 0 });
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  const row = { memorySessionId: 'm', title: 't', narrative: 'n', createdAt: JANUARY };
  for (const [node, project] of [
    [a, 'late'],
    [b, 'early'],
  ] as const) {
    node.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'p', startedAt: JANUARY });
    node.write.observation({ ...row, project });
  }
  // Both first pushes happen before either is seen: b pushes first, but a listed the store before that.
  const slow = fleet.space;
  const hideB = async () => {
    await b.engine.push(slow, CALL);
    const { store } = b.options;
    const hidden: [string, Buffer][] = [];
    for (const { key } of await store.list('projects/'))
      hidden.push([key, (await store.get(key)) ?? Buffer.alloc(0)]);
    for (const [key] of hidden) await store.remove(key);
    await a.engine.push(slow, CALL);
    for (const [key, bytes] of hidden) await store.put(key, bytes);
  };
  await hideB();
  // c has its own live session of that name, without a memory id yet, so the rows wait.
  c.write.session({
    contentSessionId: 's',
    memorySessionId: null,
    project: 'p',
    startedAt: Date.now(),
    status: 'active',
  });
  c.write.prompt({ contentSessionId: 's', number: 1, text: 'hi', createdAt: Date.now() });
  await c.engine.pull(slow, true, CALL);
  c.db.exec(`UPDATE sdk_sessions SET memory_session_id = 'mine', status = 'completed'`);
  await settle(slow, [a, b, c]);
  expect([a, b, c].map((n) => n.db.prepare('SELECT project FROM observations').pluck().all())).toEqual([
    ['late'],
    ['late'],
    ['late'],
  ]);
});

it('a retried push sends what the first try prepared', async () => {
  const real = openObjectStore(fleet.access);
  let fail = true;
  const a = fleet.add('a', '13.25.3', {
    store: changedStore(real, {
      put: async (k, v) => {
        if (fail && k.includes('/heads/')) {
          fail = false;
          throw new MembridgeError('store_unavailable', 'x');
        }
        await real.put(k, v);
      },
    }),
  });
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL).catch(() => undefined);
  expect((await a.engine.push(fleet.space, CALL)).rows).toBeGreaterThan(0);
});

it('a session in use keeps the memory id that its worker knows, although it began on another machine', async () => {
  const a = fleet.add('a', '13.25.3');
  const c = fleet.add('c', '13.25.3');
  a.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'p', startedAt: JANUARY });
  a.write.observation({ memorySessionId: 'm', project: 'p', title: 't', narrative: 'n', createdAt: JANUARY });
  await a.engine.push(fleet.space, CALL);
  c.write.session({
    contentSessionId: 's',
    memorySessionId: null,
    project: 'p',
    startedAt: Date.now(),
    status: 'active',
  });
  await c.engine.pull(fleet.space, true, CALL);
  expect(c.db.prepare('SELECT memory_session_id FROM sdk_sessions').pluck().get()).toBe(null);
});

it('a session that gets its project later sends its earlier prompts to that project’s space', async () => {
  const garden = { ...fleet.space, projects: ['garden'] };
  const a = fleet.add('a', '13.25.3');
  const b = fleet.add('b', '13.25.3');
  const session = { contentSessionId: 's', memorySessionId: null, project: '', startedAt: JANUARY };
  a.write.session({ ...session, status: 'active' });
  a.write.prompt({ contentSessionId: 's', number: 1, text: 'first', createdAt: JANUARY });
  await a.engine.push(garden, CALL);
  a.db.exec(`UPDATE sdk_sessions SET project = 'garden', memory_session_id = 'm'`);
  a.write.observation({
    memorySessionId: 'm',
    project: 'garden',
    title: 't',
    narrative: 'n',
    createdAt: JANUARY,
  });
  await a.engine.push(garden, CALL);
  await b.engine.pull(garden, true, CALL);
  expect([b.count('sdk_sessions'), b.count('observations'), b.count('user_prompts')]).toEqual([1, 1, 1]);
});

it('a segment whose PUT got no answer is sent again under the same name, in the same incarnation', async () => {
  const a = fleet.add('a', '13.25.3');
  a.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'p', startedAt: JANUARY });
  const first = await a.engine.push(fleet.space, CALL);
  const { store } = a.options;
  const put = store.put.bind(store);
  a.write.observation({ memorySessionId: 'm', project: 'p', title: 't', narrative: 'n', createdAt: JANUARY });
  store.put = async (key, bytes) => {
    await put(key, bytes);
    throw new MembridgeError('store_unavailable', 'the answer was lost');
  };
  await expect(a.engine.push(fleet.space, CALL)).rejects.toThrow('the answer was lost');
  store.put = put;
  await a.engine.pull(fleet.space, true, CALL);
  const again = await a.engine.push(fleet.space, CALL);
  expect(again.head).toEqual({ epoch: first.head?.epoch, seq: 2 });
  expect(await store.list(`projects/${fleet.space.cid}/memory/v1/seg/`)).toHaveLength(2);
});
