import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProposalActivities } from '../../activities/node/proposals.ts';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { nodeQueue, previewWorkflowId } from '../../contract/names.ts';
import { hasHiddenCharacters, visibleText } from '../../contract/http/hidden-characters.ts';
import { isRunPath } from '../../contract/projects/review-marks.ts';
import type { ShownProposal } from '../../contract/projects/proposals.ts';
import { keepWorker, type KeptWorker } from '../../engine/keep-worker.ts';
import { getBlob } from '../../storage/blobs.ts';
import { enrolNode, keepOnline, startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { makeGitNode, type GitNode } from '../git/node.ts';
import { git, startGitServers, type GitServers, type ServedRepository } from '../git/servers.ts';
import { fileOutput, insertTestProposal } from '../git/proposals.ts';

const SOON = { timeout: 20_000, interval: 100 };
const NODE = 'reader';

let test: TestPlane;
let servers: GitServers;
let folder: GitNode;
let worker: KeptWorker;
let projectId: string;
let repository: ServedRepository;
let endReports: () => void;

beforeAll(async () => {
  [test, servers] = await Promise.all([startTestPlane(), startGitServers()]);
  folder = makeGitNode();
  endReports = keepOnline(test, NODE, (await enrolNode(test, NODE)).agent_key);
  worker = keepWorker(
    test.plane.deps.engine.address,
    {
      taskQueue: nodeQueue(NODE),
      activities: createProposalActivities({
        reposBase: folder.base,
        workDir: folder.work,
        node: NODE,
        dryrun: false,
        credentialOf: () => Promise.reject(new Error('there is no credential')),
        contentOf: (blob) => getBlob(test.plane.deps.store, blob),
      }),
      shutdownGraceTime: '100 milliseconds',
      shutdownForceTime: '1 second',
    },
    { polls: () => undefined, ended: () => undefined },
  );
  repository = servers.create('shop');
  git(repository.folder, 'config', 'http.receivepack', 'true');
  repository.push({
    'docs/notes.md': 'one\ntwo\n',
    'src/auth.sh': 'check\n',
    '.github/CODEOWNERS': '* @owners\n',
    '.gitattributes': '*.md -diff binary\n',
  });
  const { body } = await test.call('POST', '/api/runtime/projects', {
    body: { name: 'shop', repo_url: `${servers.open.url}/shop.git`, primary_node_id: NODE },
  });
  projectId = String(body['id']);
});
afterAll(async () => {
  endReports();
  await worker.stop();
  folder.remove();
  await servers.stop();
  await test.stop();
});

const get = async (id: string): Promise<ShownProposal> =>
  (await test.call('GET', `/api/runtime/proposals/${id}`)).body as unknown as ShownProposal;
const approve = (id: string, body: Record<string, unknown> = {}) =>
  test.call('POST', `/api/runtime/proposals/${id}/approve`, { body });
const tip = (): string => git(repository.folder, 'rev-parse', 'main');

/** Makes a proposal and waits until a node has built its diff. */
async function shown(output: string): Promise<ShownProposal> {
  const id = await insertTestProposal(test.plane.deps, projectId, output);
  await expect.poll(async () => (await get(id)).preview?.state, SOON).toMatch(/ready|failed/);
  return await get(id);
}
const patch = (text: string): string => JSON.stringify({ kind: 'patch', patch: text });

describe('S11: a proposal commits what its page shows, and nothing else', () => {
  it.each([
    [
      'rename lines that name another file',
      'diff --git a/docs/notes.md b/docs/notes.md\nsimilarity index 100%\nrename from src/auth.sh\nrename to docs/other.md\n',
      /name different files/,
    ],
    [
      'a header of another file than the lines below',
      'diff --git a/docs/notes.md b/docs/notes.md\n--- a/src/auth.sh\n+++ b/src/auth.sh\n@@ -1 +1 @@\n-check\n+true\n',
      /name different files/,
    ],
    [
      'two names without a header',
      '--- a/docs/notes.md\n+++ b/docs/notes.md.sh\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n',
      /name different files/,
    ],
    [
      'copy lines that name a secret',
      'diff --git a/docs/notes.md b/docs/new.md\ncopy from src/auth.sh\ncopy to docs/new.md\n@@ -1 +1 @@\n-check\n+true\n',
      /name different files/,
    ],
    [
      'a binary part',
      'diff --git a/x b/x\nnew file mode 100644\nindex 0000000..1111111\nGIT binary patch\nliteral 1\nIcmZQz00961000XB0003\n\n',
      /binary patch/,
    ],
    [
      'a prefix that git strips and the reader does not',
      'diff --git docs/src/auth.sh docs/src/auth.sh\n--- docs/src/auth.sh\n+++ docs/src/auth.sh\n@@ -1 +1 @@\n-check\n+true\n',
      /no header of the patch names/,
    ],
  ])('refuses %s', async (_what, text, why) => {
    const before = tip();
    const proposal = await shown(patch(text));
    expect(proposal.preview).toMatchObject({ state: 'failed', error_code: 'patch_rejected' });
    expect(proposal.preview?.detail).toMatch(why);
    expect(proposal.diff).toBeNull();
    await approve(proposal.id);
    await expect.poll(async () => (await get(proposal.id)).status, SOON).toBe('failed');
    expect(tip()).toBe(before);
  });

  it('shows each line of a file that is renamed without a hunk, and requires the tree', async () => {
    const proposal = await shown(
      patch(
        'diff --git a/docs/notes.md b/docs/notes.md\n--- a/docs/notes.md\n+++ b/docs/notes.md\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n' +
          'diff --git a/.github/CODEOWNERS b/docs/owners.md\nsimilarity index 100%\nrename from .github/CODEOWNERS\nrename to docs/owners.md\n',
      ),
    );
    expect(proposal.preview?.files).toMatchObject([
      { path: '.github/CODEOWNERS', status: 'deleted', marks: ['runs', 'deleted'] },
      { path: 'docs/notes.md', status: 'modified', marks: [] },
      { path: 'docs/owners.md', status: 'added', marks: [] },
    ]);
    // Attributes of the repository hide no part of the text.
    expect(proposal.diff).toContain('-* @owners');
    expect(proposal.diff).toContain('-two\n+2');
    const blind = await approve(proposal.id);
    expect([blind.status, blind.body['error']]).toEqual([
      409,
      expect.stringMatching(/CODEOWNERS.*tree_hash/),
    ]);
    const other = await approve(proposal.id, { tree_hash: '1'.repeat(40) });
    expect([other.status, other.body['error']]).toEqual([409, expect.stringMatching(/is not what/)]);
  });

  it('refuses to commit what nobody has seen', async () => {
    const before = tip();
    const id = await insertTestProposal(
      test.plane.deps,
      projectId,
      patch('diff --git a/src/auth.sh b/src/auth.sh\nold mode 100644\nnew mode 100755\n'),
    );
    expect((await approve(id)).status).toBe(202);
    await expect.poll(async () => (await get(id)).detail, SOON).toMatch(/auth\.sh.*tree_hash/);
    expect(tip()).toBe(before);
  });

  it('shows the replaced file behind an allegedly new one, and commits exactly the approved tree', async () => {
    const proposal = await shown(fileOutput('docs/notes.md', 'three\n'));
    expect(proposal.diff).toContain('-one\n-two\n+three\n');
    const { tree, base } = proposal.preview ?? {};
    expect(base).toBe(tip());
    expect((await approve(proposal.id, { tree_hash: tree })).status).toBe(202);
    await expect.poll(async () => (await get(proposal.id)).status, SOON).toBe('applied');
    expect(git(repository.folder, 'log', '-1', '--format=%T %P', 'main')).toBe(`${tree} ${base}`);
    expect(await get(proposal.id)).toMatchObject({ approved_tree: tree, approved_base: base, commit: tip() });
    if (process.env['RECORD_HISTORY'] !== undefined) await record(proposal.id);
  });

  it('refuses an approved tree when the branch has moved, and shows the new one', async () => {
    const proposal = await shown(fileOutput('docs/more.md', 'more\n'));
    const { tree } = proposal.preview ?? {};
    git(repository.elsewhere, 'pull', '--quiet', '--rebase', 'origin', 'main');
    const now = repository.push({ 'docs/else.md': 'x\n' });
    await approve(proposal.id, { tree_hash: tree });
    await expect.poll(async () => (await get(proposal.id)).error_code, SOON).toBe('version_conflict');
    expect(tip()).toBe(now);
    await expect.poll(async () => (await get(proposal.id)).preview?.base, SOON).toBe(now);
    const again = (await get(proposal.id)).preview?.tree;
    expect((await approve(proposal.id, { tree_hash: tree })).status).toBe(409);
    expect((await approve(proposal.id, { tree_hash: again })).status).toBe(202);
    await expect.poll(async () => (await get(proposal.id)).status, SOON).toBe('applied');
  });

  it('marks invisible characters, and draws them', async () => {
    const text = 'if (isAdmin\u202E \u2066// check\u2069 \u2066) {\u200B\u{E0041}\n';
    const proposal = await shown(fileOutput('docs/bidi.md', text));
    expect(proposal.preview?.files[0]?.marks).toEqual(['hidden']);
    expect((await approve(proposal.id)).status).toBe(409);
    expect(visibleText(text)).toBe(
      'if (isAdmin⟨U+202E⟩ ⟨U+2066⟩// check⟨U+2069⟩ ⟨U+2066⟩) {⟨U+200B⟩⟨U+E0041⟩\n',
    );
    expect(visibleText('a\tb\r\u00AD\u3164\uFE0F\u00A0')).toBe(
      'a\tb⟨U+000D⟩⟨U+00AD⟩⟨U+3164⟩⟨U+FE0F⟩⟨U+00A0⟩',
    );
    expect(hasHiddenCharacters('one\r\ntwo ❤️ 👩‍💻\n')).toBe(false);
  });

  it('marks files that some program runs or obeys', () => {
    const run = [
      '.github/workflows/a.yml',
      '.gitlab-ci.yml',
      '.claude/settings.json',
      '.mcp.json',
      'CLAUDE.md',
      '.gitattributes',
    ];
    const more = [
      'sub/.gitmodules',
      '.husky/pre-commit',
      '.githooks/x',
      'a/package.json',
      'Makefile',
      'Dockerfile.dev',
      '.vscode/tasks.json',
    ];
    const last = [
      '.devcontainer/devcontainer.json',
      'docs/CODEOWNERS',
      '.bashrc',
      '.GitHub/x',
      'Jenkinsfile',
      '.envrc',
      'setup.py',
    ];
    for (const path of [...run, ...more, ...last]) expect([path, isRunPath(path)]).toEqual([path, true]);
    for (const path of ['docs/notes.md', 'src/index.ts', 'README.md'])
      expect([path, isRunPath(path)]).toEqual([path, false]);
  });
});

describe('S17: a trailer alone does not prove that a proposal was applied', () => {
  it('looks for what was approved, and not for who claims it', async () => {
    const proposal = await shown(fileOutput('docs/claimed.md', 'claimed\n'));
    git(repository.elsewhere, 'pull', '--quiet', '--rebase', 'origin', 'main');
    mkdirSync(dirname(join(repository.elsewhere, 'docs/other.md')), { recursive: true });
    writeFileSync(join(repository.elsewhere, 'docs/other.md'), 'something else\n');
    git(repository.elsewhere, 'add', '--all');
    git(
      repository.elsewhere,
      'commit',
      '--quiet',
      '--message',
      `Change\n\nMembridge-Proposal: ${proposal.id}`,
    );
    git(repository.elsewhere, 'push', '--quiet', 'origin', 'HEAD:main');
    const claimed = tip();
    expect((await approve(proposal.id)).status).toBe(202);
    await expect.poll(async () => (await get(proposal.id)).status, SOON).toBe('applied');
    expect((await get(proposal.id)).commit).not.toBe(claimed);
    expect(git(repository.folder, 'show', 'main:docs/claimed.md')).toBe('claimed');
  });
});

/** Stores the history of the workflow for the replay test. */
async function record(id: string): Promise<void> {
  const { client } = test.plane.deps.engine;
  const history = await client.workflow.getHandle(previewWorkflowId(id)).fetchHistory();
  writeFileSync('workflows/histories/previewProposal-test-ready.json', `${historyToJSON(history)}\n`);
}
