import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { newLegacyFleet, type LegacyFleet } from '../../test/memory/legacy-fleet.ts';
import { CALL, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { originalPull, type OriginalMachine } from '../../test/memory/original.ts';
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

const publish = async (
  node: TestNode,
  space: SpaceConfig = fleet.space,
  target: Partial<LegacyTarget> = {},
): Promise<LegacyPublication> =>
  await node.engine.publishLegacy(space, { access: fleet.access, ...target }, CALL);

/** Returns the space with only these projects. */
const narrow = (...projects: string[]): SpaceConfig => ({ ...fleet.space, projects });

/** Writes an observation with its session and prompt: two memories in the original's count. */
function observe({ write }: Pick<TestNode, 'write'>, project: string, title: string): void {
  const name = `${project}-${title}`;
  write.session({
    contentSessionId: `s-${name}`,
    memorySessionId: `mem-${name}`,
    project,
    userPrompt: `about ${title}`,
    startedAt: JANUARY,
  });
  write.prompt({ contentSessionId: `s-${name}`, number: 1, text: `do ${title}`, createdAt: JANUARY });
  write.observation({
    memorySessionId: `mem-${name}`,
    project,
    title,
    narrative: 'n',
    createdAt: JANUARY + 1,
  });
}

async function titles(): Promise<unknown[]> {
  const { db } = await originalPull(fleet.folder, { project: fleet.space.projectId, store });
  opened.push(db);
  return db.prepare('SELECT title FROM observations ORDER BY title').pluck().all();
}
const stand = async (): Promise<string[]> =>
  (await store.list('projects/'))
    .map(({ key, etag }) => `${key} ${etag}`)
    .filter((line) => line.includes('/sqlite/'));

/** Expects a refusal that names the numbers and changes nothing in the store. */
async function refused(attempt: () => Promise<unknown>, ...words: string[]): Promise<void> {
  const before = await stand();
  const error = await attempt().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'mirror_guarded' });
  for (const word of words) expect((error as Error).message).toContain(word);
  expect(await stand()).toEqual(before);
}

describe('a publication that would hold fewer memories', () => {
  it('refuses to replace a whole database by a space that covers nothing of it', async () => {
    for (const title of ['one', 'two', 'three']) observe(old, 'garden', title);
    await old.push();
    observe(a, 'garden', 'mine');
    const space = narrow('mem2');
    await refused(
      () => publish(a, space),
      '3 observations, 0 summaries and 3 prompts',
      '0 observations, 0 summaries and 0 prompts',
      '6 memories there belong to claude-mem projects that the space test does not cover (garden)',
      'membridge legacy publish --project test --fewer 6',
    );
    // Neither a retry, nor overwriting, nor another number counts as agreement.
    await refused(() => publish(a, space), '--fewer 6');
    await refused(() => publish(a, space, { overwrite: true, force: true }), '--fewer 6');
    await refused(() => publish(a, space, { fewer: 5 }), '5 was confirmed, which is not this number');
    expect(await titles()).toEqual(['one', 'three', 'two']);

    expect(await publish(a, space, { fewer: 6 })).toMatchObject({ state: 'published' });
    expect(await titles()).toEqual([]);
  });

  it('counts projects that are left out, even if the new snapshot is larger', async () => {
    observe(old, 'billing', 'theirs');
    await old.push();
    for (const title of ['one', 'two', 'three']) observe(a, 'garden', title);
    await refused(
      () => publish(a, narrow('garden')),
      '2 memories there belong to claude-mem projects',
      'billing',
    );
    expect(await publish(a)).toMatchObject({ state: 'published', imported: 3 });
    expect(await titles()).toEqual(['one', 'theirs', 'three', 'two']);
  });

  it('is refused after a person deleted memories, until that person agrees', async () => {
    for (const title of ['one', 'two', 'three']) observe(a, 'garden', title);
    await publish(a);
    a.db.prepare(`DELETE FROM observations WHERE title = 'two'`).run();
    await a.engine.audit(CALL, { deep: true });
    await refused(() => publish(a), 'the new one would hold 2 observations', '--fewer 1');
    expect(await publish(a, fleet.space, { fewer: 1 })).toMatchObject({ state: 'published' });
    expect(await titles()).toEqual(['one', 'three']);
    a.db.prepare(`DELETE FROM observations WHERE title = 'one'`).run();
    await a.engine.audit(CALL, { deep: true });
    await refused(() => publish(a), '--fewer 1');
    observe(a, 'garden', 'four');
    expect(await publish(a)).toMatchObject({ state: 'published' });
    expect(await titles()).toEqual(['four', 'three']);
  });

  it('is refused after a project was excluded', async () => {
    observe(a, 'garden', 'kept');
    observe(a, 'diary', 'private');
    await publish(a);
    const space = { ...fleet.space, excluded: ['diary'] };
    await refused(() => publish(a, space), '2 memories there belong to', 'diary', '--fewer 2');
    expect(await publish(a, space, { fewer: 2 })).toMatchObject({ state: 'published' });
    expect(await titles()).toEqual(['kept']);
  });

  it('is refused on every node, and accepted after a person agreed on any one', async () => {
    const b = fleet.add('b', '10.6.3');
    for (const title of ['one', 'two', 'three']) observe(a, 'garden', title);
    await settle(fleet.space, [a, b]);
    await publish(a);
    b.db.prepare(`DELETE FROM observations WHERE title IN ('two', 'three')`).run();
    await b.engine.audit(CALL, { deep: true });
    await settle(fleet.space, [b, a]);
    await refused(() => publish(a), '--fewer 2');
    await refused(() => publish(b), '--fewer 2');
    expect(await publish(b, fleet.space, { fewer: 2 })).toMatchObject({ state: 'published' });
    // `a` once published three observations, and sees that a person agreed to one.
    observe(a, 'garden', 'four');
    expect(await publish(a)).toMatchObject({ state: 'published' });
    expect(await titles()).toEqual(['four', 'one']);
  });

  it('remembers the last publication when the stored snapshot is gone or smaller', async () => {
    for (const title of ['one', 'two', 'three']) observe(a, 'garden', title);
    await publish(a);
    const keys = legacyKeys(fleet.space.cid);
    for (const key of [keys.database, keys.digest, keys.manifest]) await store.remove(key);
    a.db.prepare(`DELETE FROM observations WHERE title = 'two'`).run();
    await a.engine.audit(CALL, { deep: true });
    await refused(() => publish(a), 'what this node last published', '--fewer 1');
    // A machine that lost its memory pushes next to nothing; that lowers no number.
    observe(old, 'garden', 'one');
    await old.push();
    await refused(() => publish(a), 'what this node last published', '--fewer 1');
  });

  it('ignores the conversations of claude-mem’s own observer', async () => {
    observe(old, 'garden', 'theirs');
    observe(old, 'observer-sessions', 'noise');
    await old.push();
    observe(a, 'garden', 'mine');
    expect(await publish(a)).toMatchObject({ state: 'published', imported: 3 });
    expect(await titles()).toEqual(['mine', 'theirs']);
  });

  it('examines a snapshot again that an older agent merged', async () => {
    for (const title of ['one', 'two']) observe(old, 'garden', title);
    await old.push();
    const space = narrow('mem2');
    await a.engine.importLegacy(space, { access: fleet.access }, CALL);
    await a.engine.close();
    const ledger = new Database(a.options.ledgerPath);
    ledger.exec(`DELETE FROM meta WHERE name LIKE 'legacy:held:%'`);
    ledger.close();
    const engine = fleet.reopen(a, {});
    await refused(() => engine.publishLegacy(space, { access: fleet.access }, CALL), '--fewer 4');
    await engine.close();
  });
});

describe('a snapshot that cannot be verified', () => {
  it('counts by its manifest when nothing of the database is readable', async () => {
    for (const title of ['one', 'two', 'three']) observe(old, 'garden', title);
    await old.push({ spoil: (bytes) => Buffer.alloc(bytes.length, 7), digestOf: 'spoiled' });
    observe(a, 'garden', 'mine');
    await expect(publish(a)).rejects.toMatchObject({ code: 'segment_invalid' });
    await refused(
      () => publish(a, fleet.space, { overwrite: true }),
      '3 observations, 0 summaries and 3 prompts',
      'manifest.json',
      '1 observation, 0 summaries and 1 prompt',
      '--fewer 4',
    );
    const agreed = { overwrite: true, fewer: 4 };
    expect(await publish(a, fleet.space, agreed)).toMatchObject({ state: 'published' });
    expect(await titles()).toEqual(['mine']);
  });

  it('counts by what is readable when there is no manifest either', async () => {
    for (const title of ['one', 'two', 'three']) observe(old, 'garden', title);
    // A page of an empty table: SQLite finds the file damaged, but can still count.
    const spoil = (bytes: Buffer): Buffer => Buffer.from(bytes).fill(7, 45 * 4_096, 46 * 4_096);
    await old.push({ spoil, digestOf: 'spoiled' });
    await store.remove(legacyKeys(fleet.space.cid).manifest);
    observe(a, 'garden', 'mine');
    await expect(publish(a)).rejects.toMatchObject({ code: 'segment_invalid' });
    await refused(() => publish(a, fleet.space, { overwrite: true }), 'claude-mem.db', '--fewer 4');
  });

  it.each([
    ['has no digest beside it', (key: string) => store.remove(key)],
    ['has a digest that is none', (key: string) => store.put(key, Buffer.from('???'))],
  ])('is imported first when it %s and a person wants it replaced', async (_what, spoil) => {
    observe(old, 'garden', 'theirs');
    await old.push();
    await spoil(legacyKeys(fleet.space.cid).digest);
    observe(a, 'garden', 'mine');
    const before = await stand();
    await expect(publish(a)).rejects.toMatchObject({ code: 'segment_invalid' });
    expect(await stand()).toEqual(before);
    expect(await publish(a, fleet.space, { overwrite: true })).toMatchObject({ imported: 3 });
    expect(await titles()).toEqual(['mine', 'theirs']);
  });

  it('is noticed when its database was replaced under an already merged digest', async () => {
    observe(old, 'garden', 'theirs');
    await old.push();
    observe(a, 'garden', 'mine');
    await publish(a);
    observe(old, 'garden', 'late');
    await old.push({ stop: 'after-database' });
    observe(a, 'garden', 'more');
    await expect(publish(a)).rejects.toMatchObject({ code: 'segment_invalid' });
    expect(await publish(a, fleet.space, { overwrite: true })).toMatchObject({ state: 'published' });
    expect(await titles()).toEqual(['late', 'mine', 'more', 'theirs']);
  });
});
