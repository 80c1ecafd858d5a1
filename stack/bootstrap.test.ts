import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTimeOf, tryLock, waitForLock } from './lock.mjs';
import { findOnPath } from './machine.mjs';

let checkout: string;

/** Makes a small checkout with one dependency, which npm takes from a folder. */
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'membridge-bootstrap-'));
  mkdirSync(join(checkout, 'stack'));
  mkdirSync(join(checkout, 'thing'));
  for (const file of ['bootstrap.mjs', 'lock.mjs', 'machine.mjs']) {
    cpSync(join(import.meta.dirname, file), join(checkout, 'stack', file));
  }
  writeJson('thing/package.json', { name: 'thing', version: '1.0.0' });
  writeJson('package.json', { name: 'small', version: '1.0.0', dependencies: { thing: 'file:./thing' } });
  writeJson('package-lock.json', {
    name: 'small',
    version: '1.0.0',
    lockfileVersion: 3,
    packages: {
      '': { name: 'small', version: '1.0.0', dependencies: { thing: 'file:./thing' } },
      'node_modules/thing': { resolved: 'thing', link: true },
      thing: { version: '1.0.0' },
    },
  });
  writeFileSync(
    join(checkout, 'hello.ts'),
    'console.log(JSON.stringify(process.argv.slice(2) satisfies string[]));',
  );
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

function writeJson(file: string, value: unknown): void {
  writeFileSync(join(checkout, file), JSON.stringify(value));
}

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

function bootstrap(args: string[], env: NodeJS.ProcessEnv = process.env): Promise<Result> {
  return new Promise((settle) => {
    execFile(
      process.execPath,
      [join(checkout, 'stack', 'bootstrap.mjs'), ...args],
      { env },
      (error, stdout, stderr) => settle({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

describe('the bootstrap', () => {
  test('installs what is missing, once, and leaves stdout to the script', { timeout: 60_000 }, async () => {
    const first = await bootstrap(['hello.ts', 'a', 'b c']);
    expect(first).toMatchObject({ code: 0, stdout: '["a","b c"]\n' });
    expect(first.stderr).toMatch(/installed the dependencies in/);
    expect(existsSync(join(checkout, 'node_modules', 'thing'))).toBe(true);
    expect(await bootstrap(['hello.ts'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
  });

  test('reinstalls when the lock file has changed', { timeout: 60_000 }, async () => {
    await bootstrap(['hello.ts']);
    const lock = {
      name: 'small',
      version: '2.0.0',
      lockfileVersion: 3,
      packages: { '': { name: 'small', version: '2.0.0' } },
    };
    writeJson('package.json', { name: 'small', version: '2.0.0', dependencies: {} });
    writeJson('package-lock.json', { ...lock, packages: { ...lock.packages, thing: { version: '1.0.1' } } });
    expect((await bootstrap(['hello.ts'])).stderr).toMatch(/installed the dependencies/);
  });

  test('installs once when it is started twice at the same moment', { timeout: 60_000 }, async () => {
    const results = await Promise.all([bootstrap(['hello.ts']), bootstrap(['hello.ts'])]);
    expect(results.map(({ code, stdout }) => [code, stdout])).toEqual([
      [0, '[]\n'],
      [0, '[]\n'],
    ]);
    expect(results.filter(({ stderr }) => stderr.includes('installed the dependencies'))).toHaveLength(1);
  });

  test('installs nothing that the lock file does not name', { timeout: 60_000 }, async () => {
    writeJson('package.json', { name: 'small', version: '1.0.0', dependencies: { other: '1.0.0' } });
    const result = await bootstrap(['hello.ts']);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/package-lock\.json do not agree on .*other/);
    expect(existsSync(join(checkout, 'node_modules'))).toBe(false);
  });

  test('quotes npm when it fails, and leaves no partial installation', { timeout: 60_000 }, async () => {
    const small = { name: 'small', version: '1.0.0', dependencies: { absent: 'file:absent.tgz' } };
    writeJson('package.json', small);
    writeJson('package-lock.json', {
      ...small,
      lockfileVersion: 3,
      packages: { '': small, 'node_modules/absent': { version: '1.0.0', resolved: 'file:absent.tgz' } },
    });
    const result = await bootstrap(['hello.ts']);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/npm ci in .* failed with code \d+:/);
    expect(existsSync(join(checkout, 'node_modules', '.membridge-stamp'))).toBe(false);
  });

  test("passes on the script's exit code, quietly when asked", { timeout: 60_000 }, async () => {
    writeFileSync(join(checkout, 'fail.ts'), 'process.exit(42);');
    expect(await bootstrap(['--quiet', 'fail.ts'])).toEqual({ code: 42, stdout: '', stderr: '' });
  });

  test('passes a signal on once and waits for the script to end', { timeout: 60_000 }, async () => {
    await bootstrap(['hello.ts']);
    writeFileSync(
      join(checkout, 'serve.ts'),
      `let count = 0;
       process.on('SIGTERM', () => { count++; setTimeout(() => { console.log('signals', count); process.exit(5); }, 100); });
       setInterval(() => {}, 1000);
       console.log('serving');`,
    );
    const child = spawn(process.execPath, [join(checkout, 'stack', 'bootstrap.mjs'), 'serve.ts'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output === 'serving\n') {
        child.kill('SIGTERM');
        child.kill('SIGTERM');
      }
    });
    expect(await once(child, 'close')).toEqual([5, null]);
    expect(output).toBe('serving\nsignals 1\n');
  });

  test('names a missing program and how to install it', { timeout: 60_000 }, async () => {
    const bin = join(checkout, 'bin');
    mkdirSync(bin);
    symlinkSync(findOnPath('bash')[0]!, join(bin, 'bash'));
    const result = await bootstrap(['hello.ts'], { ...process.env, PATH: bin });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^membridge: git is needed and not on PATH\. Run: .*git/);
  });
});

describe('a lock', () => {
  test('is held by one process at a time', async () => {
    const file = join(checkout, 'a.lock');
    const first = await waitForLock(file, () => expect.unreachable());
    expect(tryLock(file)).toEqual({ heldBy: process.pid });
    first.release();
    expect(tryLock(file)).toHaveProperty('release');
  });

  test('is taken over from a dead process, also when its pid is in use again', () => {
    const file = join(checkout, 'a.lock');
    writeFileSync(file, `${process.pid} some-other-start-time`);
    expect(tryLock(file)).toHaveProperty('release');
    expect(startTimeOf(process.pid)).toBeDefined();
  });
});
