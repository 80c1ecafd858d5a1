import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { newBucket } from '../../test/memory/nodes.ts';
import { Readiness } from './readiness.ts';

let folder: string;
let readiness: Readiness;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-readiness-'));
  process.env['CLAUDE_CONFIG_DIR'] = folder;
  readiness = new Readiness({
    node: 'x',
    engine: inject('parts').temporal,
    store: await newBucket(),
    command: { kind: 'claude', program: process.execPath },
    everyMs: 60_000,
    clockAheadMs: () => 0,
    queues: () => [],
    waits: () => [],
    changed: () => undefined,
    log: pino({ level: 'silent' }),
  });
});
afterEach(async () => {
  delete process.env['CLAUDE_CONFIG_DIR'];
  await readiness.stop();
  rmSync(folder, { recursive: true, force: true });
});

const refused = { code: 'runner_refused', message: 'Not logged in · Please run /login' };

test('takes no further task after the program reports that it is not signed in, until a run succeeds', async () => {
  expect(await readiness.findObstacles()).toEqual([]);
  readiness.noteEnd(refused);
  expect(await readiness.findObstacles()).toEqual([
    `${process.execPath} refuses to work: Not logged in · Please run /login`,
  ]);
  expect(readiness.work.program).toContain('Not logged in');
  readiness.noteEnd(null);
  expect([await readiness.findObstacles(), readiness.work.program]).toEqual([[], null]);
});

test('uses the program again after somebody signs in', async () => {
  readiness.noteEnd(refused);
  expect(readiness.isReady).toBe(false);
  const credentials = join(folder, '.credentials.json');
  writeFileSync(credentials, '{}');
  const later = Date.now() / 1_000 + 5;
  utimesSync(credentials, later, later);
  expect(await readiness.findObstacles()).toEqual([]);
});
