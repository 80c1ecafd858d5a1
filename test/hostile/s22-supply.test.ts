import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockGaps } from '../pinned.ts';

const root = join(import.meta.dirname, '..', '..');

describe('S22: the lock', () => {
  it.each(['package-lock.json', 'stack/node24/package-lock.json'])(
    'names every package with its digest, for every platform: %s',
    (file) => expect(lockGaps(JSON.parse(readFileSync(join(root, file), 'utf8')))).toEqual([]),
  );

  it('reports a package without a digest, and a missing package of another platform', () => {
    const packages = {
      '': {},
      'node_modules/a': { optionalDependencies: { 'a-linux': '1.0.0', 'a-mac': '1.0.0' } },
      'node_modules/a-linux': { integrity: 'sha512-x' },
    };
    expect(lockGaps({ packages })).toEqual([
      'node_modules/a has no digest',
      'a-mac, which node_modules/a may need, is absent',
    ]);
  });

  it('decides what the images install, without scripts', () => {
    for (const file of ['deploy/api.Dockerfile', 'deploy/agent.Dockerfile']) {
      const installs = readFileSync(join(root, file), 'utf8').match(/npm (?:ci|install|i)\b.*/g) ?? [];
      expect(installs.length).toBeGreaterThan(0);
      for (const line of installs) expect(line).toMatch(/^npm ci --ignore-scripts/);
    }
  });
});

describe('S22: a package that turned hostile', () => {
  let checkout: string;
  let ran: string;
  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'membridge-supply-'));
    ran = join(checkout, 'ran');
    mkdirSync(join(checkout, 'stack'));
    for (const file of ['bootstrap.mjs', 'lock.mjs', 'machine.mjs']) {
      cpSync(join(root, 'stack', file), join(checkout, 'stack', file));
    }
    const thing = join(checkout, 'thing');
    mkdirSync(thing);
    const scripts = Object.fromEntries(
      ['preinstall', 'install', 'postinstall', 'prepare'].map((name) => [name, `touch ${ran}`]),
    );
    writeFileSync(join(thing, 'package.json'), JSON.stringify({ name: 'thing', version: '1.0.0', scripts }));
    execFileSync('tar', ['-czf', 'thing.tgz', '--transform', 's,^thing,package,', 'thing'], {
      cwd: checkout,
    });
    writeFileSync(join(checkout, 'hello.ts'), "console.log('started')");
  });
  afterEach(() => rmSync(checkout, { recursive: true, force: true }));

  /** Starts the small checkout with a lock that holds a digest. */
  function start(integrity: string): { status: number | null; said: string } {
    const dependencies = { thing: 'file:thing.tgz' };
    const manifest = { name: 'small', version: '1.0.0', dependencies };
    writeFileSync(join(checkout, 'package.json'), JSON.stringify(manifest));
    const packages = {
      '': manifest,
      'node_modules/thing': {
        version: '1.0.0',
        resolved: 'file:thing.tgz',
        integrity,
        hasInstallScript: true,
      },
    };
    const lock = { ...manifest, lockfileVersion: 3, requires: true, packages };
    writeFileSync(join(checkout, 'package-lock.json'), JSON.stringify(lock));
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(checkout, 'stack', 'bootstrap.mjs'), 'hello.ts'],
      { encoding: 'utf8' },
    );
    return { status, said: stdout + stderr };
  }
  const digest = (): string =>
    `sha512-${createHash('sha512')
      .update(readFileSync(join(checkout, 'thing.tgz')))
      .digest('base64')}`;

  it('runs nothing when it is installed', () => {
    const { status, said } = start(digest());
    expect(said).toContain('started');
    expect(status).toBe(0);
    expect(existsSync(join(checkout, 'node_modules', 'thing', 'package.json'))).toBe(true);
    expect(existsSync(ran)).toBe(false);
  });

  it('is not installed when its bytes differ from the lock', () => {
    const { status, said } = start(`sha512-${createHash('sha512').update('other').digest('base64')}`);
    expect(status).toBe(1);
    expect(said).toMatch(/EINTEGRITY/);
    expect(said).not.toContain('started');
  });
});
