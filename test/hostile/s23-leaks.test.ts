import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isPublicAddress, explainRefusedWebhook } from '../../activities/control/webhook-address.ts';
import { csvLine } from '../../api/audit/csv.ts';
import { resolveHints } from '../../runner/hints.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../support/control-plane.ts';

describe('S23: a webhook', () => {
  it.each([
    '0.0.0.0',
    '10.255.255.255',
    '100.127.0.1',
    '127.1.2.3',
    '169.254.169.254',
    '172.31.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '198.51.100.1',
    '203.0.113.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a9fe:a9fe',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:2::1',
    '2001:10::1',
    '2001:20::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd12::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
  ])('is not sent to %s, which is not on the public internet', (address) => {
    expect(isPublicAddress(address)).toBe(false);
    const host = address.includes(':') ? `[${address}]` : address;
    expect(explainRefusedWebhook(`http://${host}/`, [])).toMatch(/is not on the open internet/);
  });

  it.each(['1.1.1.1', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450:4001:80b::200e', '::ffff:8.8.8.8'])(
    'is sent to %s, which is',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
});

describe('S23: a cell of a CSV file', () => {
  it.each([
    '=1',
    '\n=1',
    '\r\n=1',
    ' =1',
    '\u00a0=1',
    '\v=1',
    '\f=1',
    '\ufeff=1',
    '\u200b=1',
    '＝1',
    ' ＠a',
    '\t-1',
  ])('starts with an apostrophe when a spreadsheet could run it: %j', (value) =>
    expect(csvLine([value])).toMatch(/^"?'/),
  );

  it.each(['plain', 'a=1', '2026-11-29', ''])('stays unchanged otherwise: %j', (value) =>
    expect(csvLine([value])).toBe(`${value}\r\n`),
  );
});

describe('S23: a hint of a task', () => {
  let folder: string;
  let cwd: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'membridge-hint-leaks-'));
    cwd = join(folder, 'project');
    mkdirSync(cwd);
    mkdirSync(join(folder, 'out'));
    writeFileSync(join(folder, 'out', 'secret-name.txt'), 'SECRET');
    writeFileSync(join(cwd, 'own.txt'), 'own');
    symlinkSync(join(folder, 'out'), join(cwd, 'link'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const resolve = async (hint: string): Promise<string> => {
    const signal = new AbortController().signal;
    const databasePath = join(folder, 'none.db');
    const { text, notes } = await resolveHints({
      hints: [hint],
      cwd,
      tokens: 1_000,
      databasePath,
      project: 'p',
      signal,
    });
    return `${text}\n${notes.join('\n')}`;
  };

  it.each([
    '../out/*',
    '[.][.]/out/*',
    '{.,x}./out/*',
    '{..,x}/out/*',
    '?./out/*',
    '*/../../out/*',
    'link/*',
    'l*k/*.txt',
    '{link,x}/*',
    '**/*.txt',
  ])('reveals nothing about files outside of the working directory: %s', async (hint) => {
    const told = await resolve(hint);
    expect(told).not.toContain('SECRET');
    expect(told).not.toContain('secret-name');
  });

  it.each(['link/secret-name.txt', 'link/other-name.txt', '../out/secret-name.txt', '../out/other-name.txt'])(
    'does not reveal whether a file outside exists: %s',
    async (hint) =>
      expect((await resolve(hint)).trim()).toBe(`${hint}: is not inside the working directory.`),
  );
});

describe('S23: the browser', () => {
  let api: TestPlane;
  beforeAll(async () => void (api = await startTestPlane()));
  afterAll(async () => await api.stop());

  it.each(['/api/runtime/workers', '/metrics', '/api/runtime/audit/export', '/api/runtime/artifacts'])(
    'gets the header to store no answer that needed a key: %s',
    async (path) => {
      const answer = await fetch(`${api.plane.url}${path}`, {
        headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('Cache-Control')).toBe('no-store');
    },
  );
});
