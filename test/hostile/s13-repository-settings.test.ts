import { describe, expect, it } from 'vitest';
import { claudeArguments } from '../../runner/command.ts';

const OPTIONS = { resume: null, fork: false, budgetUsd: null };
const own = (...args: string[]): string[] => claudeArguments(args, OPTIONS);

describe('S13: Claude Code in a task', () => {
  it('ignores the settings and MCP servers of the repository', () => {
    expect(own()).toEqual(expect.arrayContaining(['--setting-sources', 'user', '--strict-mcp-config']));
    expect(own('--model', 'opus')).toEqual(expect.arrayContaining(['--setting-sources', 'user']));
  });

  it.each([['--setting-sources', 'user,project'], ['--setting-sources=user,project,local']])(
    'reads them if the owner asks for that with arguments: %s',
    (...args) => {
      expect(own(...args)).not.toContain('--strict-mcp-config');
      expect(own(...args).filter((arg) => arg.startsWith('--setting-sources'))).toHaveLength(1);
    },
  );

  it('ignores the MCP servers of the repository if the arguments do not name the project', () => {
    expect(own('--setting-sources', 'user')).toContain('--strict-mcp-config');
  });
});
