import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findChromium, findTool } from './tools.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-tools-'));
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** Installs a program that answers everything with one line. */
function install(file: string, answer: string, code = 0): string {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${answer}'\nexit ${code}\n`);
  chmodSync(file, 0o755);
  return file;
}

test('uses the program on PATH when it is the right one', async () => {
  const temporal = install(
    join(folder, 'bin', 'temporal'),
    'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)',
  );
  const minio = install(
    join(folder, 'bin', 'minio'),
    'minio version RELEASE.2025-04-22T22-12-26Z (commit-id=0d7408fc)',
  );
  const log = (line: string): never => expect.unreachable(line);
  expect(await findTool('temporal', log, join(folder, 'bin'))).toBe(temporal);
  expect(await findTool('minio', log, join(folder, 'bin'))).toBe(minio);
});

test('ignores a wrong or outdated program of that name, and says so', async () => {
  install(join(folder, 'a', 'temporal'), 'temporal: a library for dates');
  install(join(folder, 'b', 'temporal'), 'temporal version 1.3.0 (Server 1.27.1, UI 2.36.0)');
  const cached = install(join(folder, 'cache', 'membridge', 'temporal-1.5.1', 'temporal'), '');
  const lines: string[] = [];
  const path = `${join(folder, 'a')}:${join(folder, 'b')}`;
  expect(await findTool('temporal', (line) => lines.push(line), path)).toBe(cached);
  expect(lines).toEqual([
    `${join(folder, 'a', 'temporal')} is not the Temporal CLI: ignored`,
    `${join(folder, 'b', 'temporal')} brings server 1.27.1; 1.29.1 or later is needed: ignored`,
  ]);
});

test('names the remedies in one message when Go and Docker are missing', async () => {
  const failure = await findTool('minio', () => {}, join(folder, 'empty')).catch(
    (error: Error) => error.message,
  );
  expect(failure).toMatch(
    /^minio is not on PATH, and there is nothing to build it with\. One of these helps:/,
  );
  for (const way of [
    'Go 1.25 or later: ',
    'https://go.dev/dl',
    'Docker',
    'https://github.com/minio/minio',
    'MINIO_ENDPOINT',
  ]) {
    expect(failure).toContain(way);
  }
});

test('names an old Go and a Docker without engine in that message', async () => {
  install(join(folder, 'bin', 'go'), 'go1.19.8');
  install(join(folder, 'bin', 'docker'), '', 1);
  const building = findTool('temporal', () => {}, join(folder, 'bin'));
  await expect(building).rejects.toThrow(/go is Go 1\.19\.8, too old; .*docker reaches no Docker engine/);
});

test('leaves nothing in the cache after a failed build, and quotes its output', async () => {
  const go = install(join(folder, 'bin', 'go'), 'go1.26.0');
  // Answers to `go env GOVERSION`, and fails to install anything.
  writeFileSync(
    go,
    '#!/bin/sh\n[ "$1" = env ] && echo go1.26.0 && exit\nmkdir -p "$GOPATH/bin"; echo no space left >&2; exit 2\n',
  );
  await expect(findTool('minio', () => {}, join(folder, 'bin'))).rejects.toThrow(
    /could not be built with .*code 2:\nno space left/s,
  );
  expect(readdirSync(join(folder, 'cache', 'membridge'))).toEqual([]);
});

test('refuses a CHROMIUM_PATH that is not a Chromium, by name', async () => {
  vi.stubEnv('CHROMIUM_PATH', install(join(folder, 'bin', 'chromium'), 'something else'));
  await expect(findChromium(() => {})).rejects.toThrow(/CHROMIUM_PATH is .*chromium/);
});
