import { describe, expect, it } from 'vitest';
import { claudeArguments, parseRunnerCommand } from './command.ts';

describe('the setting MEMBRIDGE_RUNNER', () => {
  it.each([
    [undefined, { kind: 'claude', program: 'claude' }],
    ['', { kind: 'claude', program: 'claude' }],
    ['claude', { kind: 'claude', program: 'claude' }],
    ['/opt/claude/bin/claude', { kind: 'claude', program: '/opt/claude/bin/claude' }],
    [
      '["/opt/claude","--permission-mode","acceptEdits"]',
      { kind: 'claude', program: '/opt/claude', args: ['--permission-mode', 'acceptEdits'] },
    ],
    ['["mycli","--flag","{prompt}"]', { kind: 'other', program: 'mycli', args: ['--flag', '{prompt}'] }],
  ])('accepts %j', (setting, expected) => {
    expect(parseRunnerCommand(setting)).toEqual(expected);
  });

  it.each(['mycli --flag', './claude', '[]', '[1]', '[""]', '["a', '{"a":1}', '["a","b\\u0000"]'])(
    'refuses %j, with the name of the setting',
    (setting) => {
      expect(() => parseRunnerCommand(setting)).toThrow(/MEMBRIDGE_RUNNER/);
    },
  );
});

describe('arguments of Claude Code', () => {
  it('are the owner’s, then ours, and never the prompt', () => {
    const ours = [
      '--print',
      '--output-format',
      'stream-json',
      '--verbose',
      '--setting-sources',
      'user',
      '--strict-mcp-config',
    ];
    expect(claudeArguments(['--model', 'x'], { resume: null, fork: true, budgetUsd: null })).toEqual([
      '--model',
      'x',
      ...ours,
    ]);
    expect(claudeArguments([], { resume: 's1', fork: true, budgetUsd: 2 })).toEqual([
      ...ours,
      '--max-budget-usd',
      '2',
      '--resume',
      's1',
      '--fork-session',
    ]);
  });
});
