import { describe, expect, it } from 'vitest';
import { isAllowedHost, isSameRepository, parseGitUrl } from './git-url.ts';
import {
  BranchName,
  CronExpression,
  ManagedProjectName,
  TargetPath,
  projectStatus,
  type CloneStatus,
} from './projects.ts';

describe('names and paths', () => {
  it.each(['a', 'My project', 'a.b', 'x..y', '_x', '9'])('accepts the name %j', (name) => {
    expect(ManagedProjectName.safeParse(name).success).toBe(true);
  });
  it.each([
    '',
    '.',
    '..',
    'a\n',
    '\na',
    'a/b',
    '-x',
    '--upload-pack=x',
    'a.',
    'a ',
    ' a',
    'a\0',
    'é',
    'x'.repeat(256),
  ])('refuses the name %j', (name) => {
    expect(ManagedProjectName.safeParse(name).success).toBe(false);
  });
  it.each(['a', 'a/b', '~/projects/x', '/srv/code/a b', 'x/', '.hidden'])('accepts the target %j', (path) => {
    expect(TargetPath.safeParse(path).success).toBe(true);
  });
  it.each([
    '',
    '..',
    '../x',
    'a/../b',
    'a/..',
    './a',
    'a\n',
    '-x',
    'a/-x',
    '~root/x',
    'a//b',
    '/',
    'a\0b',
    '$HOME/x',
  ])('refuses the target %j', (path) => {
    expect(TargetPath.safeParse(path).success).toBe(false);
  });
  it.each(['main', 'feature/x', 'release-1.2', 'a@b'])('accepts the branch %j', (name) => {
    expect(BranchName.safeParse(name).success).toBe(true);
  });
  it.each([
    '',
    '-b',
    '--orphan',
    'a..b',
    'a.lock',
    'a.lock/b',
    'x\n',
    '@',
    'a@{1}',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a/.b',
    'a b',
    'a~1',
    'a:b',
  ])('refuses the branch %j', (name) => {
    expect(BranchName.safeParse(name).success).toBe(false);
  });
  it.each(['0 * * * *', '*/15 0-6 1,15 * MON-FRI'])('accepts the schedule %j', (cron) => {
    expect(CronExpression.safeParse(cron).success).toBe(true);
  });
  it.each(['', '@hourly', '* * * *', '* * * * * *', '0 * * * *\n', '0 * * * $(x)'])(
    'refuses the schedule %j',
    (cron) => {
      expect(CronExpression.safeParse(cron).success).toBe(false);
    },
  );
});

describe('addresses of repositories', () => {
  it.each([
    [
      'https://example.org/a/b.git',
      { protocol: 'https', user: null, host: 'example.org', port: null, path: 'a/b' },
    ],
    ['http://127.0.0.1:3000/a', { protocol: 'http', user: null, host: '127.0.0.1', port: 3_000, path: 'a' }],
    [
      'git@Example.org:a/b.git',
      { protocol: 'ssh', user: 'git', host: 'example.org', port: null, path: 'a/b' },
    ],
    [
      'ssh://git@example.org:2222/a/',
      { protocol: 'ssh', user: 'git', host: 'example.org', port: 2_222, path: 'a' },
    ],
  ])('%s', (text, url) => {
    expect(parseGitUrl(text)).toEqual(url);
  });

  it.each([
    ['https://example.org/a\n', /control characters/],
    ['https://exam ple.org/a', /spaces/],
    ['--upload-pack=touch x', /spaces|start with/],
    ['-oProxyCommand=x', /must not start with "-"/],
    ['ext::sh', /must be https/],
    ['file:///etc', /must be https/],
    ['/etc/passwd', /must be https/],
    ['ssh://-oProxyCommand=x/a', /no valid host/],
    ['git@-oProxyCommand=x:a', /no valid host/],
    ['-l@example.org:a', /must not start with/],
    ['git@example.org:-x', /option/],
    ['https://example.org/a/../b/..%2f..', /\.\.|repository/],
    ['https://example.org\\@evil.test/a', /backslash/],
    ['https://example.org%40evil.test/a', /valid/],
    ['https://exämple.org/a', /no valid host/],
    ['https:///example.org/a', /no valid|not a valid/],
    ['git@example.org:../../x', /\.\./],
    ['https://example.org', /names no repository/],
    ['https://example.org/a?x=1', /query/],
  ])('refuses %j', (text, why) => {
    expect(() => parseGitUrl(text)).toThrow(why);
  });

  it.each([
    'https://ghp_abcdefghijklmnop@example.org/a',
    'https://user:hunter2secret@example.org/a',
    'ssh://git:hunter2secret@example.org/a',
  ])('refuses an address with a secret without repeating the secret', (text) => {
    const refusal = (): unknown => {
      try {
        return parseGitUrl(text);
      } catch (error) {
        return error;
      }
    };
    expect(String(refusal())).toMatch(/set it as the project’s credential/);
    expect(String(refusal())).not.toMatch(/hunter2secret|ghp_/);
  });

  it('name one repository whatever the protocol and a final .git', () => {
    expect(isSameRepository('https://example.org/a/b', 'git@example.org:a/b.git')).toBe(true);
    expect(isSameRepository('https://example.org/a/b', 'https://example.org/a/c')).toBe(false);
    expect(isSameRepository('http://127.0.0.1:1/a', 'http://127.0.0.1:2/a')).toBe(false);
  });

  it('may be limited to hosts', () => {
    expect(isAllowedHost('example.org', [])).toBe(true);
    expect(isAllowedHost('git.example.org', ['*.example.org'])).toBe(true);
    expect(isAllowedHost('example.org', ['*.example.org'])).toBe(false);
    expect(isAllowedHost('evilexample.org', ['*.example.org'])).toBe(false);
    expect(isAllowedHost('example.org.evil.net', ['example.org'])).toBe(false);
  });
});

describe('the status of a project', () => {
  const of = (...statuses: CloneStatus[]) => statuses.map((clone_status) => ({ clone_status }));
  it.each([
    [of(), null, 'pending'],
    [of('pending'), null, 'pending'],
    [of('cloning', 'cloned'), null, 'cloning'],
    [of('cloned'), null, 'cloned'],
    [of('cloned', 'cloned'), { state: 'done' as const }, 'synced'],
    [of('cloned', 'failed'), { state: 'done' as const }, 'partial'],
    [of('cloned', 'pending'), { state: 'waiting' as const }, 'partial'],
    [of('failed', 'cancelled'), null, 'failed'],
    [of('cancelled'), null, 'cancelled'],
    [of('cloned', 'pending'), { state: 'running' as const }, 'propagating'],
  ])('follows from its clones: %j', (nodes, propagation, status) => {
    expect(projectStatus(nodes, propagation)).toBe(status);
  });
});
