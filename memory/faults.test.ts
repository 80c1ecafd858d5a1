import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MembridgeError } from '../contract/errors.ts';
import { compare, takeInventory, unite } from '../demo/inventory.ts';
import { buildDatabase } from '../fixtures/claude-mem/build.ts';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { MemoryWriter } from '../fixtures/claude-mem/write.ts';
import { freePort } from '../stack/ports.ts';
import { startMinio } from '../stack/minio.ts';
import { ensureBucket, openObjectStore } from '../storage/object-store.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../test/memory/nodes.ts';
import { expectIntact } from '../test/memory/expect-intact.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await newFleet();
});
afterEach(() => fleet.close());

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof MembridgeError ? error.code : `other: ${String(error)}`;
  }
}

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

function expectNothingLostOrDoubled(nodes: readonly TestNode[], expected: Map<string, number>): void {
  for (const node of nodes) {
    expect(compare(takeInventory(node.db), expected), node.name).toEqual({ lost: 0, duplicated: 0 });
    expectIntact(node.path, node.name);
    expect(node.hash()).toBe(nodes[0]?.hash());
  }
}

describe('a database that cannot be synced', () => {
  it('is named when it is missing, and is not created', async () => {
    const a = fleet.add('a', '13.25.3', { databasePath: join(fleet.folder, 'nowhere', 'claude-mem.db') });
    expect(await codeOf(a.engine.push(fleet.space, CALL))).toBe('memory_missing');
    expect(await a.engine.status()).toMatchObject({ state: 'missing' });
  });

  it('is left untouched when it is damaged', async () => {
    const path = join(fleet.folder, 'damaged.db');
    writeFileSync(path, 'this is no database, but somebody may still want it'.repeat(200));
    const before = digest(path);
    const a = fleet.add('a', '13.25.3', { databasePath: path });
    expect(await codeOf(a.engine.pull(fleet.space, false, CALL))).toBe('memory_corrupt');
    expect(await a.engine.status()).toMatchObject({ state: 'corrupt' });
    expect(digest(path)).toBe(before);
  });

  it('is left untouched when its schema is unknown', async () => {
    const path = join(fleet.folder, 'other.db');
    const other = new Database(path);
    other.exec('CREATE TABLE observations (id INTEGER PRIMARY KEY, note TEXT)');
    other.close();
    const before = digest(path);
    const a = fleet.add('a', '13.25.3', { databasePath: path });
    expect(await codeOf(a.engine.push(fleet.space, CALL))).toBe('memory_schema_unknown');
    expect(digest(path)).toBe(before);
  });

  it('is reported as locked, and merged once the lock is gone', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    b.db.exec('BEGIN IMMEDIATE');
    expect(await codeOf(b.engine.pull(fleet.space, false, CALL))).toBe('memory_locked');
    b.db.exec('ROLLBACK');
    await b.engine.pull(fleet.space, false, CALL);
    expectNothingLostOrDoubled([a, b], takeInventory(a.db));
  });

  it('is refused to a second agent', async () => {
    const a = fleet.add('a', '13.25.3');
    await a.engine.push(fleet.space, CALL);
    const second = fleet.add('second', '13.25.3', { databasePath: a.path });
    expect(await codeOf(second.engine.push(fleet.space, CALL))).toBe('memory_in_use');
  });
});

describe('a store that fails', () => {
  it('is reported when it disconnects during a push; the next push continues from there', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'membridge-minio-'));
    const keys = { accessKey: 'membridge-test', secretKey: 'membridge-test-secret' };
    const minio = await startMinio({ dataDir, port: await freePort(), ...keys, log: () => undefined });
    try {
      const access = {
        endpoint: minio.endpoint,
        region: 'us-east-1',
        bucket: 'memory',
        access_key: keys.accessKey,
        secret_key: keys.secretKey,
      };
      await ensureBucket(access);
      const a = fleet.add('a', '13.25.3', { store: openObjectStore(access) });
      const b = fleet.add('b', '13.25.3', { store: openObjectStore(access) });
      // More than two segments, so that there is a middle one.
      writeHistory(a.db, { name: 'alpha', seed: 1, observations: 6_000, from: JANUARY });
      const kills: Promise<void>[] = [];
      const progress = (text: string): void => {
        if (text.startsWith('sent') && kills.length === 0) kills.push(minio.kill());
      };
      expect(await codeOf(a.engine.push(fleet.space, { ...CALL, progress }))).toBe('store_unavailable');
      expect(kills).toHaveLength(1);
      await Promise.all(kills);
      await minio.restart();
      await settle(fleet.space, [a, b]);
      expectNothingLostOrDoubled([a, b], takeInventory(a.db));
    } finally {
      await minio.stop();
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it('cannot pass a damaged segment off as valid; the segment is used once it is restored', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    const c = fleet.add('c', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    writeHistory(c.db, { name: 'gamma', seed: 3, observations: 24, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const store = openObjectStore(fleet.access);
    const segments = await store.list(`projects/${fleet.space.cid}/memory/v1/seg/a/`);
    const key = segments[0]?.key ?? '';
    const good = (await store.get(key)) ?? Buffer.alloc(0);
    const bad = Buffer.from(good);
    bad[bad.length - 5] = (bad.at(-5) ?? 0) ^ 0xff;
    await store.put(key, bad);
    await c.engine.push(fleet.space, CALL);
    const pulled = await b.engine.pull(fleet.space, true, CALL);
    expect(pulled.problems).toMatchObject([{ node: 'a' }]);
    // The other node's memories arrived nevertheless.
    expect(b.count('observations')).toBe(24);
    await store.put(key, good);
    store.close();
    await settle(fleet.space, [a, b, c]);
    expectNothingLostOrDoubled([a, b, c], unite([takeInventory(a.db), takeInventory(c.db)]));
  });
});

/** Replaces a node's database file by a new one. The node is closed for it. */
async function beginAnew(node: TestNode, fill: (begun: Database.Database) => void): Promise<void> {
  await node.engine.close();
  const begun = buildDatabase(`${node.path}.new`, '13.25.3');
  fill(begun);
  begun.close();
  node.db.close();
  for (const suffix of ['-wal', '-shm']) rmSync(`${node.path}${suffix}`, { force: true });
  renameSync(`${node.path}.new`, node.path);
}

const saveByHand = (write: MemoryWriter, n: number): number =>
  write.observation({
    memorySessionId: 'manual',
    project: 'p',
    title: `title ${n}`,
    narrative: 'text',
    createdAt: JANUARY + n,
  });

describe('a lost ledger', () => {
  it('costs a new incarnation and no memory', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
    writeHistory(b.db, { name: 'beta', seed: 2, observations: 60, from: JANUARY });
    await settle(fleet.space, [a, b]);
    const expected = takeInventory(a.db);
    await a.engine.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${a.options.ledgerPath}${suffix}`, { force: true });
    a.write.prompt({ contentSessionId: 'alpha-000000', number: 99, text: 'after', createdAt: JANUARY });
    // The first push finds all but the new row in the store.
    expect((await a.engine.push(fleet.space, CALL)).rows).toBe(1);
    await settle(fleet.space, [a, b]);
    expectNothingLostOrDoubled([a, b], unite([expected, takeInventory(a.db)]));
  });

  it('is not used for another database in its database’s place', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
    await settle(fleet.space, [a, b]);
    const alpha = takeInventory(a.db);
    a.db.exec('DELETE FROM sdk_sessions; DELETE FROM user_prompts; DELETE FROM sqlite_sequence');
    writeHistory(a.db, { name: 'restored', seed: 9, observations: 36, from: JANUARY });
    await a.engine.close();
    await settle(fleet.space, [a, b]);
    expectNothingLostOrDoubled([a, b], unite([alpha, takeInventory(b.db)]));
    expect(a.count('observations')).toBe(96);
  });

  it('is not used for a recreated database after any deletions from that one', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    await settle(fleet.space, [a, b]);
    const alpha = takeInventory(a.db);
    await beginAnew(a, (begun) => {
      // Ids higher than the old ones; none of those rows is left.
      writeHistory(begun, { name: 'anew', seed: 9, observations: 36, from: JANUARY });
      begun.exec('DELETE FROM sdk_sessions');
    });
    const engine = fleet.reopen(a, {});
    await engine.pull(fleet.space, true, CALL);
    await engine.push(fleet.space, CALL);
    await engine.close();
    await b.engine.pull(fleet.space, true, CALL);
    for (const path of [a.path, b.path]) {
      const db = new Database(path, { readonly: true });
      expect(compare(takeInventory(db), alpha), path).toEqual({ lost: 0, duplicated: 0 });
      db.close();
    }
  });

  it('is not used for a database that only shares a session name with its own', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    // Memories saved by hand go into a session with the same name on every machine.
    const saved = { contentSessionId: 'manual', memorySessionId: 'manual', project: 'p' };
    a.write.session({ ...saved, startedAt: JANUARY });
    for (let n = 0; n < 12; n += 1) saveByHand(a.write, n);
    await settle(fleet.space, [a, b]);
    await beginAnew(a, (begun) => {
      const write = new MemoryWriter(begun);
      write.session({ ...saved, startedAt: JANUARY - 86_400_000 });
      for (let n = 12; n < 30; n += 1) saveByHand(write, n);
      begun.exec('DELETE FROM observations');
    });
    const engine = fleet.reopen(a, {});
    for (let round = 0; round < 2; round += 1) {
      await engine.push(fleet.space, CALL);
      await b.engine.pull(fleet.space, true, CALL);
      await engine.pull(fleet.space, true, CALL);
      await b.engine.push(fleet.space, CALL);
    }
    await engine.close();
    for (const path of [a.path, b.path]) {
      const db = new Database(path, { readonly: true });
      expect(db.prepare('SELECT count(*) FROM observations').pluck().get(), path).toBe(12);
      const times = db.prepare('SELECT started_at_epoch, completed_at_epoch FROM sdk_sessions').raw().all();
      expect(times, path).toEqual([[JANUARY - 86_400_000, JANUARY + 600_000]]);
      db.close();
    }
  });
});

describe('a killed process', () => {
  it('leaves every row there once after repeated SIGKILL during a pull', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '12.7.5');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 2_400, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const expected = takeInventory(a.db);

    const script = join(import.meta.dirname, '..', 'test', 'memory', 'pull-once.ts');
    const { store: _store, identity, ...paths } = b.options;
    const privateKey = identity.key.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const job = JSON.stringify({
      ...paths,
      identity: { ...identity, key: privateKey },
      access: fleet.access,
      space: fleet.space,
    });
    let kills = 0;
    for (let round = 0; round < 40; round += 1) {
      const child = spawn(process.execPath, [script], {
        env: { ...process.env, PULL_JOB: job },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      // Kill at a random moment between the first batch and the end of the work.
      const exited = once(child, 'exit');
      const first = await Promise.race([
        once(child.stdout, 'data').then(() => 'began'),
        exited.then(() => 'ended'),
      ]);
      if (first === 'ended') break;
      await sleep(round * 13);
      if (child.exitCode !== null) break;
      child.kill('SIGKILL');
      await exited;
      kills += 1;
      const now = compare(takeInventory(b.db), expected);
      expect(now.duplicated).toBe(0);
      if (now.lost === 0) break;
    }
    expect(kills).toBeGreaterThanOrEqual(3);
    await settle(fleet.space, [a, b]);
    expectNothingLostOrDoubled([a, b], expected);
  });
});

describe('a worker that writes during a merge', () => {
  it('never meets a locked database, and loses none of its own rows', async () => {
    const a = fleet.add('a', '13.25.3');
    const b = fleet.add('b', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 1_200, from: JANUARY });
    b.write.session({
      contentSessionId: 'live',
      memorySessionId: 'live',
      project: 'garden',
      startedAt: Date.now(),
      status: 'active',
    });
    b.db.pragma('busy_timeout = 5000');
    await a.engine.push(fleet.space, CALL);
    let merging = true;
    let written = 0;
    const pulling = b.engine.pull(fleet.space, false, CALL).finally(() => {
      merging = false;
    });
    while (merging) {
      b.write.observation({
        memorySessionId: 'live',
        project: 'garden',
        title: `Live ${written}`,
        narrative: 'Written while a merge ran.',
        createdAt: Date.now(),
      });
      written += 1;
      await sleep(2);
    }
    await pulling;
    expect(written).toBeGreaterThan(10);
    await settle(fleet.space, [a, b]);
    expect(a.count('observations')).toBe(1_200 + written);
    expect(b.count('observations')).toBe(1_200 + written);
    // The session belongs to the running worker, so the merge left its row alone.
    expect(
      b.db.prepare(`SELECT status FROM sdk_sessions WHERE content_session_id = 'live'`).pluck().get(),
    ).toBe('active');
  });
});
