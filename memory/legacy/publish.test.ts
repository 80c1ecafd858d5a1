import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import {
  createServer,
  request as forward,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { newLegacyFleet, type LegacyFleet } from '../../test/memory/legacy-fleet.ts';
import { CALL, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { originalPull, type OriginalMachine } from '../../test/memory/original.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';
import { legacyKeys } from './objects.ts';
import type { LegacyPublication, LegacyTarget } from './publish.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let legacy: LegacyFleet;
let fleet: TestFleet;
let store: ObjectStore;
let a: TestNode;
let old: OriginalMachine;
const opened: Database.Database[] = [];
beforeEach(async () => {
  legacy = await newLegacyFleet();
  ({ fleet, store, a, old } = legacy);
});
afterEach(async () => {
  for (const db of opened.splice(0)) db.close();
  await legacy.close();
});

const published = async (
  node: TestNode,
  space: SpaceConfig = fleet.space,
  target: Partial<LegacyTarget> = {},
): Promise<LegacyPublication> =>
  await node.engine.publishLegacy(space, { access: fleet.access, ...target }, CALL);
async function pulled(): ReturnType<typeof originalPull> {
  const result = await originalPull(fleet.folder, { project: fleet.space.projectId, store });
  opened.push(result.db);
  return result;
}
const all = (db: Database.Database, sql: string): unknown[] => db.prepare(sql).pluck().all();
const etags = async (): Promise<string[]> =>
  (await store.list('projects/'))
    .map(({ key, etag }) => `${key} ${etag}`)
    .filter((line) => !line.includes('/memory/'));
const observe = (
  { write }: Pick<TestNode, 'write'>,
  project: string,
  title: string,
  narrative = 'n',
): void => {
  const session = `${project}-${title}`;
  write.session({
    contentSessionId: `s-${session}`,
    memorySessionId: `mem-${session}`,
    project,
    userPrompt: `about ${title}`,
    startedAt: JANUARY,
  });
  write.prompt({ contentSessionId: `s-${session}`, number: 1, text: `do ${title}`, createdAt: JANUARY });
  write.observation({ memorySessionId: `mem-${session}`, project, title, narrative, createdAt: JANUARY + 1 });
};

it('an encrypted space is never published as a plain database', async () => {
  observe(a, 'open', 'plan');
  await expect(published(a, { ...fleet.space, encrypted: true })).rejects.toThrow('is encrypted');
  expect(await etags()).toEqual([]);
});
describe('a published snapshot', () => {
  it('passes every check of the original’s script', async () => {
    writeHistory(a.db, { name: 'mine', seed: 8, observations: 60, from: JANUARY });
    a.db
      .exec(`INSERT INTO pending_messages (session_db_id, content_session_id, message_type, created_at_epoch)
      VALUES (1, 's', 'observation', 1)`);
    const before = readdirSync(dirname(a.path));
    const result = await published(a);
    expect(result).toMatchObject({ state: 'published', imported: 0 });
    const { path, db, sha, manifest } = await pulled();
    expect(db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    expectIntact(path, 'pulled');
    const count = (table: string): unknown => all(db, `SELECT count(*) FROM ${table}`)[0];
    expect(manifest).toMatchObject({
      project: fleet.space.projectId,
      canonical_id: fleet.space.cid,
      source_host: hostname(),
      db_size: readFileSync(path).length,
      sha256: sha,
      observations: count('observations'),
      session_summaries: count('session_summaries'),
      user_prompts: count('user_prompts'),
      tables: count(`sqlite_master WHERE type = 'table'`),
    });
    expect([count('observations'), count('sdk_sessions'), count('pending_messages')]).toEqual([60, 5, 0]);
    expect(all(db, `SELECT rowid FROM observations_fts WHERE observations_fts MATCH 'search'`)).toEqual(
      all(a.db, `SELECT rowid FROM observations_fts WHERE observations_fts MATCH 'search'`),
    );
    // claude-mem can continue with it: the triggers exist.
    db.prepare(`UPDATE observations SET title = 'zebra' WHERE id = 1`).run();
    expect(all(db, `SELECT rowid FROM observations_fts WHERE observations_fts MATCH 'zebra'`)).toEqual([1]);
    // The lock is free again, and the folders are unchanged.
    expect(await store.get(legacyKeys(fleet.space.cid).lock)).toBeNull();
    expect(readdirSync(dirname(a.path)).filter((name) => !name.startsWith('ledger.db'))).toEqual(
      before.filter((name) => !name.startsWith('ledger.db')),
    );
  });

  it('is not reported as unchanged when another push was interrupted after its database', async () => {
    observe(a, 'garden', 'mine');
    await published(a);
    observe(old, 'garden', 'theirs');
    await old.push({ stop: 'after-database' });
    await expect(published(a)).rejects.toMatchObject({ code: 'segment_invalid' });
    expect(await published(a, fleet.space, { overwrite: true })).toMatchObject({ state: 'published' });
    expect(all((await pulled()).db, 'SELECT title FROM observations ORDER BY title')).toEqual([
      'mine',
      'theirs',
    ]);
  });

  it('is written once: no node sends anything while nothing changes', async () => {
    writeHistory(a.db, { name: 'mine', seed: 8, observations: 24, from: JANUARY });
    const b = fleet.add('b', '10.6.3');
    await settle(fleet.space, [a, b]);
    await published(a);
    const stand = await etags();
    const again = await published(a);
    expect(again).toMatchObject({ state: 'unchanged', traffic: { requests: 2, bytesUp: 0 } });
    // A new process compares the contents, and so does another node with another claude-mem.
    await a.engine.close();
    const restarted = fleet.reopen(a, {});
    expect(await restarted.publishLegacy(fleet.space, { access: fleet.access }, CALL)).toMatchObject({
      state: 'unchanged',
      traffic: { requests: 3, bytesUp: 0 },
    });
    await restarted.close();
    expect(await published(b)).toMatchObject({ state: 'unchanged', imported: 0, traffic: { bytesUp: 0 } });
    expect(await etags()).toEqual(stand);

    observe(a, 'garden', 'newer');
    expect(await published(a)).toMatchObject({ state: 'published' });
    expect(all((await pulled()).db, `SELECT title FROM observations WHERE title = 'newer'`)).toHaveLength(1);
  });

  it('contains what the previous machine pushed, and reverts nothing', async () => {
    observe(old, 'garden', 'theirs');
    observe(old, 'garden', 'deleted');
    await old.push();
    observe(a, 'garden', 'mine');
    await a.engine.importLegacy(fleet.space, { access: fleet.access }, CALL);
    await a.engine.push(fleet.space, CALL);
    a.db.prepare(`DELETE FROM observations WHERE title = 'deleted'`).run();
    await a.engine.audit(CALL, { deep: true });
    observe(old, 'garden', 'later');
    await old.push();
    expect(await published(a)).toMatchObject({ state: 'published', imported: 3 });
    expect(all((await pulled()).db, 'SELECT title FROM observations ORDER BY title')).toEqual([
      'later',
      'mine',
      'theirs',
    ]);
  });

  it('contains what was pushed under an older space name, and a refusal says what was imported', async () => {
    const renamed: SpaceConfig = {
      ...fleet.space,
      cid: canonicalId('renamed'),
      projectId: 'renamed',
      aliases: [fleet.space.cid],
    };
    observe(old, 'garden', 'theirs');
    await old.push();
    observe(a, 'garden', 'mine');
    const body = {
      hostname: 'other',
      timestamp: Math.floor(Date.now() / 1_000),
      project: 'x',
      canonical_id: 'x',
    };
    await store.put(legacyKeys(renamed.cid).lock, Buffer.from(JSON.stringify(body)));
    await expect(published(a, renamed)).rejects.toThrow(
      /other took the push lock .* 3 memories came in from the previous snapshot\.$/,
    );
    expect(await published(a, renamed, { force: true })).toMatchObject({
      state: 'published',
      counts: { observations: 2 },
    });
  });

  it('contains only the space, under its names and without secrets', async () => {
    observe(a, 'my-garden', 'in', `the token is ghp_${'a1B2'.repeat(9)}`);
    observe(a, 'billing', 'out');
    observe(a, 'diary', 'private');
    observe(a, 'observer-sessions', 'noise');
    a.write.observation({
      memorySessionId: 'mem-billing-out',
      project: 'my-garden',
      title: 'guest',
      narrative: 'n',
      createdAt: JANUARY + 2,
    });
    const space: SpaceConfig = {
      ...fleet.space,
      projects: ['garden', 'diary'],
      excluded: ['diary'],
      names: { 'my-garden': 'garden' },
    };
    await published(a, space);
    const { path, db } = await pulled();
    expect(db.prepare('SELECT project, title, narrative FROM observations ORDER BY id').raw().all()).toEqual([
      ['garden', 'in', 'the token is [redacted:github-token]'],
      ['garden', 'guest', 'n'],
    ]);
    expect(all(db, 'SELECT content_session_id FROM sdk_sessions ORDER BY id')).toEqual([
      's-my-garden-in',
      's-billing-out',
    ]);
    expectIntact(path, 'pulled');
    // Nothing else is in the file, not even on a free page or in an index.
    const bytes = readFileSync(path).toString('latin1');
    for (const word of ['private', 'noise', 'ghp_', 'my-garden/']) expect(bytes).not.toContain(word);
    // The local database is unchanged.
    expect(all(a.db, 'SELECT count(*) FROM observations')).toEqual([5]);
    expect(all(a.db, `SELECT narrative FROM observations WHERE title = 'in'`)[0]).toContain('ghp_');

    await published(a, { ...space, redact: false });
    expect(all((await pulled()).db, `SELECT narrative FROM observations WHERE title = 'in'`)[0]).toContain(
      'ghp_',
    );
  });

  it('contains only the name of a session in an excluded project', async () => {
    observe(a, 'diary', 'private');
    a.db.exec(`UPDATE sdk_sessions SET custom_title = 'Dear diary', observed_model = 'model-x'`);
    const guest = { memorySessionId: 'mem-diary-private', project: 'garden', title: 'guest', narrative: 'n' };
    a.write.observation({ ...guest, createdAt: JANUARY + 2 });
    await published(a, { ...fleet.space, excluded: ['diary'] });
    const { path, db } = await pulled();
    expect(
      db.prepare('SELECT project, user_prompt, custom_title, observed_model FROM sdk_sessions').raw().all(),
    ).toEqual([['', null, null, null]]);
    expect(all(db, 'SELECT title FROM observations')).toEqual(['guest']);
    expectIntact(path, 'pulled');
    const bytes = readFileSync(path).toString('latin1');
    for (const word of ['about private', 'Dear diary', 'do private']) expect(bytes).not.toContain(word);
  });

  it('contains no stub session whose rows were deleted', async () => {
    const b = fleet.add('b', '13.25.3');
    b.db.pragma('foreign_keys = OFF');
    b.write.observation({
      memorySessionId: 'mem-lost',
      project: 'garden',
      title: 'orphan',
      narrative: 'n',
      createdAt: JANUARY,
    });
    observe(b, 'garden', 'kept');
    const c = fleet.add('c', '13.25.3', { orphanWaitMs: 0 });
    await b.engine.push(fleet.space, CALL);
    await c.engine.pull(fleet.space, true, CALL);
    expect(all(c.db, 'SELECT count(*) FROM sdk_sessions')).toEqual([2]);
    c.db.exec(`DELETE FROM observations WHERE title = 'orphan'`);
    await c.engine.push(fleet.space, CALL);
    expect(all(c.db, 'SELECT count(*) FROM sdk_sessions')).toEqual([2]);
    await published(c);
    expect(all((await pulled()).db, 'SELECT content_session_id FROM sdk_sessions')).toEqual([
      's-garden-kept',
    ]);
  });

  it('has the old format on an old claude-mem', async () => {
    const c = fleet.add('c', '5.5.1');
    writeHistory(c.db, { name: 'c', seed: 3, observations: 24, from: JANUARY });
    await published(c, { ...fleet.space, projects: ['garden', 'billing'] });
    const { path, db, manifest } = await pulled();
    expectIntact(path, 'pulled');
    expect(manifest['observations']).toBe(all(db, 'SELECT count(*) FROM observations')[0]);
    expect(new Set(all(db, 'SELECT project FROM observations'))).not.toContain('website');
    expect(await a.engine.importLegacy(fleet.space, { access: fleet.access }, CALL)).toMatchObject({
      inserted: expect.any(Number) as unknown,
      waiting: 0,
    });
    expect(a.count('observations')).toBe(manifest['observations']);
  });
});

describe('a publication', () => {
  const lock = async (host: string, age: number): Promise<void> => {
    const body = {
      hostname: host,
      timestamp: Math.floor(Date.now() / 1_000) - age,
      project: 'test',
      canonical_id: 'x',
    };
    await store.put(legacyKeys(fleet.space.cid).lock, Buffer.from(JSON.stringify(body)));
  };

  it('is refused while another host holds the push lock, until the lock expires', async () => {
    observe(a, 'garden', 'mine');
    await lock('old-laptop', 100);
    const stand = await etags();
    await expect(published(a)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(
        /old-laptop took the push lock .*active\.lock 10\d s ago\. Nothing was published/,
      ) as unknown,
    });
    expect(await etags()).toEqual(stand);
    await lock('old-laptop', 7_255);
    await expect(published(a)).rejects.toThrow(/try again in [1-6] s/);
    await expect(published(a)).rejects.toThrow(/held since 20\d\d-.*Z and counts until 20\d\d-.*--force/);
    await expect(published(a, fleet.space, { lockSeconds: 600 })).resolves.toMatchObject({
      state: 'published',
    });
    await lock(hostname(), 1);
    observe(a, 'garden', 'more');
    expect(await published(a)).toMatchObject({ state: 'published' });
    expect(await store.get(legacyKeys(fleet.space.cid).lock)).toBeNull();
  });

  it('is refused while another host holds the push lock, unless a person takes it', async () => {
    observe(a, 'garden', 'mine');
    await lock('old-laptop', 100);
    expect(await published(a, fleet.space, { force: true })).toMatchObject({ state: 'published' });
    expect(await store.get(legacyKeys(fleet.space.cid).lock)).toBeNull();
    // A lock from a clock that is ahead is valid, and can be taken.
    await lock('old-laptop', -90_000);
    observe(a, 'garden', 'more');
    await expect(published(a)).rejects.toThrow(/which this clock has yet to reach/);
    expect(await published(a, fleet.space, { force: true })).toMatchObject({ state: 'published' });
  });

  it('never replaces an unverifiable snapshot unless asked to; readable content is imported', async () => {
    observe(old, 'garden', 'theirs');
    await old.push();
    observe(old, 'garden', 'lost');
    await old.push({ stop: 'after-database' });
    observe(a, 'garden', 'mine');
    const stand = await etags();
    await expect(published(a)).rejects.toMatchObject({ code: 'segment_invalid' });
    expect(await etags()).toEqual(stand);
    expect(await published(a, fleet.space, { overwrite: true })).toMatchObject({
      state: 'published',
      imported: 6,
    });
    expect(all((await pulled()).db, 'SELECT title FROM observations ORDER BY title')).toEqual([
      'lost',
      'mine',
      'theirs',
    ]);
  });

  it('is refused for a database that lost very much', async () => {
    writeHistory(a.db, { name: 'mine', seed: 8, observations: 120, from: JANUARY });
    await published(a);
    const stand = await etags();
    a.db.exec('DELETE FROM observations WHERE id > 10');
    await expect(published(a)).rejects.toMatchObject({ code: 'memory_guarded' });
    expect(await etags()).toEqual(stand);
  });

  it('stops when the call is canceled before the upload, and releases the lock', async () => {
    observe(a, 'garden', 'mine');
    const controller = new AbortController();
    const progress = (text: string): void => {
      if (text === 'sending the snapshot') controller.abort(new Error('enough'));
    };
    const call = { signal: controller.signal, progress };
    await expect(a.engine.publishLegacy(fleet.space, { access: fleet.access }, call)).rejects.toThrow(
      'enough',
    );
    expect(await etags()).toEqual([]);
    expect(await published(a)).toMatchObject({ state: 'published' });
  });
});

describe('publishing to the store', () => {
  let proxy: Server;
  const writes: string[] = [];
  /** Runs before the n-th request for the lock is forwarded. */
  let atLock: () => Promise<void>;
  /** Key suffix of the objects that the store refuses to write. */
  let refused: string;
  /** Whether the store stops answering about the database once it was written. */
  let silent: boolean;
  beforeEach(async () => {
    writes.length = 0;
    atLock = () => Promise.resolve();
    refused = 'nothing';
    silent = false;
    const target = new URL(fleet.access.endpoint);
    const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const { method = '', url = '', headers } = request;
      if (url.endsWith('active.lock') && method === 'GET') {
        const work = atLock;
        atLock = () => Promise.resolve();
        await work();
      }
      const isAfterWrite = method === 'HEAD' && writes.includes('PUT claude-mem.db');
      if ((method === 'PUT' && url.endsWith(refused)) || (silent && isAfterWrite)) {
        request.resume();
        response.writeHead(503).end();
        return;
      }
      if (method !== 'GET' && method !== 'HEAD')
        writes.push(`${method} ${url.split('/').at(-1)?.split('?')[0] ?? ''}`);
      const onward = forward(
        { host: target.hostname, port: target.port, method, path: url, headers },
        (answer) => {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(response);
        },
      );
      request.pipe(onward);
    };
    proxy = createServer((request, response) => void pass(request, response));
    await new Promise<void>((settled) => proxy.listen(0, '127.0.0.1', settled));
  });
  afterEach(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const throughProxy = (): Partial<LegacyTarget> => ({
    access: { ...fleet.access, endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` },
  });

  it('writes the database first and the digest last, within the lock', async () => {
    observe(a, 'garden', 'mine');
    await published(a, fleet.space, throughProxy());
    expect(writes).toEqual([
      'PUT active.lock',
      'PUT claude-mem.db',
      'PUT manifest.json',
      'PUT claude-mem.db.sha256',
      'DELETE active.lock',
    ]);
  });

  it('loses nothing that is pushed between the first look and the lock', async () => {
    observe(a, 'garden', 'mine');
    observe(old, 'garden', 'early');
    await old.push();
    atLock = async () => {
      observe(old, 'garden', 'late');
      await old.push();
    };
    expect(await published(a, fleet.space, throughProxy())).toMatchObject({
      state: 'published',
      imported: 6,
    });
    expect(all((await pulled()).db, 'SELECT title FROM observations ORDER BY title')).toEqual([
      'early',
      'late',
      'mine',
    ]);
  });

  it('repairs a publication that stopped before the digest', async () => {
    observe(a, 'garden', 'first');
    await published(a);
    observe(a, 'garden', 'second');
    refused = '.sha256';
    await expect(published(a, fleet.space, throughProxy())).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    // The original's pull keeps what it has.
    await expect(pulled()).rejects.toThrow('SHA256 mismatch');
    a.db.prepare(`DELETE FROM sdk_sessions WHERE content_session_id = 's-garden-second'`).run();
    // The interrupted upload may have been pulled, so its observation and prompt count: two memories fewer.
    await expect(published(a)).rejects.toMatchObject({ code: 'mirror_guarded' });
    expect(await published(a, fleet.space, { fewer: 2 })).toMatchObject({ state: 'published' });
    expect(all((await pulled()).db, 'SELECT title FROM observations')).toEqual(['first']);
    expect(await store.get(legacyKeys(fleet.space.cid).lock)).toBeNull();
  });

  it('recognizes its own database when the store never confirmed the upload', async () => {
    observe(a, 'garden', 'first');
    await published(a);
    observe(a, 'garden', 'second');
    silent = true;
    await expect(published(a, fleet.space, throughProxy())).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    await expect(pulled()).rejects.toThrow('SHA256 mismatch');
    observe(a, 'garden', 'third');
    expect(await published(a)).toMatchObject({ state: 'published', imported: 0 });
    expect(all((await pulled()).db, 'SELECT title FROM observations ORDER BY title')).toEqual([
      'first',
      'second',
      'third',
    ]);
  });

  it('uploads a large snapshot in parts and downloads it whole', async () => {
    // Above the 64 MiB at which the client sends in parts; random, so that nothing compresses.
    const memorySessionId = 'mem-large';
    a.write.session({ contentSessionId: 's-large', memorySessionId, project: 'garden', startedAt: JANUARY });
    for (let n = 0; n < 3; n += 1) {
      const narrative = randomBytes(12 * 1024 * 1024).toString('hex');
      const large = {
        memorySessionId,
        project: 'garden',
        title: `large ${n}`,
        narrative,
        createdAt: JANUARY + n,
      };
      a.write.observation(large);
    }
    const { sha } = await published(a, { ...fleet.space, redact: false });
    const { db, sha: read } = await pulled();
    expect(read).toBe(sha);
    expect(all(db, 'SELECT sum(length(narrative)) FROM observations')).toEqual([3 * 24 * 1024 * 1024]);
    const b = fleet.add('b', '13.25.3');
    const result = await b.engine.importLegacy(
      { ...fleet.space, redact: false },
      { access: fleet.access },
      CALL,
    );
    expect(result).toMatchObject({ inserted: 4 });
  });
});
