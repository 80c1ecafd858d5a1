/**
 * The temporary clone in which a proposal becomes a tree. All work happens in the index. No person's clone is
 * touched, and no file of the repository is checked out. None of its hooks, filters, attributes or settings
 * has an effect.
 */
import { mkdir, realpath } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import type { CloneSpec } from '../contract/projects/projects.ts';
import type { ApplySpec } from '../contract/projects/proposals.ts';
import { openAccess, type Access } from './access.ts';
import { toFileError, parseSpec } from './clone.ts';
import type { GitContext } from './context.ts';
import { openGit, type Git } from './git.ts';
import { withinHosts } from './hosts.ts';
import { makePartial, sweepFolder, type Partial } from './partials.ts';

/** Number of commits to fetch, and to search for one that an earlier try has pushed. */
export const MAX_COMMITS = 200;

/** Ref of the branch in the temporary clone. */
export const BASE_REF = 'refs/membridge/base';

/** Settings of every git here, so that the user's own do not change what is committed. */
const GIT_OPTIONS = [
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

/** The environment of steps that need no server. */
const ISOLATED_ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: devNull,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_ALLOW_PROTOCOL: 'none',
};

/** The content to commit, and the target. */
export interface ProposalWork {
  readonly spec: CloneSpec;
  readonly proposal: ApplySpec;
  /** The patch, or the new text of the file. */
  readonly content: Buffer;
}

/** A temporary clone of the project's branch. */
export interface ProposalClone {
  /** For commands that contact the server. */
  readonly git: Git;
  /** For all other commands: without the user's settings, and unable to contact a server. */
  readonly local: Git;
  readonly partial: Partial;
  readonly spec: CloneSpec;
  readonly branch: string;
}

/**
 * Does work in a temporary clone of the project's branch, then removes the clone.
 * @throws MembridgeError the git_… codes, clone_stalled, clone_timeout, disk_full; the signal's reason;
 * errors of the work
 */
export async function withProposalClone<T>(
  work: ProposalWork,
  context: GitContext,
  act: (clone: ProposalClone) => Promise<T>,
): Promise<T> {
  const spec = parseSpec(work.spec);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(timeoutError(spec, context.timeoutMs)), context.timeoutMs);
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
      });
      try {
        const opened = openGit({
          path: partial.repository,
          access: asCommitter(access, work.proposal),
          spec,
          context,
          signal,
        });
        return await withinHosts(opened, spec.hosts ?? [], async (git) => {
          const local = git.with(ISOLATED_ENVIRONMENT);
          const branch = await cloneBranch(git, local, spec, partial);
          return await act({ git, local, partial, spec, branch });
        });
      } finally {
        await access.close();
      }
    } finally {
      await partial.remove();
    }
  } catch (error) {
    throw toFileError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the same access with the proposing agent as committer, and without anyone's settings. */
function asCommitter(access: Access, { agentSlug }: ApplySpec): Access {
  const name = `${agentSlug.replaceAll(/[<>\p{Cc}]/gu, '')} via Membridge`;
  const email = 'membridge@localhost';
  const names = {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  };
  const env = { ...access.env, ...names };
  const localEnv = { ...access.localEnv, ...names };
  // Otherwise a date in the agent's environment would become the date of every commit.
  for (const each of ['GIT_AUTHOR_DATE', 'GIT_COMMITTER_DATE'] as const) {
    Reflect.deleteProperty(env, each);
    Reflect.deleteProperty(localEnv, each);
  }
  return { ...access, env, localEnv, settings: [...access.settings, ...GIT_OPTIONS] };
}

/**
 * Fetches the newest commits of the branch into the temporary clone.
 * @returns the branch's name
 */
async function cloneBranch(git: Git, local: Git, spec: CloneSpec, partial: Partial): Promise<string> {
  const { branch } = spec.options;
  const named = branch === null ? [] : ['--branch', branch];
  const where = join(partial.repository, '..');
  await git
    .in(where)
    .runOverNetwork(
      [
        'clone',
        '--progress',
        '--no-checkout',
        '--no-tags',
        '--single-branch',
        '--template=',
        `--depth=${MAX_COMMITS}`,
        ...named,
        '--',
        spec.repoUrl,
        partial.repository,
      ],
      { grows: where, started: (group) => partial.started(group) },
    );
  const head = await local.look('symbolic-ref', '--quiet', '--short', 'HEAD');
  const name = head.stdout.trim();
  const found = await local.look('update-ref', BASE_REF, 'HEAD');
  if (found.code === 0 && head.code === 0) return name;
  throw new MembridgeError(
    'git_not_found',
    head.code === 0
      ? `The repository of ${spec.name} is empty: there is no branch to commit on. Push a first commit.`
      : `${branch ?? 'HEAD'} of ${spec.name} is no branch. Correct the project's branch.`,
  );
}

/** Fetches the branch again after a concurrent push. */
export async function fetchBranch({ git, spec, branch, partial }: ProposalClone): Promise<void> {
  await git.runOverNetwork(
    [
      'fetch',
      '--progress',
      '--no-tags',
      '--refmap=',
      `--depth=${MAX_COMMITS}`,
      '--',
      spec.repoUrl,
      `+refs/heads/${branch}:${BASE_REF}`,
    ],
    { grows: partial.repository, started: (group) => partial.started(group) },
  );
}

function timeoutError(spec: CloneSpec, timeoutMs: number): MembridgeError {
  return new MembridgeError(
    'clone_timeout',
    `The proposal was not committed to ${spec.name} within ${Math.round(timeoutMs / 1_000)} s; git was ended.`,
  );
}
