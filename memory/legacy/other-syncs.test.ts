import type Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../storage/object-store.ts';
import { newLegacyFleet, type LegacyFleet } from '../../test/memory/legacy-fleet.ts';
import { CALL, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { originalPull, type OriginalMachine } from '../../test/memory/original.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let legacy: LegacyFleet;
let fleet: TestFleet;
let store: ObjectStore;
let a: TestNode;
let b: TestNode;
let old: OriginalMachine;
beforeEach(async () => {
  legacy = await newLegacyFleet();
  ({ fleet, store, a, old } = legacy);
  b = fleet.add('b', '13.25.3');
});
afterEach(async () => {
  await legacy.close();
});

/** Writes a session with a prompt and an observation. */
function talk({ write }: Pick<TestNode, 'write'>): void {
  const memorySessionId = 'mem-a';
  write.session({ contentSessionId: 'chat', memorySessionId, project: 'garden', startedAt: JANUARY });
  write.prompt({ contentSessionId: 'chat', number: 1, text: 'water the roses', createdAt: JANUARY });
  const said = { title: 'Roses', narrative: 'They drink much.', createdAt: JANUARY + 1 };
  write.observation({ memorySessionId, project: 'garden', ...said });
}

/** Copies the rows, as claude-mem's cloud sync or a hub with its protocol does. */
function copyRows(db: Database.Database): void {
  const prompt =
    'session_db_id, content_session_id, prompt_number, prompt_text, created_at, created_at_epoch';
  db.exec(`INSERT INTO user_prompts (${prompt}, origin_device_id, origin_local_id)
    SELECT ${prompt}, 'device-a', id FROM user_prompts`);
  const observation =
    'memory_session_id, project, type, title, subtitle, narrative, facts, created_at, created_at_epoch';
  db.exec(`INSERT INTO observations (${observation}, content_hash, origin_device_id, origin_local_id)
    SELECT ${observation}, 'of-the-copy', 'device-a', id FROM observations`);
}

async function mirrored(sql: string): Promise<unknown[]> {
  const { db } = await originalPull(fleet.folder, { project: fleet.space.projectId, store });
  try {
    return db.prepare(sql).pluck().all();
  } finally {
    db.close();
  }
}
/** Writes a prompt as another sync brings it: in a session that it made up. */
function receivePrompt({ db, write }: Pick<TestNode, 'db' | 'write'>): void {
  write.session({
    contentSessionId: 'mem-a',
    memorySessionId: 'mem-a',
    project: 'garden',
    startedAt: JANUARY,
  });
  db.exec(`INSERT INTO user_prompts
    (session_db_id, content_session_id, prompt_number, prompt_text, created_at, created_at_epoch, origin_device_id, origin_local_id)
    VALUES (1, 'chat', 1, 'water the roses', '2026-01-05', ${JANUARY}, 'device-a', '1')`);
}
const counts = (node: TestNode): number[] => [node.count('user_prompts'), node.count('observations')];

describe('rows that another sync copied', () => {
  it('are left out of a published snapshot', async () => {
    talk(a);
    copyRows(a.db);
    await a.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL);
    expect(await mirrored('SELECT title FROM observations')).toEqual(['Roses']);
    expect(await mirrored('SELECT prompt_text FROM user_prompts')).toEqual(['water the roses']);
    expect(counts(a)).toEqual([2, 2]);
  });

  it('are left out of a published snapshot even if the ledger names the copy', async () => {
    talk(a);
    a.db.exec(`UPDATE observations SET origin_device_id = 'device-x', origin_local_id = '1'`);
    await a.engine.push(fleet.space, CALL);
    const columns =
      'memory_session_id, project, type, title, subtitle, narrative, facts, created_at, created_at_epoch';
    a.db.exec(
      `INSERT INTO observations (${columns}, content_hash) SELECT ${columns}, 'own' FROM observations`,
    );
    const published = await a.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL);
    expect(published).toMatchObject({ counts: { observations: 1 } });
    expect(await mirrored('SELECT title FROM observations')).toEqual(['Roses']);
  });

  it('are imported once from a pushed snapshot, without anyone’s agreement', async () => {
    talk(old);
    copyRows(old.db);
    await old.push();
    await b.engine.importLegacy(fleet.space, { access: fleet.access }, CALL);
    expect(counts(b)).toEqual([1, 1]);
    const published = await b.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL);
    expect(published).toMatchObject({ state: 'published', counts: { prompts: 1, observations: 1 } });
  });
});

it('count in a pushed snapshot that has no other row of the memory', async () => {
  receivePrompt(old);
  await old.push();
  const publish = async (): Promise<unknown> =>
    await b.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL);
  await expect(publish()).rejects.toMatchObject({
    code: 'mirror_guarded',
    message: expect.stringContaining('--fewer 1.') as string,
  });
  talk(a);
  await settle(fleet.space, [a, b]);
  expect(await publish()).toMatchObject({ state: 'published', counts: { prompts: 1 } });
});

it('are sent as old text that another sync restored, even after a publication saw the edit', async () => {
  talk(a);
  await settle(fleet.space, [a, b]);
  copyRows(a.db);
  a.db.exec(`UPDATE observations SET narrative = 'They drink little.' WHERE origin_device_id IS NULL`);
  await a.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL);
  await settle(fleet.space, [a, b]);
  const texts = ({ db }: TestNode): unknown[] =>
    db.prepare('SELECT narrative FROM observations ORDER BY 1').pluck().all();
  expect(texts(b)).toEqual(['They drink little.', 'They drink much.']);
  expect(texts(b)).toEqual(texts(a));
});

it('are published in a prompt’s own session, even if another sync moved it to a made-up one', async () => {
  receivePrompt(b);
  await b.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL);
  // Only the machine that wrote the prompt sends it.
  expect(await mirrored('SELECT prompt_text FROM user_prompts')).toEqual([]);
  talk(a);
  await settle(fleet.space, [a, b]);
  await b.engine.publishLegacy(fleet.space, { access: fleet.access }, CALL);
  const session =
    'SELECT s.content_session_id FROM user_prompts p JOIN sdk_sessions s ON s.id = p.session_db_id';
  expect(await mirrored(session)).toEqual(['chat']);
  expect(b.db.prepare(session).pluck().all()).toEqual(['mem-a']);
  expect(await a.engine.importLegacy(fleet.space, { access: fleet.access }, CALL)).toMatchObject({
    inserted: 0,
  });
  expect(counts(a)).toEqual([1, 1]);
});
