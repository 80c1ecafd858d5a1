import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import type { NodeCredential } from '../contract/projects/projects.ts';
import type { ApplyResult, ApplySpec } from '../contract/projects/proposals.ts';
import { makeGitNode, makeSpec, type GitNode, type SpecInput } from '../test/git/node.ts';
import { TOKEN, git, startGitServers, type GitServers, type ServedRepository } from '../test/git/servers.ts';
import { applyProposal } from './apply-proposal.ts';
import { NO_CREDENTIAL, type GitContext } from './context.ts';
import { sweepAccess } from './access.ts';
import { sweepPartials } from './partials.ts';

let servers: GitServers;
let node: GitNode;
let number = 0;

beforeAll(async () => {
  servers = await startGitServers();
});
afterAll(async () => {
  await servers.stop();
});
beforeEach(() => {
  node = makeGitNode();
});
afterEach(() => {
  servers.open.trouble = { kind: 'none' };
  // However the work ended, no temporary clone, key or helper is left.
  expect(
    readdirSync(node.base, { recursive: true }).filter((name) => String(name).includes('.partial')),
  ).toEqual([]);
  expect(existsSync(node.work) ? readdirSync(node.work) : []).toEqual([]);
  node.remove();
});

/** Creates a repository that accepts pushes over HTTP, with ten lines in `notes.md`. */
function fresh(options: { empty?: boolean } = {}): ServedRepository & { repoUrl: string } {
  number += 1;
  const repository = servers.create(`p${number}`, options);
  git(repository.folder, 'config', 'http.receivepack', 'true');
  if (options.empty !== true) repository.push({ 'notes.md': lines() });
  return { ...repository, repoUrl: `${servers.open.url}/${repository.name}.git` };
}
const lines = (changed: Record<number, string> = {}): string =>
  Array.from({ length: 10 }, (_, n) => `${changed[n + 1] ?? `line ${n + 1}`}\n`).join('');

/** Makes a diff as a worker would: in a separate clone. */
function diffOf(repository: ServedRepository, files: Record<string, string>, ...args: string[]): string {
  const clone = join(node.folder, `worker-${(number += 1)}`);
  git(node.folder, 'clone', '--quiet', repository.folder, clone);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(clone, file), text);
  git(clone, 'add', '--all');
  return `${git(clone, 'diff', '--cached', ...args)}\n`;
}

const proposalOf = (given: Partial<ApplySpec> = {}): ApplySpec => ({
  proposalId: `prop_${(number += 1)}`,
  taskId: 'task_0123456789abcdef',
  agentSlug: 'writer',
  title: 'Say it better',
  kind: 'patch',
  path: null,
  expectedVersion: null,
  ...given,
});

const contextOf = (more: Partial<GitContext> = {}): GitContext => ({
  reposBase: node.base,
  workDir: node.work,
  credential: NO_CREDENTIAL,
  signal: new AbortController().signal,
  timeoutMs: 60_000,
  progress: () => undefined,
  ...more,
});

async function apply(
  { repoUrl, branch = null, hasCredential = false }: SpecInput,
  proposal: ApplySpec,
  content: string,
  more: Partial<GitContext> = {},
): Promise<ApplyResult> {
  return await applyProposal(
    { spec: makeSpec({ repoUrl, branch, hasCredential }), proposal, content: Buffer.from(content) },
    contextOf(more),
  );
}
async function failure(...args: Parameters<typeof apply>): Promise<MembridgeError> {
  const error: unknown = await apply(...args).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof MembridgeError) return error;
  throw new Error(`expected an error of the table, got ${errorMessage(error)}`);
}
const tip = (repository: ServedRepository, branch = 'main'): string =>
  git(repository.folder, 'rev-parse', branch);
const show = (repository: ServedRepository, file: string): string =>
  git(repository.folder, 'show', `main:${file}`);
const count = (repository: ServedRepository): number =>
  Number(git(repository.folder, 'rev-list', '--count', 'main'));
/** Installs a hook on the server. */
function hook(repository: ServedRepository, name: string, script: string): void {
  const file = join(repository.folder, 'hooks', name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

describe('a proposal that applies', () => {
  it('becomes one commit on the branch, which names the agent, the proposal and the task', async () => {
    const repository = fresh();
    const before = tip(repository);
    const proposal = proposalOf({ title: 'Say it\nbetter', expectedVersion: before });
    const result = await apply(
      repository,
      proposal,
      diffOf(repository, { 'notes.md': lines({ 3: 'third' }) }),
    );
    expect(result).toEqual({ commit: tip(repository), branch: 'main', wasThere: false });
    expect(git(repository.folder, 'rev-parse', 'main^')).toBe(before);
    expect(show(repository, 'notes.md')).toContain('line 2\nthird\nline 4');
    expect(git(repository.folder, 'log', '-1', '--format=%an <%ae>%n%cn%n%B', 'main')).toBe(
      [
        'writer via Membridge <membridge@localhost>',
        'writer via Membridge',
        'Say it better',
        '',
        `Membridge-Proposal: ${proposal.proposalId}`,
        `Membridge-Task: ${proposal.taskId}`,
      ].join('\n'),
    );
    expect(git(repository.folder, 'fsck', '--strict')).not.toMatch(/error|missing/);
  });

  it('may be a file’s new text, byte for byte, with the file’s existing mode', async () => {
    const repository = fresh();
    const script = join(repository.elsewhere, 'run.sh');
    writeFileSync(script, '#!/bin/sh\n');
    chmodSync(script, 0o755);
    repository.push({ '.gitattributes': '* text=auto eol=lf\n' });
    const content = 'first\r\n\r\nno end of line';
    await apply(repository, proposalOf({ kind: 'file', path: 'memory/deep/new one.md' }), content);
    expect(git(repository.folder, 'cat-file', '-s', 'main:memory/deep/new one.md')).toBe(
      String(content.length),
    );
    await apply(repository, proposalOf({ kind: 'file', path: 'run.sh' }), 'echo\n');
    expect(git(repository.folder, 'ls-tree', 'main', 'run.sh')).toMatch(/^100755 /);
  });

  it('leaves the project’s clone and a person’s work in it unchanged', async () => {
    const repository = fresh();
    await node.clone({ repoUrl: repository.repoUrl });
    const clone = join(node.base, 'app');
    writeFileSync(join(clone, 'notes.md'), 'mine\n');
    writeFileSync(join(clone, 'draft'), 'mine\n');
    git(clone, 'add', 'draft');
    const stand = () => [
      git(clone, 'status', '--porcelain=v2', '--branch'),
      git(clone, 'for-each-ref'),
      readFileSync(join(clone, '.git', 'config'), 'utf8'),
    ];
    const before = stand();
    await apply(repository, proposalOf(), diffOf(repository, { 'notes.md': lines({ 1: 'one' }) }));
    expect(stand()).toEqual(before);
    expect(show(repository, 'notes.md')).toContain('one\nline 2');
  });

  it('is merged when other lines of the same file changed on the branch', async () => {
    const repository = fresh();
    const diff = diffOf(repository, { 'notes.md': lines({ 2: 'second' }) }, '--full-index');
    // Changes lines right behind the hunk's context and above it, so that it does not apply unchanged.
    repository.push({ 'notes.md': lines({ 7: 'seventh' }).replace('line 1\n', 'line 0\nline 1\n') });
    repository.push({ 'notes.md': lines({ 7: 'seventh' }).replace('line 4\n', 'line 4 and more\n') });
    await apply(repository, proposalOf(), diff);
    expect(show(repository, 'notes.md')).toContain(
      'second\nline 3\nline 4 and more\nline 5\nline 6\nseventh',
    );
  });

  it('goes to the project’s branch with the control plane’s credential', async () => {
    const repository = fresh();
    repository.push({ other: '1' }, { branch: 'memory' });
    const main = tip(repository);
    const credential: NodeCredential = {
      credential: { kind: 'token', username: 'git', token: TOKEN },
      known_hosts: null,
    };
    const spec = {
      repoUrl: `${servers.closed.url}/${repository.name}.git`,
      branch: 'memory',
      hasCredential: true,
    };
    const { branch, commit } = await apply(spec, proposalOf({ kind: 'file', path: 'a' }), 'a', {
      credential,
    });
    expect([branch, commit]).toEqual(['memory', tip(repository, 'memory')]);
    expect(tip(repository)).toBe(main);
    const refused = await failure(spec, proposalOf({ kind: 'file', path: 'b' }), 'b');
    expect(refused.code).toBe('git_auth_failed');
  });

  it('is committed once for any number of calls', async () => {
    const repository = fresh();
    const proposal = proposalOf({ expectedVersion: tip(repository) });
    const diff = diffOf(repository, { 'notes.md': lines({ 5: 'fifth' }) });
    const { commit } = await apply(repository, proposal, diff);
    const elsewhere = somebodyPushes(repository, { other: '1' });
    expect(await apply(repository, proposal, diff)).toEqual({ commit, branch: 'main', wasThere: true });
    expect(tip(repository)).toBe(elsewhere);
  });

  it('is pushed again after a concurrent push, if it applies to the new branch', async () => {
    const repository = fresh();
    const before = count(repository);
    onceBeforeUpdate(repository);
    await apply(repository, proposalOf(), diffOf(repository, { 'notes.md': lines({ 5: 'fifth' }) }));
    expect(count(repository)).toBe(before + 2);
    expect(show(repository, 'notes.md')).toContain('fifth');
    expect(show(repository, 'between')).toBe('x');
  });
});

/**
 * Commits and pushes on top of the current branch, as another person.
 * @returns the commit
 */
function somebodyPushes(repository: ServedRepository, files: Record<string, string>): string {
  git(repository.elsewhere, 'pull', '--quiet', '--rebase', 'origin', 'main');
  return repository.push(files);
}

/** Makes the server move the branch by a commit right before it accepts the next push. */
function onceBeforeUpdate(repository: ServedRepository): void {
  hook(
    repository,
    'pre-receive',
    `[ -e moved ] && exit 0
touch moved
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x GIT_INDEX_FILE=between-index
git read-tree main
git update-index --add --cacheinfo 100644,$(printf x | git hash-object -w --stdin),between
git update-ref refs/heads/main $(git commit-tree $(git write-tree) -p main -m between)`,
  );
}

describe('a proposal that cannot be applied', () => {
  it('is refused when the branch is not at the expected version, naming both', async () => {
    const repository = fresh();
    const expected = tip(repository);
    const diff = diffOf(repository, { 'notes.md': lines({ 5: 'fifth' }) });
    const now = repository.push({ other: '1' });
    const { code, message } = await failure(repository, proposalOf({ expectedVersion: expected }), diff);
    expect(code).toBe('version_conflict');
    expect(message).toContain(expected);
    expect(message).toContain(now);
    expect(tip(repository)).toBe(now);
    // The beginning of a hash is enough.
    await apply(repository, proposalOf({ expectedVersion: now.slice(0, 8) }), diff);
  });

  it('is refused when the branch leaves the expected version during the push', async () => {
    const repository = fresh();
    const before = tip(repository);
    onceBeforeUpdate(repository);
    const { code } = await failure(
      repository,
      proposalOf({ expectedVersion: before }),
      diffOf(repository, { 'notes.md': lines({ 5: 'fifth' }) }),
    );
    expect(code).toBe('version_conflict');
    expect(git(repository.folder, 'log', '--format=%s', '-1', 'main')).toBe('between');
  });

  it('is refused when others push each time', async () => {
    const repository = fresh();
    onceBeforeUpdate(repository);
    const file = join(repository.folder, 'hooks', 'pre-receive');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('[ -e moved ] && exit 0', '').replace('printf x', 'date +%N'),
    );
    const before = count(repository);
    const { code, message } = await failure(repository, proposalOf({ kind: 'file', path: 'a' }), 'a');
    expect([code, message]).toEqual(['version_conflict', expect.stringMatching(/before each of 3 tries/)]);
    expect(count(repository)).toBe(before + 3);
  });

  it.each([
    [
      'lines that are not there',
      (text: string) => text.replaceAll('line 4', 'nothing'),
      /patch failed: notes\.md/,
    ],
    ['a file that is not there', (text: string) => text.replaceAll('notes.md', 'nowhere.md'), /nowhere\.md/],
    ['a patch that is cut off', (text: string) => text.slice(0, text.indexOf('line 6')), /corrupt patch/],
    ['a path outside', (text: string) => text.replaceAll('notes.md', '../notes.md'), /\.\.\/notes\.md/],
    ['git’s own files', (text: string) => text.replaceAll('notes.md', '.git/config'), /\.git\/config/],
  ])('is refused because of %s', async (_what, spoil, expected) => {
    const repository = fresh();
    const before = tip(repository);
    const diff = spoil(diffOf(repository, { 'notes.md': lines({ 5: 'fifth' }) }));
    const { code, message } = await failure(repository, proposalOf(), diff);
    expect(code).toBe('patch_rejected');
    expect(message).toMatch(expected);
    expect(tip(repository)).toBe(before);
  });

  it('is refused when both changed the same line', async () => {
    const repository = fresh();
    const diff = diffOf(repository, { 'notes.md': lines({ 5: 'fifth' }) }, '--full-index');
    const now = repository.push({ 'notes.md': lines({ 5: 'five' }) });
    expect((await failure(repository, proposalOf(), diff)).code).toBe('patch_rejected');
    expect(tip(repository)).toBe(now);
  });

  it('is refused when the branch already contains it', async () => {
    const repository = fresh();
    const { code, message } = await failure(
      repository,
      proposalOf({ kind: 'file', path: 'notes.md' }),
      lines(),
    );
    expect([code, message]).toEqual(['patch_rejected', expect.stringMatching(/changes nothing/)]);
  });

  it('is refused when it would create a link, lead through one, or touch a submodule', async () => {
    const repository = fresh();
    const module = fresh();
    symlinkSync('/etc', join(repository.elsewhere, 'out'));
    const before = repository.push(
      {},
      { submodules: { lib: { folder: module.folder, url: module.repoUrl } } },
    );
    for (const [path, said] of [
      ['out/passwd', /out is a symbolic link/],
      ['out', /out is a symbolic link/],
      ['lib/a', /lib is a submodule/],
      ['lib', /lib is a submodule/],
      ['notes.md/a', /notes\.md is a file/],
      ['../a', /must not have empty parts/],
      ['.git/hooks/pre-push', /must not lie in \.git/],
      ['.gitmodules', /must not be \.gitmodules/],
    ] as const) {
      const { code, message } = await failure(repository, proposalOf({ kind: 'file', path }), 'x');
      expect([code, message]).toEqual(['patch_rejected', expect.stringMatching(said)]);
    }
    const link =
      'diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n';
    expect((await failure(repository, proposalOf(), link)).message).toMatch(/l would be a symbolic link/);
    const through =
      'diff --git a/out/x b/out/x\nnew file mode 100644\n--- /dev/null\n+++ b/out/x\n@@ -0,0 +1 @@\n+x\n';
    expect((await failure(repository, proposalOf(), through)).code).toBe('patch_rejected');
    const commit = git(repository.folder, 'rev-parse', 'main:lib');
    const moved = `diff --git a/lib b/lib\nindex ${commit.slice(0, 7)}..${'1'.repeat(7)} 160000\n--- a/lib\n+++ b/lib\n@@ -1 +1 @@\n-Subproject commit ${commit}\n+Subproject commit ${'1'.repeat(40)}\n`;
    expect((await failure(repository, proposalOf(), moved)).code).toBe('patch_rejected');
    expect(tip(repository)).toBe(before);
  });

  it('is refused with the server’s message when the server rejects the push', async () => {
    const repository = fresh();
    const before = tip(repository);
    hook(repository, 'pre-receive', 'echo "this branch is protected" >&2; exit 1');
    const { code, message } = await failure(repository, proposalOf({ kind: 'file', path: 'a' }), 'a');
    expect(code).toBe('push_refused');
    expect(message).toMatch(/on main: .*pre-receive hook declined.*this branch is protected/);
    expect(tip(repository)).toBe(before);
  });

  it('is refused when there is no branch, or no access', async () => {
    const work = [proposalOf({ kind: 'file', path: 'a' }), 'a'] as const;
    expect(await failure(fresh({ empty: true }), ...work)).toMatchObject({
      code: 'git_not_found',
      message: expect.stringMatching(/is empty/) as string,
    });
    expect((await failure({ ...fresh(), branch: 'nowhere' }, ...work)).code).toBe('git_not_found');
    const readOnly = servers.create(`p${(number += 1)}`);
    expect((await failure({ repoUrl: `${servers.open.url}/${readOnly.name}.git` }, ...work)).code).toBe(
      'git_auth_failed',
    );
  });
});

describe('settings of the machine', () => {
  it('have no effect: no hook runs, nothing is signed and no line changes', async () => {
    const repository = fresh();
    const config = join(node.folder, 'gitconfig');
    const marker = join(node.folder, 'ran');
    const hooks = join(node.folder, 'template', 'hooks');
    mkdirSync(hooks, { recursive: true });
    for (const name of ['pre-commit', 'commit-msg', 'pre-push', 'post-checkout', 'reference-transaction']) {
      writeFileSync(join(hooks, name), `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 });
    }
    writeFileSync(
      config,
      `[init]\n\ttemplateDir = ${join(node.folder, 'template')}\n[core]\n\thooksPath = ${hooks}\n\tautocrlf = true\n[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = /bin/false\n[push]\n\tgpgSign = true\n[user]\n\tname = Somebody\n\temail = some@body\n[apply]\n\twhitespace = fix\n[log]\n\tshowSignature = true\n`,
    );
    const before = process.env['GIT_CONFIG_GLOBAL'];
    process.env['GIT_CONFIG_GLOBAL'] = config;
    try {
      const text = lines({ 5: 'fifth  ' });
      await apply(repository, proposalOf(), diffOf(repository, { 'notes.md': text }));
    } finally {
      if (before === undefined) delete process.env['GIT_CONFIG_GLOBAL'];
      else process.env['GIT_CONFIG_GLOBAL'] = before;
    }
    expect(show(repository, 'notes.md')).toContain('fifth  \nline 6');
    expect(git(repository.folder, 'log', '-1', '--format=%an', 'main')).toBe('writer via Membridge');
    expect(git(repository.folder, 'cat-file', 'commit', 'main')).not.toContain('gpgsig');
    expect(existsSync(marker)).toBe(false);
  });
});

describe('a proposal whose node dies', () => {
  const start = (repository: { repoUrl: string }, proposal: ApplySpec, content: string) => {
    const input = {
      spec: makeSpec({ repoUrl: repository.repoUrl }),
      proposal,
      content,
      base: node.base,
      work: node.work,
    };
    const script = join(import.meta.dirname, '..', 'test', 'git', 'apply-once.ts');
    return spawn(process.execPath, [script, JSON.stringify(input)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  };

  it('leaves nothing behind after the next try when the node dies in the middle', async () => {
    number += 1;
    const repository = servers.create(`p${number}`, { bytes: 2_000_000 });
    git(repository.folder, 'config', 'http.receivepack', 'true');
    const repoUrl = `${servers.open.url}/${repository.name}.git`;
    const proposal = proposalOf({ kind: 'file', path: 'a' });
    servers.open.trouble = { kind: 'slow', everyMs: 200 };
    const sending = servers.open.sending();
    const child = start({ repoUrl }, proposal, 'a');
    await sending;
    expect(readdirSync(node.base)).toEqual([
      expect.stringMatching(/^\.proposal-prop_\d+\.membridge-.*\.partial$/),
    ]);
    // While its owner lives, a sweep leaves it alone.
    await sweepPartials(node.base);
    expect(readdirSync(node.base)).toHaveLength(1);
    child.kill('SIGKILL');
    await once(child, 'exit');
    servers.open.trouble = { kind: 'none' };
    expect(count(repository)).toBe(1);
    await apply({ repoUrl }, proposal, 'a');
    expect(readdirSync(node.base)).toEqual([]);
    expect(count(repository)).toBe(2);
    await sweepWork();
  });

  it('makes no second commit when the node dies between the push and its report', async () => {
    const repository = fresh();
    const before = count(repository);
    const proposal = proposalOf({ kind: 'file', path: 'a', expectedVersion: tip(repository) });
    // The branch has moved when this hook runs, but the client does not know it yet.
    hook(repository, 'post-receive', 'touch pushed; sleep 10');
    const child = start(repository, proposal, 'a');
    while (!existsSync(join(repository.folder, 'pushed'))) await sleep(20);
    child.kill('SIGKILL');
    await once(child, 'exit');
    hook(repository, 'post-receive', 'exit 0');
    expect(count(repository)).toBe(before + 1);
    expect(await apply(repository, proposal, 'a')).toEqual({
      commit: tip(repository),
      branch: 'main',
      wasThere: true,
    });
    expect(count(repository)).toBe(before + 1);
    await sweepWork();
  });

  it('ends git and pushes nothing when its workflow is canceled', async () => {
    number += 1;
    const repository = servers.create(`p${number}`, { bytes: 2_000_000 });
    const spec = { repoUrl: `${servers.open.url}/${repository.name}.git` };
    servers.open.trouble = { kind: 'stall', afterBytes: 500_000 };
    const stop = new AbortController();
    const sending = servers.open.sending();
    const applied = apply(spec, proposalOf({ kind: 'file', path: 'a' }), 'a', { signal: stop.signal });
    await sending;
    stop.abort(new Error('somebody cancelled'));
    await expect(applied).rejects.toThrow('somebody cancelled');
    const late = await failure(spec, proposalOf({ kind: 'file', path: 'a' }), 'a', { timeoutMs: 1_000 });
    expect([late.code, late.message]).toEqual(['clone_timeout', expect.stringMatching(/within 1 s/)]);
    expect(count(repository)).toBe(1);
  });

  /** Removes key files of a killed process, as the next agent does at its start. */
  async function sweepWork(): Promise<void> {
    await sweepAccess(node.work);
  }
});
