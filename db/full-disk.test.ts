import { execFileSync } from 'node:child_process';
import { chownSync, closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findPostgresHome } from '../stack/postgres-home.ts';
import { startPostgres } from '../stack/postgres.ts';
import { removeStackData } from '../stack/stack.ts';
import { startTestPlane } from '../test/support/control-plane.ts';

const log = (): void => undefined;
const MOST_SPACES = 2_000;

/**
 * Writes a file until its disk is full.
 * @returns its size in bytes
 */
function fill(path: string): number {
  const file = openSync(path, 'w');
  try {
    for (const size of [1 << 20, 1 << 12, 1]) {
      const bytes = Buffer.alloc(size);
      for (;;) {
        try {
          writeSync(file, bytes);
        } catch {
          break;
        }
      }
    }
    return fstatSync(file).size;
  } finally {
    closeSync(file);
  }
}

it('the control plane refuses writes while PostgreSQL’s disk is full, and recovers when there is space', async ({
  skip,
}) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-full-'));
  const { folder, user } = await findPostgresHome(dataDir, log);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', folder], { stdio: 'pipe' });
  } catch {
    skip('a small disk can only be mounted by root');
  }
  if (user) chownSync(folder, user.uid, user.gid);
  const postgres = await startPostgres({ dataDir, port: 0, password: 'password-of-a-test', log });
  try {
    const test = await startTestPlane({ databaseUrl: postgres.databaseUrl });
    let made = 0;
    const makeSpace = async () => {
      made += 1;
      // Texts that PostgreSQL cannot compress.
      const projects = Array.from({ length: 20 }, (_, n) => `project-${made}-${n}-${crypto.randomUUID()}`);
      return await test.call('POST', '/api/membridge/spaces', { body: { name: `space-${made}`, projects } });
    };
    expect((await makeSpace()).status).toBe(201);
    const filler = join(folder, 'filler');
    expect(fill(filler)).toBeGreaterThan(1 << 20);
    let refused = await makeSpace();
    while (refused.status === 201 && made < MOST_SPACES) refused = await makeSpace();
    expect(refused.body).toMatchObject({ status: 503, code: 'database_unavailable' });
    const { status } = await test.call('GET', '/health');
    expect([200, 503]).toContain(status);
    rmSync(filler);
    await expect.poll(async () => (await makeSpace()).status, { timeout: 60_000 }).toBe(201);
    await test.stop();
  } finally {
    await postgres.stop();
    execFileSync('umount', ['-l', folder]);
    removeStackData(dataDir);
  }
}, 180_000);
