import { describe, expect, it } from 'vitest';
import type { CloneProgress } from '../contract/projects/projects.ts';
import { codeOf, gitFailure } from './failures.ts';
import { ProgressReader } from './progress.ts';
import { makeRedactor, withoutUserinfo } from './redact.ts';

describe('git’s output', () => {
  it('is parsed as progress, in arbitrary chunks', () => {
    const seen: CloneProgress[] = [];
    const reader = new ProgressReader((progress) => seen.push(progress));
    const text =
      'Cloning into bare…\nremote: Enumerating objects: 12, done.\nremote: Counting objects:  50% (6/12)\r' +
      'Receiving objects:   7% (7/100), 12.30 MiB | 1.00 MiB/s\rReceiving objects: 100% (100/100), 20.00 MiB | 1 MiB/s, done.\n' +
      'Receiving objects:  10% (1/10), 512 bytes | 512 bytes/s\rResolving deltas: 100% (3/3), done.\nUpdating files:  99% (99/100)\r';
    for (const piece of text.match(/.{1,7}/gs) ?? []) reader.take(piece);
    expect(seen).toEqual([
      { phase: 'enumerating objects', percent: null, bytes: 0 },
      { phase: 'counting objects', percent: 50, bytes: 0 },
      { phase: 'receiving objects', percent: 7, bytes: 12_897_485 },
      { phase: 'receiving objects', percent: 100, bytes: 20_971_520 },
      // The next transfer, of a submodule.
      { phase: 'receiving objects', percent: 10, bytes: 20_972_032 },
      { phase: 'resolving deltas', percent: 100, bytes: 20_972_032 },
      { phase: 'updating files', percent: 99, bytes: 20_972_032 },
    ]);
  });

  it('may contain an endless line at the cost of its chunks', () => {
    const seen: CloneProgress[] = [];
    const reader = new ProgressReader((progress) => seen.push(progress));
    for (let n = 0; n < 2_000; n += 1) reader.take('x'.repeat(16_384));
    reader.take('\rReceiving objects:   7% (7/100)\r');
    expect(seen).toEqual([{ phase: 'receiving objects', percent: 7, bytes: 0 }]);
    // With quadratic cost, this would take minutes.
    expect(withoutUserinfo(`${'a'.repeat(1_000_000)} https://me@host/x`)).toMatch(/ https:\/\/host\/x$/);
  });

  it.each([
    ['fatal: unable to access: Could not resolve host: git.example.test', 'git_unreachable'],
    [
      'ssh: Could not resolve hostname x: Name or service not known\nfatal: Could not read from remote repository.',
      'git_unreachable',
    ],
    ['ssh: connect to host x port 22: Connection timed out', 'git_unreachable'],
    ['fatal: unable to access: SSL certificate problem: self-signed certificate', 'git_unreachable'],
    ['fatal: unable to access: server certificate verification failed. CAfile: none', 'git_unreachable'],
    ['error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503', 'git_unreachable'],
    [
      'git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.',
      'git_auth_failed',
    ],
    ["fatal: could not read Username for 'https://x': terminal prompts disabled", 'git_auth_failed'],
    ['remote: HTTP Basic: Access denied\nfatal: Authentication failed for', 'git_auth_failed'],
    ['fatal: unable to access: The requested URL returned error: 403', 'git_auth_failed'],
    ['Host key verification failed.\nfatal: Could not read from remote repository.', 'git_host_unknown'],
    ['ERROR: Repository not found.\nfatal: Could not read from remote repository.', 'git_not_found'],
    [
      "remote: The project you were looking for could not be found or you don't have permission to view it.",
      'git_not_found',
    ],
    [
      'warning: Could not find remote branch x to clone.\nfatal: Remote branch x not found in upstream origin',
      'git_not_found',
    ],
    [
      'fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output',
      'disk_full',
    ],
    ['error: cannot run ssh: No such file or directory\nfatal: unable to fork', 'git_missing'],
    ["fatal: could not create work tree dir 'x': Permission denied", 'git_failed'],
  ])('maps to an error code: %s', (stderr, code) => {
    expect(codeOf(stderr)).toBe(code);
  });

  it('is reported by its most informative line', () => {
    const stderr =
      'Cloning into x...\nNo user exists for uid 1234\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n';
    const attempt = { repoUrl: 'https://host/a', branch: null, credential: null };
    expect(gitFailure(stderr, attempt).message).toBe(
      'git failed for https://host/a. git said: No user exists for uid 1234',
    );
  });
});

describe('redaction of git’s output', () => {
  it('removes a token as written, in an address, and in a header', () => {
    const redact = makeRedactor({
      credential: { kind: 'token', username: 'me', token: 'a/b+c@d' },
      known_hosts: null,
    });
    const basic = Buffer.from('me:a/b+c@d').toString('base64');
    const text = redact(`a/b+c@d, a%2Fb%2Bc%40d, Authorization: Basic ${basic}, https://me:other@host/x`);
    expect(text).toBe('[redacted], [redacted], Authorization: Basic [redacted], https://host/x');
  });

  it('removes any line of a key, and the user of any address', () => {
    const privateKey =
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nshort\n-----END OPENSSH PRIVATE KEY-----\n';
    const redact = makeRedactor({
      credential: { kind: 'ssh-key', private_key: privateKey },
      known_hosts: null,
    });
    expect(redact('see b3BlbnNzaC1rZXktdjEAAAAA')).toBe('see [redacted]');
    expect(
      withoutUserinfo("'https://user@host/a' ssh://git:pw@h/b http://a@b@host/c git@host:d e@f.test"),
    ).toBe("'https://host/a' ssh://h/b http://host/c git@host:d e@f.test");
  });
});
