import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { readAgentConfig } from '../../agent/config.ts';
import { examineDatabase } from '../../agent/doctor/database.ts';
import { canSeeHolders } from '../../memory/claude-mem/holders.ts';
import { installWorker } from './install.ts';
import { startWorker, type RealWorker } from './worker.ts';

let folder: string;
let worker: RealWorker;
beforeAll(installWorker);
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-worker-doctor-'));
  worker = await startWorker(folder);
  mkdirSync(join(folder, 'stale'));
  vi.stubEnv('HOME', join(folder, 'home'));
  vi.stubEnv('CLAUDE_MEM_DB', undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});

it('fails for a database that the running worker does not use, and names the right one', () => {
  vi.stubEnv('CLAUDE_MEM_DATA_DIR', folder);
  expect(examineDatabase(readAgentConfig(process.env))).toMatchObject({ ok: true });
  vi.stubEnv('CLAUDE_MEM_DATA_DIR', join(folder, 'stale'));
  const check = examineDatabase(readAgentConfig(process.env));
  // Which files another process has open can be seen on Linux only.
  expect(check.ok).toBe(!canSeeHolders());
  if (!check.ok)
    expect(check.detail).toContain(`uses ${join(folder, 'claude-mem.db')}, which is another file`);
});
