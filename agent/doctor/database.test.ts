import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readAgentConfig } from '../config.ts';
import { examineDatabase, examinePlace } from './database.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'membridge-doctor-'));
  mkdirSync(join(home, '.claude-mem'));
  writeFileSync(join(home, '.claude-mem', 'claude-mem.db'), '');
  vi.stubEnv('HOME', home);
  for (const name of ['CLAUDE_MEM_DB', 'CLAUDE_MEM_DATA_DIR']) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const config = (env: Record<string, string> = {}) => {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  return readAgentConfig(process.env);
};

describe('examineDatabase', () => {
  it('names the database, and why it is that one', () => {
    const detail = `${home}/.claude-mem/claude-mem.db, because no setting names another folder than claude-mem's default one`;
    expect(examineDatabase(config())).toEqual({ name: 'database', ok: true, detail });
  });

  it('reports a CLAUDE_MEM_DB that is not the file of claude-mem, and no other', () => {
    const other = examineDatabase(config({ CLAUDE_MEM_DB: join(home, 'copy.db') }));
    expect(other).toMatchObject({ ok: true, warning: true });
    expect(other.detail).toContain(`claude-mem's own settings lead to ${home}/.claude-mem/claude-mem.db`);
    const same = examineDatabase(config({ CLAUDE_MEM_DB: join(home, '.claude-mem', 'claude-mem.db') }));
    expect(same).not.toHaveProperty('warning');
  });

  it('fails when the settings name another folder since the agent started', () => {
    const before = config();
    writeFileSync(join(home, '.claude-mem', 'settings.json'), '{"CLAUDE_MEM_DATA_DIR":"~/moved"}');
    const check = examineDatabase(before);
    expect(check.ok).toBe(false);
    expect(check.detail).toContain(`names its folder: ${home}/moved/claude-mem.db. Restart the agent.`);
    writeFileSync(join(home, '.claude-mem', 'settings.json'), '{"CLAUDE_MEM_DATA_DIR":"moved"}');
    expect(examineDatabase(before).detail).toContain('is no absolute path');
  });
});

describe('examinePlace', () => {
  it('accepts folders of this machine', () => {
    expect(examinePlace(config())).toMatchObject({ ok: true });
  });

  it('names the synced folder of the database and of the ledger, and what to do about each', () => {
    const memory = examinePlace(config({ CLAUDE_MEM_DATA_DIR: '~/Dropbox/memory' }));
    expect(memory.ok).toBe(false);
    expect(memory.detail).toMatch(
      /claude-mem\.db lies in a Dropbox folder, .*Dropbox\..*set CLAUDE_MEM_DATA_DIR/,
    );
    expect(memory.detail).not.toContain('MEMBRIDGE_AGENT_DATA_DIR');
    vi.stubEnv('CLAUDE_MEM_DATA_DIR', undefined);
    const ledger = examinePlace(config({ MEMBRIDGE_AGENT_DATA_DIR: '~/OneDrive/membridge' }));
    expect(ledger.detail).toMatch(/ledger\.db lies in a OneDrive folder, .*set MEMBRIDGE_AGENT_DATA_DIR/);
    expect(ledger.detail).not.toContain('CLAUDE_MEM_DATA_DIR');
  });
});
