/** The entry point of this folder: clones a project, updates the clone, asks its remote. */
import { mkdir, realpath, rename, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { MembridgeError } from '../contract/errors.ts';
import { CloneSpec, type CloneResult } from '../contract/projects/projects.ts';
import { openAccess } from './access.ts';
import { findOddSettings, oddSettingsSentence } from './clone-config.ts';
import type { GitContext } from './context.ts';
import { measureFolder } from './folder-size.ts';
import { openGit, type Git } from './git.ts';
import { checkHost, refusePage, withinHosts } from './hosts.ts';
import { makePartial, sweepFolder } from './partials.ts';
import { makeAsRemote } from './make-as-remote.ts';
import { checkOrigin, fetchOrigin, isForAddress, listBranches, noteDefault } from './remote.ts';
import { readDrift, readState } from './state.ts';
import { followSubmodules } from './submodules.ts';
import { resolveTarget, type Target } from './target.ts';
import { runInTurn } from './turns.ts';
import { moveForward, missingBranchError, type Moved } from './update.ts';

/** The prepared work on one project. */
interface Work {
  readonly spec: CloneSpec;
  readonly path: string;
  readonly git: Git;
  readonly context: GitContext;
}

/**
 * Clones a project, or updates the existing clone. Only a complete clone ever appears at the target; work
 * that exists only in the clone is never changed.
 * @throws MembridgeError clone_refused, the git_… codes, clone_stalled, clone_timeout, disk_full; the
 * signal's reason
 */
export async function cloneRepository(given: CloneSpec, context: GitContext): Promise<CloneResult> {
  return await runOnTarget(given, context, async (work, target) => {
    await sweepFolder(dirname(work.path), await realpath(context.reposBase));
    const made = target.holds === 'nothing' ? await makeClone(work) : null;
    if (made !== null) {
      const { branch, commit } = await readState(work.git);
      const what =
        commit === null
          ? 'cloned; the repository is empty'
          : `cloned ${branch ?? 'no branch'} at ${commit.slice(0, 8)}`;
      return { outcome: 'cloned', detail: what + made };
    }
    return await updateClone(work);
  });
}

/**
 * Asks the remote of a project's clone for news, and changes nothing else in the clone.
 * @throws MembridgeError not_found when there is no clone; otherwise as cloneRepository
 */
export async function fetchRepository(given: CloneSpec, context: GitContext): Promise<CloneResult> {
  return await runOnTarget(given, context, async (work, target) => {
    const { git, path, spec } = work;
    if (target.holds === 'nothing') throw missingCloneError(work);
    await checkOrigin(git, path, spec.repoUrl);
    const news = await fetchOrigin(git, path, spec, fittingCredential(work));
    const { branch } = spec.options;
    if (branch !== null && news.branches.size > 0 && !news.branches.has(branch))
      throw missingBranchError(branch, spec);
    await noteDefault(git, news, (await readState(git)).branch);
    return { outcome: 'fetched', detail: 'fetched from the remote; the clone did not change' };
  });
}

/**
 * Resets a clone to its remote, and keeps what exists only in the clone on a separate branch.
 * @param given.expected the commit that was checked out when the person confirmed
 * @throws MembridgeError not_found when there is no clone; as makeAsRemote; otherwise as cloneRepository
 */
export async function resetRepository(
  { expected, ...given }: CloneSpec & { expected: string },
  context: GitContext,
): Promise<CloneResult> {
  return await runOnTarget(given, context, async (work, target) => {
    const { git, path, spec } = work;
    if (target.holds === 'nothing') throw missingCloneError(work);
    await checkOrigin(git, path, spec.repoUrl);
    const news = await fetchOrigin(git, path, spec, fittingCredential(work));
    const moved = await makeAsRemote(git, spec, { news, expected, now: new Date() });
    if (!spec.options.submodules) return moved;
    return { ...moved, detail: moved.detail + (await followSubmodules(git, limitsOf(spec))) };
  });
}

function missingCloneError({ spec, path }: Work): MembridgeError {
  return new MembridgeError(
    'not_found',
    `There is no clone of ${spec.name} at ${path} on this node. Clone it first.`,
  );
}

async function runOnTarget(
  given: CloneSpec,
  context: GitContext,
  act: (work: Work, target: Target) => Promise<Moved>,
): Promise<CloneResult> {
  const began = Date.now();
  const spec = parseSpec(given);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(timeoutError(spec, context.timeoutMs)), context.timeoutMs);
  const signal = AbortSignal.any([context.signal, late.signal]);
  try {
    const { path } = await resolveTarget(context.reposBase, spec.name, spec.targetPath);
    const onWait = (): void => context.progress({ phase: 'waiting for its turn', percent: null, bytes: 0 });
    return await runInTurn(path, signal, onWait, async () => {
      // The target may have changed during the wait.
      const target = await resolveTarget(context.reposBase, spec.name, spec.targetPath);
      if (target.holds === 'other') throw occupiedPathError(target.path);
      const access = await openAccess(spec.repoUrl, context.credential, {
        workDir: context.workDir,
      });
      try {
        const git = openGit({ path: target.path, access, spec, context, signal });
        const odd = target.holds === 'clone' ? await findOddSettings(target.path) : [];
        if (odd.length > 0) {
          // With rewritten addresses git would report a different origin.
          if (!odd.some((key) => /^url\./i.test(key))) await checkOrigin(git, target.path, spec.repoUrl);
          return await leaveAlone(git, target.path, oddSettingsSentence(target.path, odd), began);
        }
        const moved = await withinHosts(git, spec.hosts ?? [], async (allowed) => {
          return await act({ spec, path: target.path, git: allowed, context }, target);
        });
        return { ...moved, ...(await describe(git, target.path)), ms: Date.now() - began };
      } finally {
        await access.close();
      }
    });
  } catch (error) {
    throw toFileError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Describes a clone without running anything from its settings, as `git status` would. */
async function leaveAlone(git: Git, path: string, detail: string, began: number): Promise<CloneResult> {
  const [commit, branch, sizeBytes] = await Promise.all([
    git.look('rev-parse', '--verify', '--quiet', 'HEAD'),
    git.look('symbolic-ref', '--quiet', '--short', 'HEAD'),
    measureFolder(path),
  ]);
  return {
    outcome: 'kept',
    detail,
    commit: commit.code === 0 ? commit.stdout.trim() : null,
    branch: branch.code === 0 ? branch.stdout.trim() : null,
    path,
    sizeBytes,
    drift: { behind: null, ahead: null, dirty: 0 },
    ms: Date.now() - began,
  };
}

async function describe(git: Git, path: string): Promise<Omit<CloneResult, 'outcome' | 'detail' | 'ms'>> {
  const state = await readState(git);
  const [drift, sizeBytes] = await Promise.all([readDrift(git, state), measureFolder(path)]);
  return { commit: state.commit, branch: state.branch, path, sizeBytes, drift };
}

/**
 * Clones beside the target, then renames into place.
 * @returns what to add to the detail; null when something else appeared at the target
 */
async function makeClone(work: Work): Promise<string | null> {
  const { path } = work;
  const parent = dirname(path);
  const firstMade = await mkdir(parent, { recursive: true });
  try {
    const partial = makePartial(path);
    try {
      await cloneInto(work, partial.repository, (group) => partial.started(group));
      const { spec, git } = work;
      const inside = git.in(partial.repository);
      const notes = spec.options.submodules ? await followSubmodules(inside, limitsOf(spec)) : '';
      await rename(partial.repository, path);
      return notes;
    } finally {
      await partial.remove();
    }
  } catch (error) {
    if (isTaken(error)) return null;
    await removeMade(parent, firstMade);
    throw error;
  }
}

async function cloneInto(work: Work, repository: string, started: (group: number) => void): Promise<void> {
  const { spec, git } = work;
  const { branch, depth } = spec.options;
  const clone = async (named: string | null): Promise<void> => {
    const args = [
      'clone',
      '--progress',
      '--origin',
      'origin',
      ...(named === null ? [] : ['--branch', named]),
      ...(depth === null ? [] : ['--depth', String(depth)]),
    ];
    const parent = dirname(repository);
    await git
      .in(parent)
      .runOverNetwork([...args, '--', spec.repoUrl, repository], { grows: parent, started });
  };
  try {
    await clone(branch);
    const head = await git.in(repository).look('rev-parse', '--verify', '--quiet', 'HEAD');
    if (head.code !== 0) await refusePage(git.in(dirname(repository)), spec.repoUrl);
  } catch (error) {
    const noBranch = branch !== null && error instanceof MembridgeError && error.code === 'git_not_found';
    // git cannot clone a branch of an empty repository; the branch exists once someone pushes it.
    if (!noBranch || (await listBranches(git, spec.repoUrl, dirname(repository))).length > 0) throw error;
    await clone(null);
    await git.in(repository).ask('symbolic-ref', 'HEAD', `refs/heads/${branch}`);
  }
}

async function updateClone(work: Work): Promise<Moved> {
  const { git, path, spec } = work;
  await checkOrigin(git, path, spec.repoUrl);
  const news = await fetchOrigin(git, path, spec, fittingCredential(work));
  const moved = await moveForward(git, path, spec, news);
  if (!spec.options.submodules || moved.outcome === 'kept') return moved;
  return { ...moved, detail: moved.detail + (await followSubmodules(git, limitsOf(spec))) };
}

const limitsOf = ({ hosts = [], repoUrl }: CloneSpec): { checkAddress(address: string): void } => ({
  checkAddress: (address) => checkHost(address, hosts, `A submodule of ${repoUrl} comes from`),
});

function fittingCredential({ context, spec }: Work): GitContext['credential']['credential'] {
  const { credential } = context.credential;
  return isForAddress(credential, spec.repoUrl) ? credential : null;
}

/**
 * Validates a spec.
 * @throws MembridgeError bad_request naming the fields
 */
export function parseSpec(given: CloneSpec): CloneSpec {
  const parsed = CloneSpec.safeParse(given);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => ({
    field: issue.path.join('.'),
    problem: issue.message,
  }));
  const text = fields.map(({ field, problem }) => `${field}: ${problem}`).join('; ');
  throw new MembridgeError('bad_request', text, { fields });
}

function timeoutError(spec: CloneSpec, timeoutMs: number): MembridgeError {
  return new MembridgeError(
    'clone_timeout',
    `git did not finish with ${spec.name} within ${Math.round(timeoutMs / 1_000)} s and was ended.`,
  );
}

function occupiedPathError(path: string): MembridgeError {
  return new MembridgeError(
    'clone_refused',
    `${path} exists and is not a git clone. Move it away, or give the project another target path.`,
  );
}

const isTaken = (error: unknown): boolean =>
  ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(String((error as NodeJS.ErrnoException).code));

/** Removes the folders that were created for a failed clone, as long as they are empty. */
async function removeMade(folder: string, firstMade: string | undefined): Promise<void> {
  if (firstMade === undefined) return;
  try {
    for (let here = folder; here.startsWith(firstMade); here = dirname(here)) await rmdir(here);
  } catch {
    // Another program's files are in the folder now.
  }
}

/** Converts an error of the file system to a MembridgeError. */
export function toFileError(error: unknown): unknown {
  if (error instanceof MembridgeError || error instanceof z.ZodError || !(error instanceof Error))
    return error;
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new MembridgeError('disk_full', `The disk of this node is full. Make room and try again.`, {
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const where = path ?? 'the folder of repositories';
    return new MembridgeError('clone_refused', `The agent's user may not write at ${where}: ${code}.`, {
      cause: error,
    });
  }
  return error;
}
