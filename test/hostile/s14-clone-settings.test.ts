import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NodeCredential } from '../../contract/projects/projects.ts';
import { makeGitNode, type GitNode } from '../git/node.ts';
import { TOKEN, git, startGitServers, type GitServers, type ServedRepository } from '../git/servers.ts';

const credential: NodeCredential = {
  credential: { kind: 'token', username: 'git', token: TOKEN },
  known_hosts: null,
};

let servers: GitServers;
let node: GitNode;
let repository: ServedRepository;
let listener: Server;
let number = 0;
const connections: string[] = [];

beforeAll(async () => {
  servers = await startGitServers();
  listener = createServer((socket) => {
    connections.push('connected');
    socket.destroy();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', () => resolve()));
});
afterAll(async () => {
  listener.close();
  await servers.stop();
});
beforeEach(async () => {
  number += 1;
  node = makeGitNode();
  repository = servers.create(`s${number}`);
  repository.push({ '.gitattributes': '*.txt filter=steal\n', 'a.txt': 'one\n' });
  await node.clone(spec(), { credential });
});
afterEach(() => node.remove());

const spec = () => ({ repoUrl: `${servers.closed.url}/s${number}.git`, hasCredential: true });
const clone = (): string => join(node.base, 'app');
const marker = (): string => join(node.folder, 'ran');
const port = (): number => (listener.address() as { port: number }).port;

describe('S14: settings that a program writes into a clone get no credential and run nothing', () => {
  it.each([
    ['filter.steal.clean', () => `sh -c 'env > ${marker()}; cat'`],
    ['filter.steal.process', () => `touch ${marker()}`],
    ['http.proxy', () => `http://127.0.0.1:${port()}`],
    ['http.sslVerify', () => 'false'],
    ['http.https://example.test/.proxy', () => `http://127.0.0.1:${port()}`],
    ['core.sshCommand', () => `touch ${marker()};`],
    ['core.gitProxy', () => `touch ${marker()}`],
    ['core.worktree', () => node.folder],
    ['core.attributesFile', () => join(node.folder, 'attributes')],
    ['core.alternateRefsCommand', () => `touch ${marker()};`],
    ['url.http://127.0.0.1:1/.insteadOf', () => 'http://'],
    ['credential.helper', () => `!touch ${marker()};`],
    ['include.path', () => '/tmp/more'],
    ['includeIf.gitdir:/.path', () => '/tmp/more'],
    ['remote.origin.proxy', () => `http://127.0.0.1:${port()}`],
    ['remote.origin.uploadpack', () => `touch ${marker()};`],
    ['remote.origin.promisor', () => 'true'],
    ['remote.origin.vcs', () => 'evil'],
    ['protocol.ext.allow', () => 'always'],
    ['extensions.partialClone', () => 'origin'],
    ['merge.steal.driver', () => `touch ${marker()}`],
    ['diff.steal.textconv', () => `touch ${marker()}`],
    ['submodule.lib.update', () => `!touch ${marker()}`],
    ['gpg.program', () => `touch ${marker()}`],
  ])('keeps a clone with %s as it is, and names the key', async (key, value) => {
    git(clone(), 'config', key, value());
    writeFileSync(join(clone(), 'a.txt'), 'touched\n');
    repository.push({ 'b.txt': 'two\n' });
    const before = readFileSync(join(clone(), '.git', 'config'), 'utf8');
    for (const act of ['clone', 'fetch'] as const) {
      const result = await node[act](spec(), { credential });
      expect(result.outcome).toBe('kept');
      expect(result.detail.toLowerCase()).toContain(key.toLowerCase());
      expect(result.detail).toMatch(/config --unset-all/);
    }
    expect(existsSync(marker())).toBe(false);
    expect(connections).toEqual([]);
    expect(readFileSync(join(clone(), '.git', 'config'), 'utf8')).toBe(before);
    git(clone(), 'config', '--unset-all', key);
    git(clone(), 'checkout', '--quiet', '--', '.');
    expect(await node.clone(spec(), { credential })).toMatchObject({ outcome: 'updated' });
  });

  it('keeps a clone whose objects or submodules lead outside of it', async () => {
    const info = join(clone(), '.git', 'objects', 'info');
    mkdirSync(info, { recursive: true });
    writeFileSync(join(info, 'alternates'), `${repository.folder}/objects\n`);
    expect((await node.clone(spec(), { credential })).detail).toContain('objects/info/alternates');
    writeFileSync(join(info, 'alternates'), '');
    const module = join(clone(), '.git', 'modules', 'deep', 'lib');
    mkdirSync(module, { recursive: true });
    writeFileSync(join(module, 'HEAD'), 'ref: refs/heads/main\n');
    writeFileSync(join(module, 'config'), '[core]\n\tworktree = /\n[filter "steal"]\n\tclean = true\n');
    const { outcome, detail } = await node.clone(spec(), { credential });
    expect(outcome).toBe('kept');
    expect(detail).toMatch(
      /core\.worktree \(modules\/deep\/lib\), filter\.steal\.clean \(modules\/deep\/lib\)/,
    );
  });

  it('keeps a clone whose settings cannot be read', async () => {
    appendFileSync(join(clone(), '.git', 'config.worktree'), '[broken\n');
    expect((await node.clone(spec(), { credential })).outcome).toBe('kept');
  });

  it('gives no credential to a filter of the machine’s user, and runs no hook', async () => {
    for (const name of ['post-merge', 'reference-transaction', 'post-checkout', 'pre-auto-gc']) {
      const hook = join(clone(), '.git', 'hooks', name);
      mkdirSync(join(clone(), '.git', 'hooks'), { recursive: true });
      writeFileSync(hook, `#!/bin/sh\ntouch ${marker()}\n`);
      chmodSync(hook, 0o755);
    }
    const seen = join(node.folder, 'seen');
    const config = join(node.folder, 'gitconfig');
    writeFileSync(config, `[filter "steal"]\n\tsmudge = "sh -c 'env > ${seen}; cat'"\n`);
    repository.push({ 'b.txt': 'two\n' });
    const before = process.env['GIT_CONFIG_GLOBAL'];
    process.env['GIT_CONFIG_GLOBAL'] = config;
    try {
      expect(await node.clone(spec(), { credential })).toMatchObject({ outcome: 'updated' });
    } finally {
      if (before === undefined) delete process.env['GIT_CONFIG_GLOBAL'];
      else process.env['GIT_CONFIG_GLOBAL'] = before;
    }
    expect(readFileSync(seen, 'utf8')).toContain('GIT_ALLOW_PROTOCOL=none');
    expect(readFileSync(seen, 'utf8')).not.toContain(TOKEN);
    expect(existsSync(marker())).toBe(false);
  });

  it('works with the usual settings of a clone', async () => {
    for (const [key, value] of [
      ['user.email', 'me@example.test'],
      ['core.hooksPath', '.husky/_'],
      ['core.fsmonitor', 'true'],
      ['branch.main.rebase', 'true'],
      ['alias.st', 'status'],
      ['pull.rebase', 'true'],
      ['remote.fork.url', 'https://example.test/fork'],
    ] as const)
      git(clone(), 'config', key, value);
    repository.push({ 'b.md': 'two\n' });
    expect(await node.clone(spec(), { credential })).toMatchObject({ outcome: 'updated' });
  });
});
