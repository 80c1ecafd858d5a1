import { lstat, mkdir, readdir, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import { isPartialName } from './partials.ts';

/**
 * The location of an existing or future clone: links resolved, strictly inside the folder of repositories.
 */
export interface Target {
  readonly path: string;
  /** Nothing (or an empty folder), a folder with a `.git`, or something else. */
  readonly holds: 'nothing' | 'clone' | 'other';
}

/**
 * Returns a project's clone location.
 * @param targetPath relative to the base, below `~/`, or absolute; null for the project's name
 * @throws MembridgeError clone_refused when that is not inside the folder of repositories, after resolving
 * all links
 */
export async function resolveTarget(
  reposBase: string,
  name: string,
  targetPath: string | null,
): Promise<Target> {
  const base = await realBase(reposBase);
  const wanted = targetPath ?? name;
  const full = wanted.startsWith('~/') ? join(homedir(), wanted.slice(2)) : resolve(reposBase, wanted);
  const path = await realPathOf(full, wanted);
  const inside = relative(base, path);
  if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw refusedTarget(
      `"${wanted}" is ${inside === '' ? 'the folder of repositories itself' : `not inside the folder of repositories of this node, ${reposBase}`}. ` +
        `Give a target path inside of it, or set MEMBRIDGE_REPOS_BASE on the node.`,
    );
  }
  if (inside.split(sep).some((part) => part === '.git' || isPartialName(part))) {
    throw refusedTarget(
      `"${wanted}" is inside a folder that belongs to git or to Membridge. Give another target path.`,
    );
  }
  return { path, holds: await inspectTarget(path) };
}

async function realBase(reposBase: string): Promise<string> {
  await mkdir(reposBase, { recursive: true });
  return await realpath(reposBase);
}

/** Resolves the deepest existing part of a path, and appends the rest. */
async function realPathOf(full: string, wanted: string): Promise<string> {
  try {
    return await realpath(full);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR' || code === 'ELOOP')
      throw refusedTarget(`"${wanted}" leads through something that is no folder.`);
    if (code !== 'ENOENT') throw error;
  }
  // A dangling link exists, and its target may be outside.
  if ((await lstat(full).catch(() => null)) !== null)
    throw refusedTarget(`"${wanted}" is a link that leads nowhere.`);
  const parent = dirname(full);
  return parent === full ? full : join(await realPathOf(parent, wanted), basename(full));
}

async function inspectTarget(path: string): Promise<Target['holds']> {
  try {
    const names = await readdir(path);
    if (names.length === 0) return 'nothing';
    return names.includes('.git') ? 'clone' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'nothing';
    if (code === 'ENOTDIR') return 'other';
    throw error;
  }
}

const refusedTarget = (sentence: string): MembridgeError => new MembridgeError('clone_refused', sentence);
