/**
 * Makes one commit of an approved proposal on the project's branch. All of it happens in a temporary clone, and there in the index
 * alone: no file of a person's clone is touched, none of the repository's is checked out, and no hook or filter of it can run.
 */
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import type { CloneSpec } from '../contract/projects.ts';
import type { ApplyResult, ApplySpec } from '../contract/proposals.ts';
import { openAccess, type Access } from './access.ts';
import { fileFailure, parseSpec } from './clone.ts';
import type { GitContext } from './context.ts';
import { tellingLine } from './failures.ts';
import { openGit, type Git } from './git.ts';
import { makePartial, sweepFolder, type Partial } from './partials.ts';
import { stageFile, stagePatch } from './stage-proposal.ts';
import { resolveTarget } from './target.ts';

/** Commits that are fetched, and that are looked through for one that an earlier try has pushed. */
const NEWEST = 200;

/** How often the branch may move away under a proposal while it is pushed. */
const TRIES = 3;

const TRAILER = 'Membridge-Proposal';

/** Where the branch is in the temporary clone. */
const BASE = 'refs/membridge/base';

/** Settings of every git here: the user's own must not change what is committed. */
const SETTINGS = [
  'core.autocrlf=false',
  'core.safecrlf=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'apply.whitespace=nowarn',
  'apply.ignoreWhitespace=no',
  'commit.gpgSign=false',
  'push.gpgSign=false',
  'push.followTags=false',
  'push.recurseSubmodules=no',
  'i18n.commitEncoding=UTF-8',
].flatMap((setting) => ['-c', setting]);

/** What is to be committed where. */
export interface ProposalWork {
  readonly spec: CloneSpec;
  readonly proposal: ApplySpec;
  /** The patch, or the new text of the file. */
  readonly content: Buffer;
}

/**
 * Commits a proposal on the project's branch and pushes it. Doing it again finds the commit that is there already.
 * @throws MembridgeError version_conflict naming both commits, patch_rejected, push_refused, the git_… codes, clone_stalled,
 *   clone_timeout, disk_full; the signal's reason. Whatever is thrown, nothing is left behind on the node
 */
export async function applyProposal(work: ProposalWork, context: GitContext): Promise<ApplyResult> {
  const spec = parseSpec(work.spec);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(tooLate(spec, context.timeoutMs)), context.timeoutMs);
  const signal = AbortSignal.any([context.signal, late.signal]);
  try {
    await mkdir(context.reposBase, { recursive: true });
    const base = await realpath(context.reposBase);
    await sweepFolder(base, base);
    const name = work.proposal.proposalId.replaceAll(/[^A-Za-z0-9_-]/g, '');
    const partial = makePartial(join(base, `proposal-${name}`));
    try {
      const access = await openAccess(spec.repoUrl, context.credential, {
        workDir: context.workDir,
        // Where the node has a clone, git gets in as it does there.
        cwd: await cloneOr(base, spec),
      });
      try {
        const git = openGit({
          path: partial.repository,
          access: asCommitter(access, work.proposal),
          spec,
          context,
          signal,
        });
        return await commitAndPush({ ...work, spec }, git, partial);
      } finally {
        await access.close();
      }
    } finally {
      await partial.remove();
    }
  } catch (error) {
    throw fileFailure(error);
  } finally {
    clearTimeout(timer);
  }
}

async function cloneOr(base: string, spec: CloneSpec): Promise<string> {
  try {
    const target = await resolveTarget(base, spec.name, spec.targetPath);
    return target.holds === 'clone' ? target.path : base;
  } catch {
    // A path that leads nowhere matters to clones alone.
    return base;
  }
}

/** The same access, committing as the agent that proposed, and with settings that are nobody's. */
function asCommitter(access: Access, { agentSlug }: ApplySpec): Access {
  const name = `${agentSlug.replaceAll(/[<>\p{Cc}]/gu, '')} via Membridge`;
  const email = 'membridge@localhost';
  const env = {
    ...access.env,
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  };
  // A date that the agent was started with would be that of every commit.
  for (const each of ['GIT_AUTHOR_DATE', 'GIT_COMMITTER_DATE'] as const) Reflect.deleteProperty(env, each);
  return { ...access, env, settings: [...access.settings, ...SETTINGS] };
}

async function commitAndPush(work: ProposalWork, git: Git, partial: Partial): Promise<ApplyResult> {
  const { proposal, spec } = work;
  const branch = await cloneBranch(git, spec, partial);
  for (let tried = 1; ; tried += 1) {
    const head = await git.ask('rev-parse', '--verify', `${BASE}^{commit}`);
    const earlier = await findEarlier(git, proposal);
    if (earlier !== null) return { commit: earlier, branch, wasThere: true };
    const { expectedVersion } = proposal;
    if (expectedVersion !== null && !head.startsWith(expectedVersion)) {
      throw conflict(branch, expectedVersion, head);
    }
    const commit = await makeCommit(work, git, { branch, head });
    const pushed = await push(git, partial, { branch, head, commit, spec });
    if (pushed === 'done') return { commit, branch, wasThere: false };
    await fetchBranch(git, spec, branch, partial);
    // Of an expected version the next look says that it is no more; unless the server holds a lock that nobody gives back.
    if (tried === TRIES) {
      throw new MembridgeError(
        'version_conflict',
        `${branch} was changed by somebody else each of the ${TRIES} times that the proposal was to be pushed. Approve it again.`,
      );
    }
  }
}

/** Fetches the newest commits of the branch into the temporary clone. @returns the branch's name */
async function cloneBranch(git: Git, spec: CloneSpec, partial: Partial): Promise<string> {
  const { branch } = spec.options;
  const named = branch === null ? [] : ['--branch', branch];
  const where = join(partial.repository, '..');
  await git
    .in(where)
    .overNetwork(
      [
        'clone',
        '--progress',
        '--no-checkout',
        '--no-tags',
        '--single-branch',
        '--template=',
        `--depth=${NEWEST}`,
        ...named,
        '--',
        spec.repoUrl,
        partial.repository,
      ],
      { grows: where, started: (group) => partial.started(group) },
    );
  const head = await git.look('symbolic-ref', '--quiet', '--short', 'HEAD');
  const name = head.stdout.trim();
  const found = await git.look('update-ref', BASE, 'HEAD');
  if (found.code === 0 && head.code === 0) return name;
  throw new MembridgeError(
    'git_not_found',
    head.code === 0
      ? `The repository of ${spec.name} is empty: there is no branch to commit on. Push a first commit.`
      : `${branch ?? 'HEAD'} of ${spec.name} is no branch. Correct the project's branch.`,
  );
}

async function fetchBranch(git: Git, spec: CloneSpec, branch: string, partial: Partial): Promise<void> {
  await git.overNetwork(
    [
      'fetch',
      '--progress',
      '--no-tags',
      '--refmap=',
      `--depth=${NEWEST}`,
      '--',
      spec.repoUrl,
      `+refs/heads/${branch}:${BASE}`,
    ],
    { grows: partial.repository, started: (group) => partial.started(group) },
  );
}

/** The commit that an earlier try has pushed: an attempt may end between its push and its report. */
async function findEarlier(git: Git, { proposalId }: ApplySpec): Promise<string | null> {
  const format = `--format=%H %(trailers:key=${TRAILER},valueonly,separator=%x20)`;
  const lines = (await git.ask('log', '--no-show-signature', `--max-count=${NEWEST}`, format, BASE)).split(
    '\n',
  );
  const found = lines.map((line) => line.split(' ')).find(([, ...ids]) => ids.includes(proposalId));
  return found?.[0] ?? null;
}

async function makeCommit(
  { proposal, content }: ProposalWork,
  git: Git,
  { branch, head }: { branch: string; head: string },
): Promise<string> {
  await git.ask('read-tree', '--reset', head);
  if (proposal.kind === 'file') await stageFile(git, { branch, head, path: proposal.path, content });
  else await stagePatch(git, { branch, head, content });
  const tree = await git.ask('write-tree');
  if (tree === (await git.ask('rev-parse', `${head}^{tree}`))) {
    throw new MembridgeError(
      'patch_rejected',
      `The proposal changes nothing: ${branch} at ${head.slice(0, 8)} has all of it already.`,
    );
  }
  const title = proposal.title.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  const message = [
    title === '' ? `Proposal ${proposal.proposalId}` : title,
    '',
    `${TRAILER}: ${proposal.proposalId}`,
    `Membridge-Task: ${proposal.taskId}`,
  ].join('\n');
  return await git.ask('commit-tree', '--no-gpg-sign', tree, '-p', head, '-m', message);
}

/** Pushes the commit. @returns `moved` when the branch is not any more where the commit begins */
async function push(
  git: Git,
  partial: Partial,
  what: { branch: string; head: string; commit: string; spec: CloneSpec },
): Promise<'done' | 'moved'> {
  const { branch, head, commit, spec } = what;
  const ref = `refs/heads/${branch}`;
  // The commit's parent is the head, so this forces nothing; it refuses more than a plain push does, which would also take a
  // branch that somebody set back meanwhile, and bring back what they took away.
  const lease = `--force-with-lease=${ref}:${head}`;
  const args = [
    'push',
    '--porcelain',
    '--progress',
    '--no-verify',
    lease,
    '--',
    spec.repoUrl,
    `${commit}:${ref}`,
  ];
  const answer = await git.tryNetwork(args, {
    grows: partial.repository,
    started: (group) => partial.started(group),
  });
  if (answer.code === 0) return 'done';
  const line = answer.stdout.split('\n').find((each) => each.startsWith('!'));
  // Without a line for the branch it never came to that: no access, no connection.
  if (line === undefined) throw git.failure(answer);
  const why = line.split('\t').at(-1) ?? '';
  if (why.startsWith('[rejected]')) return 'moved';
  if (/cannot lock ref|failed to (?:update ref|lock)|incorrect old value|already exists/i.test(why))
    return 'moved';
  const told = [...answer.stderr.matchAll(/^remote: (.+)$/gm)].map(([, text = '']) => text.trim());
  const said = told.length > 0 ? told.slice(0, 5).join(' ') : tellingLine(answer.stderr);
  const reason = why.replace(/^\[remote (?:rejected|failure)\] /, '');
  throw new MembridgeError(
    'push_refused',
    `The server did not take the commit on ${branch}: ${reason} ${said.slice(0, 500)}`,
  );
}

function conflict(branch: string, expected: string, head: string): MembridgeError {
  return new MembridgeError(
    'version_conflict',
    `${branch} is at ${head}, and the proposal is for ${expected}. Look whether it still fits, and approve it for ${head.slice(0, 12)}.`,
  );
}

function tooLate(spec: CloneSpec, timeoutMs: number): MembridgeError {
  return new MembridgeError(
    'clone_timeout',
    `The proposal was not committed to ${spec.name} within ${Math.round(timeoutMs / 1_000)} s; git was ended.`,
  );
}
