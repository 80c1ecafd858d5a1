import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { contextFolder, sweepContexts } from './contexts.ts';

it('keeps one folder for a context, until a month after its last task', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-contexts-'));
  try {
    expect(await sweepContexts(dataDir)).toBe(0);
    const folder = await contextFolder(dataDir, 'login/form');
    expect(await contextFolder(dataDir, 'login/form')).toBe(folder);
    expect(await contextFolder(dataDir, 'login/other')).not.toBe(folder);
    writeFileSync(join(folder, 'notes.md'), 'kept');
    const day = 24 * 3_600_000;
    expect(await sweepContexts(dataDir, Date.now() + 29 * day)).toBe(0);
    expect(existsSync(join(folder, 'notes.md'))).toBe(true);
    expect(await sweepContexts(dataDir, Date.now() + 31 * day)).toBe(2);
    expect(existsSync(folder)).toBe(false);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
