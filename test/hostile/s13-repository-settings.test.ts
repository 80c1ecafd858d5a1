import { describe, expect, it } from 'vitest';
import { claudeArguments } from '../../runner/command.ts';

const OPTIONS = { resume: null, fork: false, budgetUsd: null };
const own = (...args: string[]): string[] => claudeArguments(args, OPTIONS);

describe("S13: a repository's settings and programs are not Claude Code's in a task", () => {
  it('unless the owner of the machine says otherwise', () => {
    expect(own()).toEqual(expect.arrayContaining(['--setting-sources', 'user', '--strict-mcp-config']));
    expect(own('--model', 'opus')).toEqual(expect.arrayContaining(['--setting-sources', 'user']));
  });

  it.each([['--setting-sources', 'user,project'], ['--setting-sources=user,project,local']])(
    'which it does with arguments of its own: %s',
    (...args) => {
      expect(own(...args)).not.toContain('--strict-mcp-config');
      expect(own(...args).filter((arg) => arg.startsWith('--setting-sources'))).toHaveLength(1);
    },
  );

  it('and arguments that do not name the project leave its programs out', () => {
    expect(own('--setting-sources', 'user')).toContain('--strict-mcp-config');
  });
});
