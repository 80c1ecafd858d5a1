import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { openObjectStore, type ObjectStore } from '../../storage/object-store.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { originalMachine, type OriginalMachine } from '../../test/memory/original.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';
import type { LegacyImport } from './merge-snapshot.ts';
import { openLegacyStore } from './open-store.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let store: ObjectStore;
let a: TestNode;
let b: TestNode;
const machines: OriginalMachine[] = [];
beforeEach(async () => {
  fleet = await newFleet();
  store = openObjectStore(fleet.access);
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3');
});
afterEach(async () => {
  for (const machine of machines.splice(0)) machine.close();
  store.close();
  await fleet.close();
});

function original(release: string, host = 'old-laptop'): OriginalMachine {
  const machine = originalMachine(join(fleet.folder, 'originals'), {
    host,
    release,
    project: fleet.space.projectId,
    store,
  });
  machines.push(machine);
  return machine;
}
const imported = async (node: TestNode, space: SpaceConfig = fleet.space): Promise<LegacyImport> =>
  await node.engine.importLegacy(space, { access: fleet.access }, CALL);
const titles = (node: TestNode): unknown[] =>
  node.db.prepare('SELECT title FROM observations ORDER BY title').pluck().all();

/** Writes a session with one observation, as a machine would have it. */
function observe(
  { write }: Pick<TestNode, 'write'>,
  title: string,
  options: { project?: string; narrative?: string; session?: string } = {},
): void {
  const { project = 'garden', narrative = 'n', session = title } = options;
  const memorySessionId = `mem-${session}`;
  write.session({
    contentSessionId: `s-${session}`,
    memorySessionId,
    project,
    userPrompt: `about ${session}`,
    startedAt: JANUARY,
  });
  write.prompt({ contentSessionId: `s-${session}`, number: 1, text: `do ${title}`, createdAt: JANUARY });
  write.observation({ memorySessionId, project, title, narrative, createdAt: JANUARY + 1 });
}

describe('an imported snapshot', () => {
  it.each(['13.25.3', '10.6.3', '5.5.1'])(
    'is inserted completely and sent to the fleet, from claude-mem %s',
    async (release) => {
      const old = original(release);
      writeHistory(old.db, { name: 'old', seed: 7, observations: 60, from: JANUARY });
      writeHistory(a.db, { name: 'mine', seed: 8, observations: 12, from: JANUARY });
      await old.push();
      const result = await imported(a);
      // 5 sessions with 9 prompts and 4 summaries each, and the observations.
      expect(result).toMatchObject({
        inserted: 5 + 45 + 20 + 60,
        present: 0,
        deleted: 0,
        outside: 0,
        waiting: 0,
      });
      expect(result.snapshots).toMatchObject([{ host: 'old-laptop', state: 'merged' }]);
      await settle(fleet.space, [a, b]);
      for (const node of [a, b]) {
        expect([node.count('observations'), node.count('user_prompts')]).toEqual([72, 54]);
        expectIntact(node.path, node.name);
      }
      expect(a.hash()).toBe(b.hash());
    },
  );

  it('is fetched once; importing it again costs one small request and changes nothing', async () => {
    const old = original('13.25.3');
    writeHistory(old.db, { name: 'old', seed: 7, observations: 24, from: JANUARY });
    await old.push();
    await imported(a);
    await settle(fleet.space, [a, b]);
    const before = a.hash();
    const again = await imported(a);
    expect(again).toMatchObject({ inserted: 0, snapshots: [{ state: 'unchanged' }] });
    expect(again.traffic).toMatchObject({ requests: 1, bytesUp: 0 });
    expect(again.traffic.bytesDown).toBeLessThan(100);
    expect((await a.engine.push(fleet.space, CALL)).rows).toBe(0);
    expect(a.hash()).toBe(before);

    old.write.observation({
      memorySessionId: 'mem-old-000000',
      project: 'garden',
      title: 'Newer',
      narrative: 'n',
      createdAt: JANUARY + 5,
    });
    await old.push();
    expect(await imported(a)).toMatchObject({ inserted: 1, snapshots: [{ state: 'merged' }] });
    expect(readdirSync(dirname(a.options.ledgerPath)).filter((name) => name.includes('legacy'))).toEqual([]);
  });

  it('is in the fleet once when two nodes import it independently', async () => {
    const old = original('12.7.5');
    writeHistory(old.db, { name: 'old', seed: 7, observations: 36, from: JANUARY });
    // True twins: one text, written twice at the same time.
    for (let twin = 0; twin < 2; twin += 1) {
      old.write.observation({
        memorySessionId: 'mem-old-000000',
        project: 'garden',
        title: 'Twin',
        narrative: 'n',
        createdAt: JANUARY,
        contentHash: `twin-${twin}`,
      });
    }
    await old.push();
    await imported(a);
    await imported(b);
    await settle(fleet.space, [a, b]);
    for (const node of [a, b]) {
      expect(node.count('observations')).toBe(38);
      expect(node.count('sdk_sessions')).toBe(3);
      expect(titles(node).filter((title) => title === 'Twin')).toHaveLength(2);
    }
    expect(a.hash()).toBe(b.hash());
  });

  it('leaves existing memories unchanged and restores no deleted ones', async () => {
    const old = original('13.25.3');
    for (const node of [old, a]) {
      observe(node, 'kept');
      observe(node, 'dropped');
    }
    await settle(fleet.space, [a, b]);
    b.db.prepare(`DELETE FROM observations WHERE title = 'dropped'`).run();
    a.db.prepare(`UPDATE sdk_sessions SET custom_title = 'Mine' WHERE content_session_id = 's-kept'`).run();
    old.db.prepare(`UPDATE sdk_sessions SET custom_title = 'Theirs'`).run();
    await settle(fleet.space, [a, b]);
    await old.push();
    const before = a.hash();
    expect(await imported(a)).toMatchObject({ inserted: 0, present: 5, deleted: 1 });
    expect(await imported(b)).toMatchObject({ inserted: 0, present: 5, deleted: 1 });
    await settle(fleet.space, [a, b]);
    expect(titles(a)).toEqual(['kept']);
    expect(a.hash()).toBe(before);
    expect(b.hash()).toBe(before);
  });

  it('adds only rows of the covered projects, with their sessions', async () => {
    const old = original('13.25.3');
    observe(old, 'in');
    observe(old, 'out', { project: 'billing' });
    observe(old, 'private', { project: 'diary' });
    observe(old, 'noise', { project: 'observer-sessions' });
    // A memory of the garden in a conversation of another project.
    old.write.observation({
      memorySessionId: 'mem-out',
      project: 'garden',
      title: 'guest',
      narrative: 'n',
      createdAt: JANUARY + 2,
    });
    await old.push();
    const space: SpaceConfig = {
      ...fleet.space,
      projects: ['plants', 'diary'],
      excluded: ['diary'],
      names: { garden: 'plants' },
    };
    const result = await imported(a, space);
    expect(a.db.prepare('SELECT project, title FROM observations ORDER BY id').raw().all()).toEqual([
      ['garden', 'in'],
      ['garden', 'guest'],
    ]);
    expect(a.db.prepare('SELECT content_session_id FROM sdk_sessions ORDER BY id').pluck().all()).toEqual([
      's-in',
      's-out',
    ]);
    expect(result).toMatchObject({ inserted: 6, outside: 7 });
    // With other terms the same snapshot is merged again.
    expect(await imported(a, { ...space, excluded: [] })).toMatchObject({ inserted: 3 });
  });

  it('omits sessions of excluded projects, even if memories of the space belong to them', async () => {
    const old = original('13.25.3');
    observe(old, 'private', { project: 'diary' });
    const guest = { memorySessionId: 'mem-private', project: 'garden', title: 'guest', narrative: 'n' };
    old.write.observation({ ...guest, createdAt: JANUARY + 2 });
    await old.push();
    await imported(a, { ...fleet.space, excluded: ['diary'] });
    expect(a.db.prepare('SELECT title FROM observations').pluck().all()).toEqual(['guest']);
    expect(a.db.prepare('SELECT project, user_prompt FROM sdk_sessions').raw().all()).toEqual([
      ['garden', null],
    ]);
  });

  it('is redacted on import, and recognized later', async () => {
    const old = original('13.25.3');
    const token = `ghp_${'a1B2'.repeat(9)}`;
    observe(old, 'login', { narrative: `the token is ${token}` });
    await old.push();
    await imported(a);
    await settle(fleet.space, [a, b]);
    for (const node of [a, b]) {
      expect(node.db.prepare('SELECT narrative FROM observations').pluck().all()).toEqual([
        'the token is [redacted:github-token]',
      ]);
    }
    expect(await imported(b)).toMatchObject({ inserted: 0, present: 3 });
  });

  it('keeps rows without a session in a stub session', async () => {
    const old = original('13.25.3');
    old.db.pragma('foreign_keys = OFF');
    old.write.observation({
      memorySessionId: 'mem-lost',
      project: 'garden',
      title: 'orphan',
      narrative: 'n',
      createdAt: JANUARY,
    });
    await old.push();
    expect(await imported(a)).toMatchObject({ inserted: 1, waiting: 0 });
    const c = fleet.add('c', '13.25.3', { orphanWaitMs: 0 });
    await settle(fleet.space, [a, c]);
    expect(titles(c)).toEqual(['orphan']);
    expectIntact(c.path, 'c');
  });

  /** Makes the original push an observation of a session that a uses under another memory id. */
  async function pushIntoUse(title: string): Promise<void> {
    const now = Date.now();
    const session = { contentSessionId: 's-live', project: 'garden', startedAt: now, userPrompt: 'now' };
    a.write.session({ ...session, memorySessionId: null, status: 'active' });
    const old = original('13.25.3');
    old.write.session({ ...session, memorySessionId: 'mem-live', status: 'active' });
    old.write.observation({
      memorySessionId: 'mem-live',
      project: 'garden',
      title,
      narrative: 'n',
      createdAt: now,
    });
    await old.push();
  }

  it('waits with rows for which a session in use has no room yet, and retries them', async () => {
    await pushIntoUse('resumed on another machine');
    expect(await imported(a)).toMatchObject({ inserted: 0, present: 1, waiting: 1 });
    expect(await imported(a)).toMatchObject({ inserted: 0, waiting: 1, snapshots: [{ state: 'unchanged' }] });
    a.db.exec(`UPDATE sdk_sessions SET memory_session_id = 'mem-own', status = 'completed'`);
    expect(await imported(a)).toMatchObject({ inserted: 1, waiting: 0, snapshots: [{ state: 'unchanged' }] });
    await settle(fleet.space, [a, b]);
    expect(titles(b)).toEqual(['resumed on another machine']);
  });

  it('lets a pull merge what waited, even if no import follows', async () => {
    await pushIntoUse('resumed');
    expect(await imported(a)).toMatchObject({ waiting: 1 });
    a.db.exec(`UPDATE sdk_sessions SET memory_session_id = 'mem-own', status = 'completed'`);
    await a.engine.pull(fleet.space, false, CALL);
    expect(titles(a)).toEqual(['resumed']);
  });

  it('gives a stub session its own content here and in the fleet', async () => {
    const lone = {
      memorySessionId: 'mem-first',
      project: 'garden',
      title: 'lone',
      narrative: 'n',
      createdAt: JANUARY,
    };
    a.db.pragma('foreign_keys = OFF');
    a.write.observation(lone);
    await a.engine.push(fleet.space, CALL);
    const c = fleet.add('c', '13.25.3', { orphanWaitMs: 0 });
    await c.engine.pull(fleet.space, true, CALL);
    // Rows here were considered for sending already.
    await c.engine.push(fleet.space, CALL);
    const old = original('13.25.3');
    old.write.session({
      contentSessionId: 'mem-first',
      memorySessionId: 'mem-first',
      project: 'garden',
      userPrompt: 'its own words',
      startedAt: JANUARY,
    });
    await old.push();
    await imported(c);
    await settle(fleet.space, [c, b]);
    for (const node of [c, b]) {
      expect(node.db.prepare('SELECT user_prompt FROM sdk_sessions').pluck().all()).toEqual([
        'its own words',
      ]);
    }
  });

  it('sends the deletion of a session whose rows are being imported', async () => {
    observe(a, 'one', { session: 'shared' });
    await settle(fleet.space, [a, b]);
    const old = original('13.25.3');
    observe(old, 'one', { session: 'shared' });
    old.write.prompt({ contentSessionId: 's-shared', number: 2, text: 'do more', createdAt: JANUARY + 2 });
    await old.push();
    await b.engine.close();
    // claude-mem deletes the session after the audit, but before the first row is merged.
    const engine = fleet.reopen(b, {
      openLegacyStore: (access, signal) => {
        const real = openLegacyStore(access, signal);
        const download = real.download.bind(real);
        real.download = async (key, path) => {
          const got = await download(key, path);
          b.db.exec('DELETE FROM sdk_sessions');
          return got;
        };
        return real;
      },
    });
    expect(await engine.importLegacy(fleet.space, { access: fleet.access }, CALL)).toMatchObject({
      inserted: 1,
    });
    await settle(fleet.space, [{ ...b, engine }, a]);
    await engine.close();
    const sessions = [a, b].map(({ db }) =>
      db.prepare('SELECT project, user_prompt FROM sdk_sessions').all(),
    );
    expect(sessions[0]).toEqual(sessions[1]);
    expect([a.count('observations'), b.count('observations')]).toEqual([0, 0]);
    expect([a.count('user_prompts'), b.count('user_prompts')]).toEqual([1, 1]);
  });

  it('does not replace the memory that a clean-up kept before the import', async () => {
    observe(a, 'one');
    const said = { memorySessionId: 'mem-one', project: 'garden', narrative: 'n' };
    a.write.observation({ ...said, title: 'two', createdAt: JANUARY + 2 });
    await settle(fleet.space, [a, b]);
    const old = original('13.25.3');
    observe(old, 'one');
    old.write.observation({ ...said, title: 'three', createdAt: JANUARY + 3 });
    await old.push();
    // Two machines clean up the same sessions, and each keeps another one.
    a.db.exec(`DELETE FROM observations WHERE title = 'one'`);
    b.db.exec(`DELETE FROM observations WHERE title = 'two'`);
    await imported(a);
    await imported(b);
    await settle(fleet.space, [a, b]);
    expect(titles(a)).toEqual(titles(b));
    expect(titles(a)).toHaveLength(2);
  });

  it('records the origin of each memory', async () => {
    const old = original('13.25.3', 'ada-laptop');
    observe(old, 'first');
    await old.push();
    await imported(a);
    const [blame] = await a.engine.blame('observation', 1);
    expect(blame).toMatchObject({
      writer: { node: 'legacy:ada-laptop' },
      segment: { node: 'legacy:ada-laptop', hash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown },
    });
    await settle(fleet.space, [a, b]);
    expect(await b.engine.blame('observation', 1)).toMatchObject([
      { writer: { node: 'legacy:ada-laptop' }, segment: { node: 'a' } },
    ]);
  });

  it('is found by the alias when it was stored under an older project name', async () => {
    const old = original('13.25.3');
    observe(old, 'first');
    await old.push();
    const renamed = { ...fleet.space, cid: '0123456789abcdef', aliases: [fleet.space.cid] };
    expect(await imported(a, renamed)).toMatchObject({ inserted: 3 });
  });

  it('is only read when it comes from a file', async () => {
    const old = original('10.6.3');
    observe(old, 'first');
    // As on a real machine: the rows are still in the WAL.
    const folder = dirname(old.db.name);
    const stand = (): unknown[] =>
      readdirSync(folder).map((name) => [
        name,
        statSync(join(folder, name)).mtimeMs,
        readFileSync(join(folder, name)),
      ]);
    const before = stand();
    const source = { file: old.db.name };
    expect(await a.engine.importLegacy(fleet.space, source, CALL)).toMatchObject({ inserted: 3 });
    expect(await a.engine.importLegacy(fleet.space, source, CALL)).toMatchObject({ inserted: 0, present: 3 });
    expect(stand()).toEqual(before);
    await expect(a.engine.importLegacy(fleet.space, { file: a.path }, CALL)).rejects.toThrow(/own database/);
  });
});

describe('an unusable snapshot', () => {
  const nothing = async (message: RegExp, code = 'segment_invalid'): Promise<void> => {
    await expect(imported(a)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as unknown,
    });
    expect(a.count('sdk_sessions') + a.count('observations')).toBe(0);
    expect(readdirSync(dirname(a.options.ledgerPath)).filter((name) => name.includes('legacy'))).toEqual([]);
  };

  it('is reported when it does not exist', async () => {
    await nothing(/has no snapshot of the original for test/, 'not_found');
  });

  it('is rejected while its digest belongs to another one, until the interrupted push is repeated', async () => {
    const old = original('13.25.3');
    observe(old, 'first');
    await old.push();
    observe(old, 'second');
    await old.push({ stop: 'after-database' });
    await nothing(/claude-mem\.db\.sha256 says [0-9a-f]{64}, the database .* did not finish, or runs now/);
    await old.push();
    expect(await imported(a)).toMatchObject({ inserted: 6 });
  });

  it('is rejected when it was truncated', async () => {
    const old = original('13.25.3');
    writeHistory(old.db, { name: 'old', seed: 7, observations: 60, from: JANUARY });
    const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length / 2);
    await old.push({ spoil: half });
    await nothing(/the database \(\d+ bytes\) has/);
    // Even if the digest matches.
    await old.push({ spoil: half, digestOf: 'spoiled' });
    await nothing(/damaged|no sound database/);
  });

  it('is rejected when it is not a database, or one of something else', async () => {
    const old = original('13.25.3');
    await old.push({ spoil: () => Buffer.from('<html>not here</html>'), digestOf: 'spoiled' });
    await nothing(/no sound database/);
    old.db.pragma('foreign_keys = OFF');
    old.db.exec('DROP TABLE user_prompts');
    old.db.exec('CREATE TABLE user_prompts (id INTEGER PRIMARY KEY)');
    await old.push();
    await nothing(/does not look like a claude-mem database/, 'memory_schema_unknown');
  });

  it('imports nothing when the call is canceled', async () => {
    const old = original('13.25.3');
    writeHistory(old.db, { name: 'old', seed: 7, observations: 60, from: JANUARY });
    await old.push();
    const controller = new AbortController();
    const call = { signal: controller.signal, progress: () => controller.abort(new Error('enough')) };
    await expect(a.engine.importLegacy(fleet.space, { access: fleet.access }, call)).rejects.toThrow(
      'enough',
    );
    expect(a.count('observations')).toBe(0);
    expect((await imported(a)).inserted).toBe(130);
  });
});
