import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compare, takeInventory } from '../../demo/inventory.ts';
import { seeded, writeHistory } from '../../fixtures/claude-mem/history.ts';
import { openObjectStore, type ObjectStore } from '../../storage/object-store.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';
import { manifestKey } from '../format/layout.ts';
import { sealManifest, type ManifestBody } from './manifest.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const DAY = 24 * 3_600_000;

let fleet: TestFleet;
let store: ObjectStore;
let time: number;
const now = (): number => time;
const root = (): string => `projects/${fleet.space.cid}/memory/v1/`;

beforeEach(async () => {
  fleet = await newFleet();
  store = openObjectStore(fleet.access);
  time = Date.now();
});
afterEach(async () => {
  store.close();
  await fleet.close();
});

const add = (name: string, release = '13.25.3'): TestNode => fleet.add(name, release, { now });

async function keysOf(prefix: string): Promise<string[]> {
  return (await store.list(`${root()}${prefix}`)).map(({ key }) => key);
}

/** Hides an object, runs work, and restores it: proves that the work does not need it. */
async function without<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
  const kept = new Map<string, Buffer>();
  for (const key of keys) {
    kept.set(key, (await store.get(key)) ?? Buffer.alloc(0));
    await store.remove(key);
  }
  try {
    return await work();
  } finally {
    for (const [key, bytes] of kept) await store.put(key, bytes);
  }
}

function expectSame(nodes: readonly TestNode[]): void {
  const [first] = nodes;
  for (const node of nodes) {
    expect(compare(takeInventory(node.db), takeInventory(first?.db ?? node.db)), node.name).toEqual({
      lost: 0,
      duplicated: 0,
    });
    expect(node.hash(), node.name).toBe(first?.hash());
    expectIntact(node.path, node.name);
  }
}

async function flip(key: string): Promise<void> {
  const bytes = (await store.get(key)) ?? Buffer.alloc(0);
  bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 0xff;
  await store.put(key, bytes);
}

describe('a snapshot', () => {
  it('starts a new node, which also fetches the segments that still exist', async () => {
    const [a, b] = [add('a'), add('b')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 300, from: JANUARY });
    writeHistory(b.db, { name: 'beta', seed: 2, observations: 60, from: JANUARY });
    await settle(fleet.space, [a, b]);
    b.db.exec(`UPDATE observations SET concepts = '["gotcha"]' WHERE id = 3`);
    a.db.exec('DELETE FROM observations WHERE id IN (7, 8)');
    a.db.exec(`UPDATE sdk_sessions SET custom_title = 'The long night' WHERE id = 2`);
    for (const { engine } of [a, b]) await engine.audit(CALL, { deep: true });
    await settle(fleet.space, [a, b]);
    const taken = await a.engine.snapshot(fleet.space, CALL);
    expect(taken.counts).toMatchObject({ observation: 358, tombstone: 2 });
    a.write.prompt({ contentSessionId: 'alpha-000000', number: 99, text: 'later', createdAt: JANUARY });
    await a.engine.push(fleet.space, CALL);

    const c = add('c', '12.7.5');
    const before = (await keysOf('seg/')).filter((key) => !key.includes('-later'));
    const covered = before.slice(0, -1);
    const latest = before.filter((key) => key.includes('/a/')).at(-1) ?? '';
    await without(
      covered.filter((key) => key !== latest),
      async () => {
        const pulled = await c.engine.pull(fleet.space, true, CALL);
        expect(pulled.problems).toEqual([]);
        // A later segment, and one covered by the snapshot, whose writer may have left something out.
        expect(pulled.segments).toBe(taken.parts + 2);
      },
    );
    await settle(fleet.space, [a, b, c]);
    expectSame([a, b, c]);
    // Nothing from the snapshot is sent again.
    expect((await keysOf('seg/c/')).length).toBe(0);
  });

  it('restores nothing on a node whose memories were deleted', async () => {
    const [a, b] = [add('a'), add('b')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    await settle(fleet.space, [a, b]);
    a.db.exec('DELETE FROM observations WHERE id = 5');
    await settle(fleet.space, [a, b]);
    await b.engine.snapshot(fleet.space, CALL);
    const c = add('c');
    writeHistory(c.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    await settle(fleet.space, [a, b, c]);
    expectSame([a, b, c]);
  });

  it('is reported when it is damaged, and the previous one is used', async () => {
    const a = add('a');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    await a.engine.snapshot(fleet.space, CALL);
    time += 60_000;
    writeHistory(a.db, { name: 'later', seed: 2, observations: 24, from: JANUARY + 1e9 });
    const second = await a.engine.snapshot(fleet.space, CALL);
    await flip(`${root()}snap/a/${second.id}/part-0001.mbs`);
    const b = add('b');
    await without((await keysOf('seg/a/')).slice(0, 1), async () => {
      const pulled = await b.engine.pull(fleet.space, false, CALL);
      expect(pulled.problems).toMatchObject([
        { node: 'a', problem: expect.stringContaining(second.id) as unknown },
      ]);
      expectSame([a, b]);
    });
    // Works even without an intact snapshot: the segments exist.
    for (const key of await keysOf('snap/')) if (key.endsWith('.json')) await flip(key);
    const c = add('c');
    expect((await c.engine.pull(fleet.space, false, CALL)).problems).toHaveLength(2);
    expectSame([a, c]);
  });

  it('is ignored when it was interrupted, and its remnants are removed after a day', async () => {
    const a = add('a');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const progress = (text: string): void => {
      if (text.startsWith('wrote')) throw new Error('killed');
    };
    await expect(a.engine.snapshot(fleet.space, { ...CALL, progress })).rejects.toThrow('killed');
    expect(await keysOf('snap/')).toHaveLength(1);
    const b = add('b');
    expect((await b.engine.pull(fleet.space, false, CALL)).problems).toEqual([]);
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({ remnants: 0 });
    time += 2 * DAY;
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({ remnants: 1, segments: 0 });
    expect(await keysOf('snap/')).toEqual([]);
  });

  it('lets an interrupted start continue', async () => {
    const a = add('a');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 2_400, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const { parts } = await a.engine.snapshot(fleet.space, CALL);
    expect(parts).toBeGreaterThan(1);
    const b = add('b');
    let calls = 0;
    const progress = (): void => {
      calls += 1;
      if (calls % 9 === 0) throw new Error('killed');
    };
    for (let tries = 0; tries < 200; tries += 1) {
      try {
        await b.engine.pull(fleet.space, false, { ...CALL, progress });
        break;
      } catch (error) {
        expect(String(error)).toContain('killed');
      }
    }
    await settle(fleet.space, [a, b]);
    expectSame([a, b]);
  });
});

describe('collection', () => {
  async function collected(...nodes: TestNode[]): Promise<number> {
    let count = 0;
    for (const node of nodes) count += (await node.engine.collect(fleet.space, CALL)).segments;
    return count;
  }
  /** Lets a day pass on which every node shows a sign of life. */
  async function days(count: number, ...nodes: TestNode[]): Promise<void> {
    for (let day = 0; day < count; day += 10) {
      time += Math.min(10, count - day) * DAY;
      for (const node of nodes) await node.engine.pull(fleet.space, true, CALL);
    }
  }

  it('waits for a snapshot, the restore window and every live node, and then loses nothing', async () => {
    const [a, b] = [add('a'), add('b')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
    writeHistory(b.db, { name: 'beta', seed: 2, observations: 60, from: JANUARY });
    await settle(fleet.space, [a, b]);
    await days(40, a, b);
    expect(await collected(a, b)).toBe(0);
    await a.engine.snapshot(fleet.space, CALL);
    expect(await collected(a, b)).toBe(0);
    await days(20, a, b);
    expect(await collected(a, b)).toBe(0);
    await days(20, a, b);
    expect(await collected(a, b)).toBe(2);
    expect(await keysOf('seg/')).toEqual([]);
    // The objects were removed on purpose, so no node sends anything again.
    await settle(fleet.space, [a, b]);
    for (const node of [a, b]) await node.engine.pull(fleet.space, true, CALL);
    await settle(fleet.space, [a, b]);
    expect(await keysOf('seg/')).toEqual([]);
    b.write.prompt({ contentSessionId: 'beta-000000', number: 99, text: 'after', createdAt: JANUARY });
    const c = add('c', '12.7.5');
    await settle(fleet.space, [a, b, c]);
    expectSame([a, b, c]);
  });

  it('waits for a live node that is behind, not for a lost one, which later recovers completely', async () => {
    const [a, b, c] = [add('a'), add('b'), add('c')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
    c.write.session({ contentSessionId: 'c', memorySessionId: 'c', project: 'garden', startedAt: JANUARY });
    await settle(fleet.space, [a, b, c]);
    writeHistory(a.db, { name: 'more', seed: 3, observations: 24, from: JANUARY + 1e9 });
    a.db.exec('DELETE FROM observations WHERE id = 2');
    await settle(fleet.space, [a, b]);
    await a.engine.snapshot(fleet.space, CALL);
    await days(10, a, b);
    const held = await a.engine.collect(fleet.space, CALL, { windowMs: DAY });
    expect(held).toMatchObject({ segments: 1, waitsFor: ['c'] });
    await days(30, a, b);
    const done = await a.engine.collect(fleet.space, CALL);
    expect(done.waitsFor).toEqual([]);
    expect(await keysOf('seg/a/')).toEqual([]);
    c.write.prompt({ contentSessionId: 'c', number: 1, text: 'written while away', createdAt: JANUARY });
    expect((await c.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
    await settle(fleet.space, [a, b, c]);
    expectSame([a, b, c]);
  });

  it('relies only on a snapshot that it verified completely', async () => {
    const a = add('a');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 60, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const { id } = await a.engine.snapshot(fleet.space, CALL);
    await days(40, a);
    await flip(`${root()}snap/a/${id}/part-0001.mbs`);
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({
      segments: 0,
      base: null,
      problems: [expect.stringContaining(id)],
    });
    await flip(`${root()}snap/a/${id}/part-0001.mbs`);
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({ segments: 1, base: id });
  });

  it('never removes the last copy, in any order of events', { timeout: 300_000 }, async () => {
    for (const seed of [1, 2, 3, 4]) {
      await fleet.close();
      fleet = await newFleet();
      store.close();
      store = openObjectStore(fleet.access);
      const random = seeded(seed);
      const nodes = [add('a'), add('b', '12.7.5'), add('c')];
      for (const [index, node] of nodes.entries()) {
        writeHistory(node.db, { name: node.name, seed: index + 1, observations: 12, from: JANUARY });
      }
      await settle(fleet.space, nodes);
      let removed = 0;
      for (let step = 0; step < 45; step += 1) {
        const node = nodes[Math.floor(random() * nodes.length)];
        if (node === undefined) continue;
        const { engine } = node;
        const dice = random();
        time += Math.floor(random() * 8 * DAY);
        if (dice < 0.25) {
          node.write.prompt({
            contentSessionId: 'a-000000',
            number: 100 + step,
            text: 't',
            createdAt: time,
          });
          await engine.push(fleet.space, CALL);
        } else if (dice < 0.32) {
          node.db.exec('DELETE FROM user_prompts WHERE id = (SELECT max(id) FROM user_prompts)');
          await engine.push(fleet.space, CALL);
        } else if (dice < 0.62) await engine.pull(fleet.space, random() < 0.5, CALL);
        else if (dice < 0.75) await engine.snapshot(fleet.space, CALL);
        else if (dice < 0.96)
          removed += (await engine.collect(fleet.space, CALL, { windowMs: 10 * DAY })).segments;
        else {
          await engine.close();
          for (const suffix of ['', '-wal', '-shm'])
            rmSync(`${node.options.ledgerPath}${suffix}`, { force: true });
        }
        if (step % 15 === 14) {
          const fresh = add(`fresh${step}`);
          const pulled = await fresh.engine.pull(fleet.space, true, CALL);
          expect(pulled.problems, `seed ${seed}, step ${step}`).toEqual([]);
          for (const each of nodes) await each.engine.pull(fleet.space, true, CALL);
          await settle(fleet.space, [...nodes, fresh]);
          expectSame([...nodes, fresh]);
          if (step < 40) nodes.push(fresh);
        }
      }
      expect(removed, `seed ${seed}`).toBeGreaterThan(0);
    }
  });
});

describe('a snapshot that lacks what it claims to cover', () => {
  /** Writes a signed manifest without parts that claims to cover everything that node `a` sent. */
  async function claimAll(m: TestNode, at: number): Promise<void> {
    const [object] = await store.list(`${root()}seg/a/`);
    const [, epoch = '', seq = '', hash = ''] =
      /\/([^/]+)\/(\d+)-([0-9a-f]+)\.mbs$/.exec(object?.key ?? '') ?? [];
    const name = { node: m.name, id: `${at.toString(16).padStart(12, '0')}-${'0'.repeat(16)}` };
    const body: ManifestBody = {
      format: 'membridge-snapshot/1',
      space: fleet.space.cid,
      node: m.name,
      id: name.id,
      key_id: m.options.identity.key.keyId,
      at,
      newest: 0,
      covers: [{ node: 'a', epoch, seq: Number(seq), hashes: [hash] }],
      segments: { [`a/${epoch}`]: [`${Number(seq)}-${hash}`] },
      parts: [],
      counts: {},
      operations_sha256: createHash('sha256').update('').digest('hex'),
    };
    await store.put(manifestKey(fleet.space.cid, name), sealManifest(body, m.options.identity.key));
  }
  async function prepare(): Promise<{ a: TestNode; m: TestNode }> {
    const [a, m] = [add('a'), add('m')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    await settle(fleet.space, [a, m]);
    await m.engine.pull(fleet.space, true, CALL);
    return { a, m };
  }

  it('causes no collection, and lets a new node start from the segments', async () => {
    const { a, m } = await prepare();
    await claimAll(m, time - 40 * DAY);
    // By its name it is old, by the store's clock it is not.
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({
      segments: 0,
      base: null,
      problems: [],
    });
    const c = add('c');
    expect((await c.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
    expectSame([a, c]);
    time += 31 * DAY;
    for (const { engine } of [a, m, c]) await engine.pull(fleet.space, true, CALL);
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({
      segments: 0,
      base: null,
      problems: [expect.stringContaining('lacks')],
    });
  });

  it('causes no collection of another snapshot', async () => {
    const { a, m } = await prepare();
    const { id } = await a.engine.snapshot(fleet.space, CALL);
    time += 40 * DAY;
    for (const { engine } of [a, m]) await engine.pull(fleet.space, true, CALL);
    const [segment] = await store.list(`${root()}seg/a/`);
    await a.engine.snapshot(fleet.space, CALL);
    await claimAll(m, time - 35 * DAY);
    await store.remove(segment?.key ?? '');
    expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({
      snapshots: 0,
      problems: [expect.stringContaining(`of snapshot ${id}`)],
    });
    expect(await keysOf(`snap/a/${id}/manifest`)).toHaveLength(1);
  });

  it('is not read when its node is not trusted', async () => {
    const { a, m } = await prepare();
    await claimAll(m, time);
    time += 40 * DAY;
    for (const { engine } of [a, m]) await engine.pull(fleet.space, true, CALL);
    const space = { ...fleet.space, trust: { m: 'ignore' as const } };
    expect(await a.engine.collect(space, CALL)).toMatchObject({ segments: 0, base: null, problems: [] });
  });
});

it('does not end collection when a node’s clock is ahead', async () => {
  const a = add('a');
  const w = fleet.add('w', '13.25.3', { now: () => time + 3_650 * DAY });
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  writeHistory(w.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY });
  await settle(fleet.space, [a, w]);
  const { id } = await a.engine.snapshot(fleet.space, CALL);
  time += 31 * DAY;
  for (const { engine } of [w, a]) await engine.pull(fleet.space, true, CALL);
  expect(await a.engine.collect(fleet.space, CALL)).toMatchObject({ segments: 1, base: id, problems: [] });
  const out = { path: join(fleet.folder, 'restored.db') };
  const restored = await a.engine.restoreTo({ config: fleet.space, at: time - DAY, out }, CALL);
  expect(restored).toMatchObject({ base: id, rows: { gone: 0 } });
});
