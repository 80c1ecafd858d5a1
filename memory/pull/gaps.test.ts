import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MemoryWriter } from '../../fixtures/claude-mem/write.ts';
import { CALL, newFleet, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { MemoryEngine } from '../engine.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  [a, b] = ['a', 'b'].map((name) => fleet.add(name, '13.25.3')) as [TestNode, TestNode];
});
afterEach(() => fleet.close());

function begin(): void {
  a.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'garden', startedAt: JANUARY });
}

function observe(write: MemoryWriter, title: string): void {
  const row = { memorySessionId: 'm', project: 'garden', title, narrative: 'text', createdAt: JANUARY };
  write.observation(row);
}

const titles = ({ db }: TestNode): unknown[] =>
  db.prepare('SELECT title FROM observations ORDER BY title').pluck().all();

it('both chains of two cloned machines are read although the store lost a segment of one', async () => {
  begin();
  await a.engine.push(fleet.space, CALL);
  await a.engine.close();
  const folder = join(fleet.folder, 'copy');
  mkdirSync(folder);
  const [databasePath, ledgerPath] = [join(folder, 'claude-mem.db'), join(folder, 'ledger.db')];
  a.db.pragma('wal_checkpoint(TRUNCATE)');
  copyFileSync(a.path, databasePath);
  copyFileSync(a.options.ledgerPath, ledgerPath);
  const db = new Database(databasePath);
  const copy = new MemoryEngine({ ...a.options, databasePath, ledgerPath });
  const { store } = a.options;
  const segments = async (): Promise<string[]> =>
    (await store.list(`projects/${fleet.space.cid}/memory/v1/seg/a/`)).map(({ key }) => key);
  try {
    observe(a.write, 'original, lost');
    await a.engine.push(fleet.space, CALL);
    const [, lost] = await segments();
    observe(a.write, 'original, behind it');
    await a.engine.push(fleet.space, CALL);
    for (const title of ['copy, second', 'copy, third', 'copy, fourth']) {
      observe(new MemoryWriter(db), title);
      await copy.push(fleet.space, CALL);
    }
    expect(await segments()).toHaveLength(6);
    await store.remove(lost ?? '');
    const pulled = await b.engine.pull(fleet.space, true, CALL);
    expect(titles(b)).toEqual(['copy, fourth', 'copy, second', 'copy, third']);
    expect(pulled.problems).toMatchObject([{ node: 'a', problem: /^segment 3 exists but/ }]);
  } finally {
    await copy.close();
    db.close();
  }
  // The original finds that its segment is gone, and sends everything again.
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  expect(titles(b)).toEqual([
    'copy, fourth',
    'copy, second',
    'copy, third',
    'original, behind it',
    'original, lost',
  ]);
});

it('a segment behind a gap is not used, even if it was filed as damaged before', async () => {
  const { store } = a.options;
  const root = `projects/${fleet.space.cid}/memory/v1`;
  begin();
  await a.engine.push(fleet.space, CALL);
  for (const title of ['second', 'third']) {
    observe(a.write, title);
    await a.engine.push(fleet.space, CALL);
  }
  const certificate = await store.get(`${root}/keys/a.json`);
  const [first] = await store.list(`${root}/seg/a/`);
  for (const key of [`${root}/keys/a.json`, first?.key ?? '']) await store.remove(key);
  const { problems } = await b.engine.pull(fleet.space, true, CALL);
  expect(problems).toMatchObject([{ problem: /no valid certificate/ }]);
  await store.put(`${root}/keys/a.json`, certificate ?? Buffer.alloc(0));
  const pulled = await b.engine.pull(fleet.space, true, CALL);
  expect(pulled).toMatchObject({ segments: 0, problems: [{ problem: /^segment 2 exists but/ }] });
  // Its node finds the gap, and sends everything again.
  await a.engine.pull(fleet.space, true, CALL);
  await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, true, CALL);
  expect(titles(b)).toEqual(['second', 'third']);
});
