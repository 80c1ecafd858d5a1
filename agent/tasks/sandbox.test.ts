import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findDebianProgram } from '../../stack/tools.ts';
import { readAgentConfig } from '../config.ts';
import { chooseSandbox, type ChosenSandbox } from './sandbox.ts';

let home: string;
let dataDir: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'membridge-choice-'));
  dataDir = join(home, 'stack', 'agent');
  mkdirSync(dataDir, { recursive: true });
  vi.stubEnv('HOME', home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const choose = (setting: string): ChosenSandbox =>
  chooseSandbox(
    readAgentConfig({
      MEMBRIDGE_TASK_SANDBOX: setting,
      MEMBRIDGE_AGENT_DATA_DIR: dataDir,
      MEMBRIDGE_RUNNER: '["sh"]',
    }),
  );

/** Puts a program first on the PATH. */
function onPath(name: string, source: string): void {
  const folder = join(home, 'bin');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), source, { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
}

/** Makes the PATH lead to a shell and what a trial needs, but not to bubblewrap. */
function withoutBubblewrap(): void {
  const folder = join(home, 'bin');
  mkdirSync(folder);
  for (const name of ['sh', 'true']) symlinkSync(join('/bin', name), join(folder, name));
  vi.stubEnv('PATH', folder);
}

const addServer = (): void => writeFileSync(join(home, 'stack', 'server.env'), 'RUNTIME_API_KEY=x');

/** Fails as bubblewrap does where no namespaces may be made. */
const REFUSED = '#!/bin/sh\necho "bwrap: No permissions to create a new namespace" >&2\nexit 1\n';

describe('the choice of a sandbox', () => {
  it('is bubblewrap where a trial succeeds', () => {
    findDebianProgram('bubblewrap', () => undefined);
    for (const setting of ['auto', 'bubblewrap', '']) {
      const { sandbox, told } = choose(setting);
      expect(told).toEqual({ mode: 'bubblewrap', refuses: false, detail: null });
      expect(sandbox).not.toBeNull();
    }
  });

  it('is none where bubblewrap is not installed, and says what to do', () => {
    withoutBubblewrap();
    const { sandbox, told } = choose('auto');
    expect(sandbox).toBeNull();
    expect(told).toMatchObject({ mode: 'none', refuses: false });
    expect(told.detail).toMatch(/bwrap\) is not installed.*Install the package bubblewrap/);
  });

  it('is none where the trial fails, and quotes why', () => {
    onPath('bwrap', REFUSED);
    const { told } = choose('auto');
    expect(told).toMatchObject({ mode: 'none', refuses: false });
    expect(told.detail).toContain('No permissions to create a new namespace');
  });

  it('takes no tasks where bubblewrap was asked for and fails', () => {
    onPath('bwrap', REFUSED);
    expect(choose('bubblewrap').told).toMatchObject({ mode: 'none', refuses: true });
  });

  it('takes no tasks on a machine with the server’s keys that has no sandbox', () => {
    addServer();
    withoutBubblewrap();
    const { told } = choose('auto');
    expect(told).toMatchObject({ mode: 'none', refuses: true });
    expect(told.detail).toContain(join(home, 'stack', 'server.env'));
    expect(told.detail).toContain('MEMBRIDGE_TASK_SANDBOX=none');
  });

  it('takes tasks there once the owner chose "none" explicitly', () => {
    addServer();
    expect(choose('none')).toMatchObject({ sandbox: null, told: { mode: 'none', refuses: false } });
  });

  it('takes tasks there in a sandbox', () => {
    addServer();
    expect(choose('auto').told).toMatchObject({ mode: 'bubblewrap', refuses: false });
  });
});

describe('MEMBRIDGE_TASK_PATHS', () => {
  it('reads absolute paths, and paths below the home folder', () => {
    const { taskPaths } = readAgentConfig({ MEMBRIDGE_TASK_PATHS: '/srv/data/:~/.codex::' });
    expect(taskPaths).toEqual(['/srv/data', join(home, '.codex')]);
  });

  it('refuses other paths', () => {
    expect(() => readAgentConfig({ MEMBRIDGE_TASK_PATHS: 'data' })).toThrow(
      /MEMBRIDGE_TASK_PATHS.*absolute paths/,
    );
  });
});
