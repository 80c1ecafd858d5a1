import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { newBucket } from '../../memory/nodes.ts';
import { soak } from './soak.ts';

it('five agents that are killed twenty times lose, duplicate and invent nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-soak-'));
  try {
    const report = await soak({
      access: await newBucket(),
      folder,
      kills: 20,
      seed: 1,
      log: () => undefined,
    });
    expect(report.kills).toBeGreaterThanOrEqual(20);
    expect(report.rows).toBeGreaterThan(20);
    expect(report).toMatchObject({ lost: 0, duplicated: 0, invented: 0, diverged: 0, unsound: 0 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
