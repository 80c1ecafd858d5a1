import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { findLiveDatabase } from '../../memory/claude-mem/data-folder.ts';
import { installWorker } from './install.ts';
import { startWorker, type RealWorker } from './worker.ts';

let folder: string;
let home: string;
let worker: RealWorker | null;
beforeAll(installWorker);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-worker-settings-'));
  home = join(folder, 'home');
  mkdirSync(join(home, '.claude-mem'), { recursive: true });
  worker = null;
});
afterEach(async () => {
  await worker?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const SETTING = { CLAUDE_MEM_DATA_DIR: '~/chosen' };

it.each([
  ['flat keys', JSON.stringify({ ...SETTING, CLAUDE_MEM_CHROMA_ENABLED: 'false' })],
  ['keys below "env"', JSON.stringify({ env: SETTING })],
  ['keys below "env" and beside it', JSON.stringify({ env: { OTHER: '1' }, ...SETTING })],
  ['a byte order mark', `\uFEFF${JSON.stringify(SETTING)}`],
  ['a broken end', `${JSON.stringify(SETTING)}}`],
])('finds the database that the real worker makes, by a settings file with %s', async (_form, text) => {
  writeFileSync(join(home, '.claude-mem', 'settings.json'), text);
  worker = await startWorker(folder, { CLAUDE_MEM_DATA_DIR: undefined });
  const { path } = findLiveDatabase({ env: {}, home });
  const places = ['chosen', '.claude-mem'].map((name) => join(home, name, 'claude-mem.db'));
  expect(places.filter((place) => existsSync(place))).toEqual([path]);
});

it.each(['~/of-the-environment', '~'])(
  'finds it by CLAUDE_MEM_DATA_DIR=%s of the environment',
  async (value) => {
    writeFileSync(join(home, '.claude-mem', 'settings.json'), JSON.stringify(SETTING));
    worker = await startWorker(folder, { CLAUDE_MEM_DATA_DIR: value });
    const { path } = findLiveDatabase({ env: { CLAUDE_MEM_DATA_DIR: value }, home });
    expect(readFileSync(path).subarray(0, 15).toString()).toBe('SQLite format 3');
    expect(existsSync(join(home, 'chosen', 'claude-mem.db'))).toBe(false);
  },
);
