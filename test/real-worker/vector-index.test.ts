import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { readVectorIndex, type VectorIndexState } from '../../memory/claude-mem/vector-index.ts';
import { installWorker } from './install.ts';
import { startWorker, type RealWorker } from './worker.ts';

let folder: string;
let worker: RealWorker | null;
let db: Database.Database | null;
beforeAll(installWorker);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-worker-vectors-'));
  worker = null;
  db = null;
  const script = join(import.meta.dirname, 'chroma-stand-in.ts');
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin', 'uvx'), `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, {
    mode: 0o755,
  });
});
afterEach(async () => {
  db?.close();
  await worker?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = (): Promise<RealWorker> =>
  startWorker(folder, {
    CLAUDE_MEM_CHROMA_ENABLED: 'true',
    PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
  });

const save = async (title: string): Promise<void> => {
  expect(await worker?.save({ title, text: `The text of ${title}.`, project: 'garden' })).toBe(true);
};

function look(): VectorIndexState | null {
  const reader = new Database(join(folder, 'claude-mem.db'), { readonly: true });
  try {
    return readVectorIndex(reader, { databaseFolder: folder, defaultFolder: join(folder, 'nowhere') });
  } finally {
    reader.close();
  }
}

async function untilIndex(expected: Partial<VectorIndexState>): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    const state = look();
    const isSo = Object.entries(expected).every(
      ([key, value]) => state?.[key as keyof VectorIndexState] === value,
    );
    if (isSo) return;
    await sleep(250);
  }
  expect(look()).toMatchObject(expected);
}

/** Writes memories as a merge does. */
function merge(titles: readonly string[]): void {
  db ??= new Database(join(folder, 'claude-mem.db'), { timeout: 5_000 });
  const insert = db.prepare(
    `INSERT INTO observations (memory_session_id, project, type, title, narrative, created_at, created_at_epoch, origin_device_id, origin_local_id)
     SELECT memory_session_id, project, type, @title, 'The text of ' || @title, created_at, created_at_epoch, 'membridge:b', @title
     FROM observations LIMIT 1`,
  );
  for (const title of titles) insert.run({ title });
}

it('omits merged memories after the worker saved a later one, and embeds them when its note is gone', async () => {
  worker = await start();
  await save('one');
  await untilIndex({ passed: 0, waiting: 0, gone: 0 });
  merge(['two', 'three']);
  expect(look()).toMatchObject({ passed: 0, waiting: 2, gone: 0 });
  await save('four');
  await untilIndex({ passed: 2, waiting: 0, gone: 0 });

  // Waiting memories are embedded at the next start; omitted ones are not.
  merge(['five']);
  await worker.stop();
  worker = await start();
  await untilIndex({ passed: 2, waiting: 0, gone: 0 });

  db?.exec(`DELETE FROM observations WHERE title = 'one'`);
  await worker.stop();
  rmSync(join(folder, 'chroma-sync-state.json'));
  worker = await start();
  await untilIndex({ passed: 0, waiting: 0, gone: 1 });

  // With Chroma's own folder gone as well, nothing of the deleted one is left.
  await worker.stop();
  rmSync(join(folder, 'chroma-sync-state.json'));
  rmSync(join(folder, 'chroma'), { recursive: true });
  worker = await start();
  await untilIndex({ passed: 0, waiting: 0, gone: 0 });
}, 400_000);
