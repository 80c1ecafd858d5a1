import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { newLegacyFleet, type LegacyFleet } from '../../test/memory/legacy-fleet.ts';
import { CALL, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { originalPull, type OriginalMachine } from '../../test/memory/original.ts';
import { writeDamage } from '../../test/sim/damage.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let legacy: LegacyFleet;
let fleet: TestFleet;
let store: ObjectStore;
let a: TestNode;
let old: OriginalMachine;
beforeEach(async () => {
  legacy = await newLegacyFleet();
  ({ fleet, store, a, old } = legacy);
});
afterEach(async () => {
  await legacy.close();
});

const DAMAGES = [
  ['a record that is empty', `UPDATE observations_fts_data SET block = x'' WHERE id = 10`],
  ['a record that is gone', 'DELETE FROM observations_fts_data WHERE id = 10'],
  ['no table of its records', 'DROP TABLE observations_fts_data'],
  ['no table of its segments', 'DROP TABLE observations_fts_idx'],
  ['no table of its rows', 'DROP TABLE observations_fts_docsize'],
  ['no table of its settings', 'DROP TABLE observations_fts_config'],
] as const;

describe.each(DAMAGES)('a full-text index with %s', (_what, sql) => {
  it.each([['a space of everything', []] as const, ['a space of less', ['garden']] as const])(
    'is repaired in the published snapshot: %s',
    async (_space, excluded) => {
      writeHistory(a.db, { name: 'mine', seed: 8, observations: 24, from: JANUARY });
      writeDamage(new Database(a.path), sql);
      const space = { ...fleet.space, excluded: [...excluded] };
      await a.engine.publishLegacy(space, { access: fleet.access }, CALL);
      const { db, path } = await originalPull(fleet.folder, { project: fleet.space.projectId, store });
      db.close();
      expectIntact(path, 'the snapshot');
    },
  );

  it('does not stop memories of a pushed snapshot from being imported', async () => {
    writeHistory(old.db, { name: 'old', seed: 7, observations: 24, from: JANUARY });
    writeDamage(new Database(old.db.name), sql);
    await old.push();
    await a.engine.importLegacy(fleet.space, { access: fleet.access }, CALL);
    expect(a.count('observations')).toBe(24);
  });
});
