import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NodeCredential } from '../contract/projects/projects.ts';
import { freePort } from '../stack/ports.ts';
import { makeGitNode, type GitNode } from '../test/git/node.ts';
import {
  LOGIN,
  TOKEN,
  startGitServers,
  startGitSshServer,
  type GitServers,
  type GitSshServer,
} from '../test/git/servers.ts';
import { openAccess, sweepAccess } from './access.ts';

let servers: GitServers;
/**
 * Null where there is no sshd and none can be installed. The tests that need it then do not run; in CI the
 * error is thrown instead.
 */
const ssh: GitSshServer | null = await startGitSshServer().catch((error: unknown) => {
  if (process.env['CI'] === 'true') throw error;
  return null;
});
let node: GitNode;
let number = 0;
let home: string | undefined;

const token = (secret: string): NodeCredential => ({
  credential: { kind: 'token', username: 'git', token: secret },
  known_hosts: null,
});
const key = (privateKey: string, knownHosts: string | null = ssh?.knownHosts ?? null): NodeCredential => ({
  credential: { kind: 'ssh-key', private_key: privateKey },
  known_hosts: knownHosts,
});
const fresh = (): { closed: string; open: string; folder: string; name: string } => {
  const { name, folder } = servers.create(`r${(number += 1)}`);
  return {
    name,
    folder,
    closed: `${servers.closed.url}/${name}.git`,
    open: `${servers.open.url}/${name}.git`,
  };
};

beforeAll(async () => {
  servers = await startGitServers();
});
afterAll(async () => {
  await ssh?.stop();
  await servers.stop();
});
beforeEach(() => {
  node = makeGitNode();
  // The test provides the user's settings, in place of those of the person who runs it.
  home = process.env['HOME'];
  process.env['HOME'] = node.folder;
});
afterEach(() => {
  process.env['HOME'] = home;
  servers.open.trouble = { kind: 'none' };
  for (const { authorizations } of [servers.open, servers.closed]) authorizations.length = 0;
  // In every case no secret was printed, and none was left on disk.
  expect(node.told.join('\n')).not.toContain(TOKEN);
  expect(node.told.join('\n')).not.toContain('wrong-t0ken');
  expect(node.told.join('\n')).not.toMatch(/OPENSSH PRIVATE|b3BlbnNzaC1rZXk/);
  if (node.told.length > 0) expect(readdirSync(node.work)).toEqual([]);
  node.remove();
});

describe('access by HTTP', () => {
  it('works with a token, also for an update, and leaves no token in the clone', async () => {
    const repoUrl = fresh().closed;
    expect(await node.clone({ repoUrl }, { credential: token(TOKEN) })).toMatchObject({ outcome: 'cloned' });
    expect(await node.clone({ repoUrl }, { credential: token(TOKEN) })).toMatchObject({
      outcome: 'unchanged',
    });
    expect(readFileSync(join(node.base, 'app', '.git', 'config'), 'utf8')).not.toContain(TOKEN);
    expect(servers.closed.authorizations).toContain(LOGIN);
  });

  it('reports a wrong or missing token', async () => {
    const repoUrl = fresh().closed;
    expect(await node.failure({ repoUrl }, { credential: token('wrong-t0ken') })).toMatchObject({
      code: 'git_auth_failed',
      message: expect.stringMatching(/refused access.*Check the project's token/),
    });
    expect(await node.failure({ repoUrl })).toMatchObject({
      code: 'git_auth_failed',
      message: expect.stringMatching(/has no credential.*set a token/),
    });
    expect(await node.failure({ repoUrl }, { credential: key('x'.repeat(40), null) })).toMatchObject({
      code: 'git_auth_failed',
      message: expect.stringMatching(/an address by http needs a token/),
    });
    expect(node.files()).toEqual([]);
  });

  it('sends the token to no other host: neither through a redirect nor to a submodule', async () => {
    const { name, open, closed } = fresh();
    servers.open.trouble = { kind: 'redirect', to: servers.closed.url };
    expect(await node.failure({ repoUrl: open }, { credential: token(TOKEN) })).toMatchObject({
      code: 'git_auth_failed',
    });
    expect(servers.closed.authorizations.join()).not.toContain(TOKEN);
    servers.open.trouble = { kind: 'none' };

    const inner = servers.create(`inner-of-${name}`);
    const outer = servers.create(`outer-of-${name}`);
    outer.push(
      {},
      { submodules: { inner: { folder: inner.folder, url: `${servers.closed.url}/${inner.name}.git` } } },
    );
    const repoUrl = `${servers.open.url}/${outer.name}.git`;
    expect(await node.failure({ repoUrl, submodules: true }, { credential: token(TOKEN) })).toMatchObject({
      code: 'git_auth_failed',
    });
    expect(servers.closed.authorizations.join()).not.toContain(TOKEN);
    expect(await node.clone({ repoUrl: closed }, { credential: token(TOKEN) })).toMatchObject({
      outcome: 'cloned',
    });
  });

  it('uses the user’s own access without a credential; with one, the user’s helper neither gets asked nor learns it', async () => {
    const repoUrl = fresh().closed;
    const notes = join(node.folder, 'notes');
    const helper = join(node.folder, 'helper');
    writeFileSync(
      helper,
      `#!/bin/sh\necho "$1" >> ${notes}\ncat >> ${notes}\n[ "$1" = get ] && printf 'username=git\\npassword=${TOKEN}\\n'\n`,
      { mode: 0o755 },
    );
    writeFileSync(
      join(node.folder, '.gitconfig'),
      `[credential "${servers.closed.url}"]\n  helper = ${helper}\n[credential]\n  helper = ${helper}\n`,
    );
    expect(await node.clone({ repoUrl })).toMatchObject({ outcome: 'cloned' });
    expect(readFileSync(notes, 'utf8')).toContain('get');
    writeFileSync(notes, '');
    expect(await node.failure({ repoUrl, name: 'b' }, { credential: token('wrong-t0ken') })).toMatchObject({
      code: 'git_auth_failed',
    });
    expect(await node.clone({ repoUrl, name: 'b' }, { credential: token(TOKEN) })).toMatchObject({
      outcome: 'cloned',
    });
    expect(readFileSync(notes, 'utf8')).toBe('');
  });

  it('reports a missing repository and an unreachable server', async () => {
    expect(await node.failure({ repoUrl: `${servers.open.url}/nothing.git` })).toMatchObject({
      code: 'git_not_found',
      message: expect.stringMatching(/or this credential has no access.*GitHub/),
    });
    const port = await freePort();
    for (const repoUrl of [
      `http://127.0.0.1:${port}/a`,
      'http://no-such-host.invalid/a',
      `https://${servers.open.url.slice(7)}/a`,
      `ssh://git@127.0.0.1:${port}/a`,
    ]) {
      expect(await node.failure({ repoUrl }), repoUrl).toMatchObject({
        code: 'git_unreachable',
        retryable: true,
      });
    }
  });
});

describe.runIf(ssh !== null)('access by SSH', () => {
  const server = ssh as GitSshServer;

  it('works with a key, for both kinds of address', async () => {
    const { folder } = fresh();
    const spec = { repoUrl: server.url + folder };
    expect(await node.clone(spec, { credential: key(server.goodKey) })).toMatchObject({ outcome: 'cloned' });
    expect(
      await node.clone(spec, { credential: key(server.goodKey.replaceAll('\n', '\r\n')) }),
    ).toMatchObject({ outcome: 'unchanged' });
    expect(await node.fetch(spec, { credential: key(server.goodKey) })).toMatchObject({ outcome: 'fetched' });
  });

  it('reports a key that the server does not know, and an invalid one', async () => {
    const repoUrl = server.url + fresh().folder;
    const broken = server.goodKey.replace(/[A-Za-z0-9]{10}\n-----END/, 'AAAAAAAAAA\n-----END');
    for (const each of [server.otherKey, broken, 'this is not a key at all, but long enough']) {
      expect(await node.failure({ repoUrl }, { credential: key(each) })).toMatchObject({
        code: 'git_auth_failed',
        message: expect.stringMatching(/Check that the project's ssh key/),
      });
    }
    expect(
      await node.failure({ repoUrl }, { credential: { ...token(TOKEN), known_hosts: server.knownHosts } }),
    ).toMatchObject({
      code: 'git_auth_failed',
      message: expect.stringMatching(/an address by ssh needs an ssh key/),
    });
    expect(node.files()).toEqual([]);
  });

  it('does not talk to a host whose key is unknown or differs', async () => {
    const repoUrl = server.url + fresh().folder;
    const { port } = new URL(server.url);
    const scan = new RegExp(`not known on this node.*"ssh-keyscan -p ${port} 127\\.0\\.0\\.1"`);
    for (const knownHosts of [null, '# nothing\n']) {
      expect(await node.failure({ repoUrl }, { credential: key(server.goodKey, knownHosts) })).toMatchObject({
        code: 'git_host_unknown',
        message: expect.stringMatching(scan),
      });
    }
    const strange = server.knownHosts.replace(/AAAAC3\S+/, OTHER_HOST_KEY);
    expect(await node.failure({ repoUrl }, { credential: key(server.goodKey, strange) })).toMatchObject({
      code: 'git_host_unknown',
      message: expect.stringMatching(/has changed: the server was reinstalled/),
    });
  });

  it('uses the user’s own key and settings without a credential', async () => {
    const repoUrl = server.url + fresh().folder;
    const file = join(node.folder, 'own-key');
    writeFileSync(file, server.goodKey, { mode: 0o600 });
    writeFileSync(join(node.folder, 'own-hosts'), server.knownHosts);
    const command = `ssh -i ${file} -o UserKnownHostsFile=${join(node.folder, 'own-hosts')}`;
    writeFileSync(join(node.folder, '.gitconfig'), `[core]\n  sshCommand = ${command}\n`);
    expect(await node.clone({ repoUrl })).toMatchObject({ outcome: 'cloned' });
  });

  it('reports a missing repository', async () => {
    expect(
      await node.failure({ repoUrl: `${server.url}/no/such.git` }, { credential: key(server.goodKey) }),
    ).toMatchObject({ code: 'git_not_found' });
  });
});

/** An Ed25519 host key that no server has. */
const OTHER_HOST_KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f';

it('key files of a killed agent are removed at the start', async () => {
  mkdirSync(join(node.work, 'access-left'), { recursive: true });
  writeFileSync(join(node.work, 'access-left', 'key'), 'x');
  writeFileSync(join(node.work, 'other'), 'x');
  await sweepAccess(node.work);
  expect(readdirSync(node.work)).toEqual(['other']);
});

it('the askpass program answers only git’s exact prompt for the right host', async () => {
  const where = { workDir: node.work, cwd: node.base };
  const access = await openAccess('https://good.example/a', token('a-token-of-mine'), where);
  const answer = (prompt: string) =>
    spawnSync(access.env['GIT_ASKPASS'] ?? '', [prompt], { env: access.env, encoding: 'utf8' });
  try {
    expect(answer("Password for 'https://git@good.example': ").stdout).toBe('a-token-of-mine\n');
    for (const prompt of [
      "Password for 'https://good.example/@evil.example': ",
      "Password for 'https://x@good.example/@evil.example': ",
      "Password for 'https://good.example.evil.example': ",
      "Password for 'http://good.example': ",
      "Password for 'https://good.example:8443': ",
    ]) {
      expect(answer(prompt), prompt).toMatchObject({ status: 1, stdout: '' });
    }
  } finally {
    await access.close();
  }
});
