import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compare, takeInventory } from '../../demo/inventory.ts';
import { seeded, writeHistory } from '../../fixtures/claude-mem/history.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';
import { canonicalHash } from '../detect/canonical-hash.ts';
import { holdersOf } from '../claude-mem/holders.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const DAY = 24 * 3_600_000;

let fleet: TestFleet;
let time: number;
const now = (): number => time;
beforeEach(async () => {
  fleet = await newFleet();
  time = Math.floor(Date.now() / 1_000) * 1_000;
});
afterEach(() => fleet.close());

const add = (name: string, release = '13.25.3'): TestNode => fleet.add(name, release, { now });

/** Runs work on a file that a restore wrote. */
function inFile<T>(path: string, work: (db: Database.Database) => T): T {
  const db = new Database(path);
  try {
    return work(db);
  } finally {
    db.close();
  }
}

async function step(random: () => number, nodes: readonly TestNode[], n: number): Promise<void> {
  const node = nodes[Math.floor(random() * nodes.length)] ?? nodes[0];
  if (node === undefined) return;
  const { db, write } = node;
  const any = (table: string): string =>
    `id = (SELECT id FROM ${table} ORDER BY (id * 7919) % 101 LIMIT 1 OFFSET ${Math.floor(random() * 6)})`;
  const dice = random();
  if (dice < 0.2) {
    write.session({
      contentSessionId: `s${n}`,
      memorySessionId: `m${n}-${node.name}`,
      project: 'garden',
      startedAt: time,
    });
    write.prompt({ contentSessionId: `s${n}`, number: 1, text: `prompt ${n}`, createdAt: time });
  }
  if (dice < 0.4) {
    const memory = db
      .prepare('SELECT memory_session_id FROM sdk_sessions ORDER BY id DESC LIMIT 1')
      .pluck()
      .get() as string;
    write.observation({
      memorySessionId: memory,
      project: 'garden',
      title: `t${n}`,
      narrative: `n${n}`,
      createdAt: time,
    });
  } else if (dice < 0.55)
    db.exec(`UPDATE observations SET concepts = '["c${n}"]', project = 'p${n}' WHERE ${any('observations')}`);
  else if (dice < 0.65)
    db.exec(`UPDATE sdk_sessions SET custom_title = 'title ${n}' WHERE ${any('sdk_sessions')}`);
  else if (dice < 0.7)
    db.exec(`UPDATE session_summaries SET merged_into_project = 'x${n}' WHERE ${any('session_summaries')}`);
  else if (dice < 0.85) db.exec(`DELETE FROM observations WHERE ${any('observations')}`);
  else if (dice < 0.9) db.exec(`DELETE FROM user_prompts WHERE ${any('user_prompts')}`);
  else db.exec(`DELETE FROM sdk_sessions WHERE ${any('sdk_sessions')}`);
  for (const { engine } of nodes) await engine.audit(CALL, { deep: true });
  await settle(fleet.space, nodes);
}

describe('a restore to a time', () => {
  it('returns what every node had at that time, to the row', { timeout: 400_000 }, async () => {
    for (const seed of [1, 2, 3]) {
      await fleet.close();
      fleet = await newFleet();
      const random = seeded(seed);
      const nodes = [add('a'), add('b', seed === 3 ? '12.7.5' : '13.25.3')];
      for (const [index, node] of nodes.entries()) {
        writeHistory(node.db, { name: node.name, seed: index + 1, observations: 12, from: JANUARY });
      }
      await settle(fleet.space, nodes);
      const known: { at: number; hash: string; inventory: Map<string, number> }[] = [];
      for (let n = 0; n < 14; n += 1) {
        const [a] = nodes;
        if (a === undefined) return;
        known.push({ at: time, hash: a.hash(), inventory: takeInventory(a.db) });
        time += 2_000 + Math.floor(random() * 1e6);
        await step(random, nodes, n);
        if (random() < 0.2) await a.engine.snapshot(fleet.space, CALL);
      }
      for (const [index, { at, hash, inventory }] of known.entries()) {
        if (index % 2 === seed % 2) continue;
        const node = nodes[index % 4 < 2 ? 0 : 1];
        if (node === undefined) return;
        const path = join(fleet.folder, `restored-${seed}-${index}.db`);
        const made = await node.engine.restoreTo({ config: fleet.space, at, out: { path } }, CALL);
        expect(made.problems).toEqual([]);
        inFile(path, (db) => {
          expect(compare(takeInventory(db), inventory), `seed ${seed}, time ${index}`).toEqual({
            lost: 0,
            duplicated: 0,
          });
          expect(canonicalHash(db, path), `seed ${seed}, time ${index}`).toBe(hash);
        });
        expectIntact(path, `seed ${seed}, time ${index}`);
      }
    }
  });

  it('overwrites no file', async () => {
    const a = add('a');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const options = { config: fleet.space, at: time, out: { path: a.path } };
    await expect(a.engine.restoreTo(options, CALL)).rejects.toMatchObject({ code: 'conflict' });
    expect(a.count('observations')).toBe(12);
  });

  it('reports when what that time needs was collected', async () => {
    const a = add('a');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const before = time;
    time += DAY;
    a.write.prompt({ contentSessionId: 'alpha-000000', number: 50, text: 'x', createdAt: time });
    await a.engine.push(fleet.space, CALL);
    await a.engine.snapshot(fleet.space, CALL);
    time += 40 * DAY;
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({ segments: 2 });
    const out = { path: join(fleet.folder, 'restored.db') };
    await expect(a.engine.restoreTo({ config: fleet.space, at: before, out }, CALL)).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(existsSync(out.path)).toBe(false);
    await a.engine.restoreTo({ config: fleet.space, at: before + 2 * DAY, out }, CALL);
    expect(inFile(out.path, (db) => canonicalHash(db, out.path))).toBe(a.hash());
  });
});

describe('a restore in place', () => {
  it('keeps secrets and this machine’s project names', async () => {
    const a = add('a');
    const space = { ...fleet.space, names: { zeta: 'p', alpha: 'p' } };
    const userPrompt = `use sk-ant-${'a'.repeat(40)} please`;
    const session = { contentSessionId: 's', memorySessionId: 'm', project: 'alpha', userPrompt };
    a.write.session({ ...session, startedAt: JANUARY });
    await a.engine.push(space, CALL);
    const good = time;
    time += 60_000;
    a.db.exec(`UPDATE sdk_sessions SET custom_title = 'later'`);
    await a.engine.audit(CALL, { deep: true });
    await a.engine.push(space, CALL);
    a.db.close();
    await a.engine.restoreTo({ config: space, at: good, out: 'in place' }, CALL);
    const row = inFile(a.path, (db) =>
      db.prepare('SELECT project, user_prompt, custom_title FROM sdk_sessions').raw().get(),
    );
    expect(row).toEqual(['alpha', userPrompt, null]);
  });

  /** Prepares a fleet of two in a good state, and then the damage. */
  async function prepare(): Promise<{
    a: TestNode;
    b: TestNode;
    good: number;
    hash: string;
    inventory: Map<string, number>;
  }> {
    const [a, b] = [add('a'), add('b')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 120, from: JANUARY });
    writeHistory(b.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY });
    await settle(fleet.space, [a, b]);
    const [good, hash, inventory] = [time, a.hash(), takeInventory(a.db)];
    time += 60_000;
    a.db.exec('DELETE FROM observations WHERE id BETWEEN 10 AND 30');
    a.db.exec('DELETE FROM sdk_sessions WHERE id = 2');
    a.db.exec(`UPDATE observations SET project = 'wrong' WHERE id < 6`);
    for (let n = 0; n < 70; n += 1) {
      b.write.prompt({
        contentSessionId: 'beta-000000',
        number: 100 + n,
        text: `poison ${n}`,
        createdAt: time,
      });
    }
    for (const { engine } of [a, b]) await engine.audit(CALL, { deep: true });
    await settle(fleet.space, [a, b]);
    expect(a.count('observations')).toBeLessThan(130);
    time += 60_000;
    return { a, b, good, hash, inventory };
  }

  it('keeps the old database and the local ids, and the fleet follows', async () => {
    const { a, b, good, hash, inventory } = await prepare();
    const ids = a.db.prepare('SELECT id, title, narrative FROM observations ORDER BY id').all();
    a.db.close();
    const made = await a.engine.restoreTo({ config: fleet.space, at: good, out: 'in place' }, CALL);
    expect(made.rows).toMatchObject({ gone: 70 });
    expectIntact(a.path, 'restored');
    inFile(a.path, (db) => {
      expect(compare(takeInventory(db), inventory)).toEqual({ lost: 0, duplicated: 0 });
      expect(canonicalHash(db, a.path)).toBe(hash);
      const held = `SELECT id, title, narrative FROM observations WHERE id <= ${ids.length + 33} ORDER BY id`;
      for (const row of ids) expect(db.prepare(held).all()).toContainEqual(row);
    });
    expect(
      inFile(made.backup ?? '', (db) => db.prepare('SELECT count(*) FROM observations').pluck().get()),
    ).toBe(ids.length);
    await a.engine.push(fleet.space, CALL);
    await b.engine.pull(fleet.space, true, CALL);
    await a.engine.pull(fleet.space, true, CALL);
    await b.engine.push(fleet.space, CALL);
    await a.engine.pull(fleet.space, true, CALL);
    for (const node of [a, b]) {
      inFile(node.path, (db) => {
        expect(compare(takeInventory(db), inventory), node.name).toEqual({ lost: 0, duplicated: 0 });
        expect(canonicalHash(db, node.path), node.name).toBe(hash);
      });
      expectIntact(node.path, node.name);
    }
    // A machine that joins later gets the restored state as well.
    const c = add('c');
    await c.engine.pull(fleet.space, true, CALL);
    expect(c.hash()).toBe(hash);
  });

  it('leaves rows without a space alone, with the sessions that they need', async () => {
    await fleet.close();
    fleet = await newFleet(['garden']);
    const [a, b] = [add('a'), add('b')];
    a.write.session({
      contentSessionId: 'own',
      memorySessionId: 'own',
      project: 'private',
      startedAt: JANUARY,
    });
    a.write.observation({
      memorySessionId: 'own',
      project: 'private',
      title: 'Mine',
      narrative: 'n',
      createdAt: JANUARY,
    });
    a.write.session({
      contentSessionId: 'first',
      memorySessionId: 'first',
      project: 'garden',
      startedAt: JANUARY,
    });
    await settle(fleet.space, [a, b]);
    const good = time;
    time += 60_000;
    a.write.session({
      contentSessionId: 'mixed',
      memorySessionId: 'mixed',
      project: 'garden',
      startedAt: JANUARY,
    });
    a.write.observation({
      memorySessionId: 'mixed',
      project: 'garden',
      title: 'Shared',
      narrative: 'n',
      createdAt: JANUARY,
    });
    a.write.observation({
      memorySessionId: 'mixed',
      project: 'private',
      title: 'Own',
      narrative: 'n',
      createdAt: JANUARY,
    });
    a.db
      .exec(`INSERT INTO pending_messages (session_db_id, content_session_id, message_type, created_at_epoch)
      SELECT id, content_session_id, 'observation', 1 FROM sdk_sessions`);
    await settle(fleet.space, [a, b]);
    time += 60_000;
    a.db.close();
    await a.engine.restoreTo({ config: fleet.space, at: good, out: 'in place' }, CALL);
    inFile(a.path, (db) => {
      expect(db.prepare('SELECT title FROM observations ORDER BY title').pluck().all()).toEqual([
        'Mine',
        'Own',
      ]);
      expect(db.prepare('SELECT content_session_id FROM sdk_sessions ORDER BY id').pluck().all()).toEqual([
        'own',
        'first',
        'mixed',
      ]);
    });
    expectIntact(a.path, 'a');
  });

  it('is refused while another program has the database open, and names that program', async () => {
    const { a, good } = await prepare();
    const before = a.hash();
    const script = `const D = require('better-sqlite3'); const d = new D(process.argv[1]); d.pragma('journal_mode'); console.log('open'); setInterval(() => {}, 1e6)`;
    const child = spawn(process.execPath, ['-e', script, a.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    try {
      expect(holdersOf(a.path)).toEqual([
        { pid: child.pid, why: expect.stringContaining('open') as unknown },
      ]);
      const options = { config: fleet.space, at: good, out: 'in place' } as const;
      await expect(a.engine.restoreTo(options, CALL)).rejects.toThrow(String(child.pid));
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    expect(a.hash()).toBe(before);
  });

  it('puts the old database back when another program opens it at the last moment', async () => {
    const { a, good } = await prepare();
    const before = takeInventory(a.db);
    a.db.close();
    const folder = dirname(a.path);
    const named = (part: string): string[] => readdirSync(folder).filter((name) => name.includes(part));
    for (const moment of ['linked', 'renamed']) {
      let pid = 0;
      const progress = (text: string): void => {
        if (text !== moment) return;
        const path = moment === 'linked' ? a.path : join(folder, named('before-restore')[0] ?? '');
        const open = 'exec 3<"$1"; sleep 600 >/dev/null 2>&1 & echo $!';
        pid = Number(execFileSync('sh', ['-c', open, 'sh', path], { encoding: 'utf8' }));
      };
      const options = { config: fleet.space, at: good, out: 'in place' } as const;
      await expect(a.engine.restoreTo(options, { ...CALL, progress })).rejects.toThrow(/Process \d+/);
      process.kill(pid);
      expect(inFile(a.path, (db) => compare(takeInventory(db), before))).toEqual({ lost: 0, duplicated: 0 });
      expect(named('before-restore')).toEqual([]);
      // The next sync accepts the current file as it is, and removes the remnants.
      expect((await a.engine.push(fleet.space, CALL)).rows).toBe(0);
      expect(named('restor')).toEqual([]);
    }
  });

  it(
    'is either not done or finished by the next sync when it is killed at any step',
    { timeout: 400_000 },
    async () => {
      const { a, b, good, inventory, hash } = await prepare();
      const bad = takeInventory(a.db);
      a.db.close();
      await a.engine.close();
      const script = join(import.meta.dirname, '..', '..', 'test', 'memory', 'restore-once.ts');
      const { store: _store, identity, now: _now, ...paths } = a.options;
      const privateKey = identity.key.privateKey.export({ type: 'pkcs8', format: 'pem' });
      const job = {
        ...paths,
        identity: { ...identity, key: privateKey },
        access: fleet.access,
        space: fleet.space,
      };
      let kills = 0;
      for (let at = 1; ; at += 1) {
        const env = {
          ...process.env,
          RESTORE_JOB: JSON.stringify({ ...job, at: good, now: time, killAt: at }),
        };
        const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'inherit', 'inherit'] });
        const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
        const state = inFile(a.path, (db) => ({
          isBad: compare(takeInventory(db), bad),
          isGood: compare(takeInventory(db), inventory),
        }));
        const none = { lost: 0, duplicated: 0 };
        expect([state.isBad, state.isGood], `killed at step ${at}`).toContainEqual(none);
        expectIntact(a.path, `killed at step ${at}`);
        if (signal !== 'SIGKILL') {
          expect(code).toBe(0);
          break;
        }
        kills += 1;
        // Once the swap was made, a sync finishes the restore; it must not be repeated.
        if (JSON.stringify(state.isGood) === JSON.stringify(none)) break;
      }
      expect(kills).toBeGreaterThan(8);
      await a.engine.push(fleet.space, CALL);
      await b.engine.pull(fleet.space, true, CALL);
      for (const node of [a, b]) {
        inFile(node.path, (db) => {
          expect(compare(takeInventory(db), inventory), node.name).toEqual({ lost: 0, duplicated: 0 });
          expect(canonicalHash(db, node.path), node.name).toBe(hash);
        });
      }
      expect(readdirSync(dirname(a.path)).filter((name) => name.includes('before-restore'))).not.toEqual([]);
    },
  );
});
