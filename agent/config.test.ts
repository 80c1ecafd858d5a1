import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readAgentConfig } from './config.ts';

let home: string;
let settingsPath: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'membridge-config-'));
  settingsPath = join(home, '.claude-mem', 'settings.json');
  mkdirSync(dirname(settingsPath));
  vi.stubEnv('HOME', home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const databaseBy = (env: Record<string, string> = {}) => readAgentConfig(env).database;

describe("the database by claude-mem's settings file", () => {
  it.each([
    ['flat', JSON.stringify({ CLAUDE_MEM_DATA_DIR: '/mnt/memory', CLAUDE_MEM_MODEL: 'x' })],
    ['below env', JSON.stringify({ env: { CLAUDE_MEM_DATA_DIR: '/mnt/memory' } })],
    ['below env, beside other keys', JSON.stringify({ a: 1, env: { CLAUDE_MEM_DATA_DIR: '/mnt/memory' } })],
    ['behind a byte order mark', `\uFEFF{"CLAUDE_MEM_DATA_DIR":"/mnt/memory"}`],
    ['with a slash at its end', JSON.stringify({ CLAUDE_MEM_DATA_DIR: '/mnt/memory//' })],
    ['flat while env is null', JSON.stringify({ env: null, CLAUDE_MEM_DATA_DIR: '/mnt/memory' })],
  ])('follows a folder that is written %s', (_form, text) => {
    writeFileSync(settingsPath, text);
    const { path, decidedBy, warnings } = databaseBy();
    expect(path).toBe('/mnt/memory/claude-mem.db');
    expect(decidedBy).toBe(`CLAUDE_MEM_DATA_DIR in claude-mem's ${settingsPath} names its folder`);
    expect(warnings).toEqual([]);
    expect(readFileSync(settingsPath, 'utf8')).toBe(text);
  });

  it('reads a tilde as the home folder', () => {
    writeFileSync(settingsPath, JSON.stringify({ CLAUDE_MEM_DATA_DIR: '~/chosen/' }));
    expect(databaseBy().path).toBe(join(home, 'chosen', 'claude-mem.db'));
  });

  it.each(['{}', '{"CLAUDE_MEM_DATA_DIR":""}', '{"env":{}}', '{"CLAUDE_MEM_DATA_DIR":null}'])(
    'takes the default folder when the file is %s',
    (text) => {
      writeFileSync(settingsPath, text);
      const { path, decidedBy, warnings } = databaseBy();
      expect(path).toBe(join(home, '.claude-mem', 'claude-mem.db'));
      expect(decidedBy).toMatch(/no setting names another folder/);
      expect(warnings).toEqual([]);
    },
  );

  it('takes the default folder without any file', () => {
    expect(databaseBy()).toMatchObject({ path: join(home, '.claude-mem', 'claude-mem.db'), warnings: [] });
  });

  it.each([
    ['broken JSON', '{"CLAUDE_MEM_DATA_DIR": "/mnt'],
    ['a list', '["/mnt/memory"]'],
    ['nothing', ''],
    ['null', 'null'],
    ['a number for the folder', '{"CLAUDE_MEM_DATA_DIR": 5}'],
  ])('names a file that holds %s, and takes the default folder as claude-mem does', (_what, text) => {
    writeFileSync(settingsPath, text);
    const { path, warnings } = databaseBy();
    expect(path).toBe(join(home, '.claude-mem', 'claude-mem.db'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`claude-mem's settings file ${settingsPath} cannot be used`);
    expect(warnings[0]).toContain('Correct the file');
  });

  it('names a settings file that is a folder', () => {
    mkdirSync(settingsPath);
    expect(databaseBy().warnings[0]).toContain(settingsPath);
  });

  it('says that claude-mem does not read a folder beside "env"', () => {
    writeFileSync(settingsPath, JSON.stringify({ env: { OTHER: '1' }, CLAUDE_MEM_DATA_DIR: '/mnt/memory' }));
    const { path, warnings } = databaseBy();
    expect(path).toBe(join(home, '.claude-mem', 'claude-mem.db'));
    expect(warnings[0]).toContain('beside "env"');
  });

  it('refuses a relative folder, naming the file', () => {
    writeFileSync(settingsPath, JSON.stringify({ CLAUDE_MEM_DATA_DIR: 'memory' }));
    expect(() => databaseBy()).toThrow(
      `CLAUDE_MEM_DATA_DIR in ${settingsPath} is "memory", which is no absolute path`,
    );
  });
});

describe('the database by the environment', () => {
  it.each([
    ['~/x', 'x'],
    ['"~/x"', 'x'],
    ["'~/x/'", 'x'],
    ['~', '.'],
    ['~/a/../x/./', 'x'],
  ])('reads CLAUDE_MEM_DATA_DIR=%s as a unit file passes it', (value, folder) => {
    const { path, decidedBy } = databaseBy({ CLAUDE_MEM_DATA_DIR: value });
    expect(path).toBe(join(home, folder, 'claude-mem.db'));
    expect(decidedBy).toBe('CLAUDE_MEM_DATA_DIR of the environment names its folder');
  });

  it('puts the environment before the settings file, and CLAUDE_MEM_DB before both', () => {
    writeFileSync(settingsPath, JSON.stringify({ CLAUDE_MEM_DATA_DIR: '/mnt/memory' }));
    expect(databaseBy({ CLAUDE_MEM_DATA_DIR: '/srv/x/' }).path).toBe('/srv/x/claude-mem.db');
    const both = { CLAUDE_MEM_DATA_DIR: '/srv/x', CLAUDE_MEM_DB: '"~/copy.db"' };
    expect(databaseBy(both)).toMatchObject({
      path: join(home, 'copy.db'),
      decidedBy: 'CLAUDE_MEM_DB of the environment names it',
    });
  });

  it.each(['x', './x', '$HOME/x', '~other/x', '"x"'])(
    'refuses %s, which depends on a shell or a folder',
    (value) => {
      expect(() => databaseBy({ CLAUDE_MEM_DATA_DIR: value })).toThrow(
        /CLAUDE_MEM_DATA_DIR is .* no absolute path/,
      );
      expect(() => databaseBy({ CLAUDE_MEM_DB: value })).toThrow(/CLAUDE_MEM_DB is .* no absolute path/);
    },
  );

  it('expands a tilde in every folder of the agent', () => {
    const config = readAgentConfig({
      MEMBRIDGE_AGENT_DATA_DIR: '~/a',
      XDG_STATE_HOME: '"~/b"',
      MEMBRIDGE_REPOS_BASE: '~/c/',
      MEMBRIDGE_CONFIG_ENV: '~/d.env',
      MEMBRIDGE_HOOKS_BIN: '~/e',
    });
    expect(config).toMatchObject({
      dataDir: join(home, 'a'),
      lockDirectory: join(home, 'b', 'membridge', 'locks'),
      reposBase: join(home, 'c'),
      configEnv: join(home, 'd.env'),
      hooksBin: join(home, 'e'),
    });
  });
});

describe('the spaces that a node takes part in', () => {
  it.each([
    [{}, undefined],
    [{ MEMBRIDGE_SPACES: 'garden, home office' }, ['garden', 'home office']],
    [{ MEMBRIDGE_SPACES: 'none' }, []],
  ])('are all, those that are named, or none: %j', (env, spaces) => {
    expect(readAgentConfig(env as Record<string, string>).spaces).toEqual(spaces);
  });
});

describe('the way to the object store', () => {
  it.each([
    [{}, 'direct'],
    [{ MEMBRIDGE_AGENT_STORE: '' }, 'direct'],
    [{ MEMBRIDGE_AGENT_STORE: 'control-plane' }, 'control-plane'],
  ])('follows MEMBRIDGE_AGENT_STORE: %j', (env, store) => {
    expect(readAgentConfig(env as Record<string, string>).store).toBe(store);
  });

  it('refuses a word that it does not know', () => {
    expect(() => readAgentConfig({ MEMBRIDGE_AGENT_STORE: 'minio' })).toThrow('MEMBRIDGE_AGENT_STORE');
  });
});
