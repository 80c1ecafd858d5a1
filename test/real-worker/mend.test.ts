import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { findFullTextProblems } from '../../memory/claude-mem/full-text.ts';
import { holdersOf } from '../../memory/claude-mem/holders.ts';
import { mendFullText } from '../../memory/claude-mem/mend-full-text.ts';
import { installWorker } from './install.ts';
import { startWorker, type RealWorker } from './worker.ts';

let folder: string;
let worker: RealWorker;
beforeAll(installWorker);
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-worker-mend-'));
  worker = await startWorker(folder);
});
afterEach(async () => {
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});

const save = (title: string): Promise<boolean> =>
  worker.save({ title, text: `The text of ${title}.`, project: 'garden' });

it.each([
  ['has lost its record 10', 'DELETE FROM observations_fts_data WHERE id = 10', 'rebuild'],
  ['has lost a table', 'DROP TABLE observations_fts_docsize', 'recreate'],
  ['has lost its table of settings', 'DROP TABLE observations_fts_config', 'recreate'],
])(
  'repairs an index that %s under the running worker, which then saves and finds again',
  async (_name, sql, mend) => {
    const path = join(folder, 'claude-mem.db');
    for (const title of ['aardvark', 'badger']) expect(await save(title)).toBe(true);
    const db = new Database(path, { timeout: 5_000 });
    db.unsafeMode(true);
    db.exec(sql);
    expect(await save('chamois')).toBe(false);
    const problems = findFullTextProblems(db, { thorough: false });
    db.close();
    expect(problems).toMatchObject([{ index: 'observations_fts', mend }]);
    const holders = holdersOf(path);
    expect(holders.length).toBeGreaterThan(0);
    for (const problem of problems)
      expect(mendFullText(path, problem, holders)).toMatchObject({ done: true });
    expect(await save('dormouse')).toBe(true);
    for (const title of ['aardvark', 'badger', 'dormouse'])
      expect(await worker.search(title)).toContain(title);
  },
);
