import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { openObjectStore, type ObjectStore } from '../../storage/object-store.ts';
import { CALL, newFleet, type TestFleet, type TestNode } from '../../test/nodes.ts';
import { originalMachine, originalPull, type OriginalMachine } from '../../test/original.ts';
import { expectSound } from '../../test/sound.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let store: ObjectStore;
let a: TestNode;
let old: OriginalMachine;
beforeEach(async () => {
  fleet = await newFleet();
  store = openObjectStore(fleet.access);
  a = fleet.add('a', '13.25.3');
  const { projectId: project } = fleet.space;
  const folder = join(fleet.folder, 'originals');
  old = originalMachine(folder, { host: 'old-laptop', release: '13.25.3', project, store });
});
afterEach(async () => {
  old.close();
  store.close();
  await fleet.close();
});

const DAMAGES = [
  ['a record that is empty', `UPDATE observations_fts_data SET block = x'' WHERE id = 10`],
  ['a record that is gone', 'DELETE FROM observations_fts_data WHERE id = 10'],
  ['no table of its records', 'DROP TABLE observations_fts_data'],
  ['no table of its segments', 'DROP TABLE observations_fts_idx'],
  ['no table of its rows', 'DROP TABLE observations_fts_docsize'],
  ['no table of its settings', 'DROP TABLE observations_fts_config'],
] as const;

/** What a crash or a bad disk leaves of an index; SQLite itself would refuse it. */
function damage(path: string, sql: string): void {
  const db = new Database(path);
  try {
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    db.exec(sql);
  } finally {
    db.close();
  }
}

describe.each(DAMAGES)('a full-text index with %s', (_what, sql) => {
  it.each([['a space of everything', []] as const, ['a space of less', ['garden']] as const])(
    'is mended in the snapshot that is published: %s',
    async (_space, excluded) => {
      writeHistory(a.db, { name: 'mine', seed: 8, observations: 24, from: JANUARY });
      damage(a.path, sql);
      const space = { ...fleet.space, excluded: [...excluded] };
      await a.engine.publishLegacy(space, { access: fleet.access }, CALL);
      const { db, path } = await originalPull(fleet.folder, { project: fleet.space.projectId, store });
      db.close();
      expectSound(path, 'the snapshot');
    },
  );

  it('keeps no memory of a pushed snapshot from coming in', async () => {
    writeHistory(old.db, { name: 'old', seed: 7, observations: 24, from: JANUARY });
    damage(old.db.name, sql);
    await old.push();
    await a.engine.importLegacy(fleet.space, { access: fleet.access }, CALL);
    expect(a.count('observations')).toBe(24);
  });
});
