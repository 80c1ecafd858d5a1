/**
 * The folder beside a target in which a clone is made before it is renamed into place. Each folder names its
 * owner, so that remnants of a killed process can be distinguished from work in progress.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { z } from 'zod';
import { endGroup, startTimeOf } from './processes.ts';
import { walkFolders } from './walk-folders.ts';

/** A clone in progress. */
export interface Partial {
  /** Git's target. */
  readonly repository: string;
  /** Records git's process group, so that a sweep after a crash can end it. */
  started(group: number): void;
  remove(): Promise<void>;
}

/**
 * The owner of a partial clone. It is only read where we write it, but still validated, because it names
 * processes to end.
 */
const Owner = z.strictObject({
  pid: z.number().int().positive(),
  start: z.string().nullable(),
  /** Never 0 or 1, which would mean our own group, or every process. */
  group: z.number().int().min(2).optional(),
  groupStart: z.string().nullable().optional(),
});
type Owner = z.infer<typeof Owner>;

const PARTIAL_NAME = /^\..+\.membridge-[0-9a-f]{12}\.partial$/;

/** File names have at most 255 bytes, and ours adds some. */
const MAX_NAME_CHARS = 100;

/**
 * A partial clone without an owner that is older than this, in milliseconds, was left by a process that died
 * while creating it.
 */
const OWNERLESS_MS = 10_000;

const OWNER_FILE = 'owner.json';

/** Partial clones that this process is using. */
const partialsInUse = new Set<string>();

/** Returns whether a name is that of a partial clone's folder. */
export function isPartialName(name: string): boolean {
  return PARTIAL_NAME.test(name);
}

/** Creates the folder beside the target. */
export function makePartial(target: string): Partial {
  const name = basename(target).slice(0, MAX_NAME_CHARS);
  const folder = join(dirname(target), `.${name}.membridge-${randomBytes(6).toString('hex')}.partial`);
  const owner: Owner = { pid: process.pid, start: startTimeOf(process.pid) };
  const write = (said: Owner): void => writeFileSync(join(folder, OWNER_FILE), JSON.stringify(said));
  mkdirSync(folder, { mode: 0o700 });
  partialsInUse.add(folder);
  try {
    write(owner);
  } catch (error) {
    partialsInUse.delete(folder);
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    repository: join(folder, 'repository'),
    started: (group) => write({ ...owner, group, groupStart: startTimeOf(group) }),
    remove: async () => {
      try {
        await removeFolder(folder);
      } finally {
        partialsInUse.delete(folder);
      }
    },
  };
}

/** Removes partial clones of killed processes anywhere below the folder of repositories. */
export async function sweepPartials(reposBase: string): Promise<void> {
  for await (const folder of walkFolders(reposBase)) await sweepFolder(folder, reposBase);
}

/**
 * Removes partial clones of killed processes in this folder. Ignores everything inside a clone, which belongs
 * to the repository.
 */
export async function sweepFolder(folder: string, reposBase: string): Promise<void> {
  if (isInsideClone(folder, reposBase)) return;
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isPartialName)) {
    const left = join(folder, name);
    if (await isAbandoned(left)) await removeFolder(left);
  }
}

/**
 * Returns whether a folder is, or lies in, a clone below the folder of repositories. That folder itself may
 * lie in a clone, such as a home folder kept in git.
 */
function isInsideClone(folder: string, reposBase: string): boolean {
  const below = relative(reposBase, folder);
  if (below === '' || below.startsWith('..') || isAbsolute(below)) return false;
  return existsSync(join(folder, '.git')) || isInsideClone(dirname(folder), reposBase);
}

async function isAbandoned(folder: string): Promise<boolean> {
  let owner: Owner;
  try {
    owner = Owner.parse(JSON.parse(readFileSync(join(folder, OWNER_FILE), 'utf8')));
  } catch {
    return Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0) > OWNERLESS_MS;
  }
  if (owner.pid === process.pid && owner.start === startTimeOf(process.pid))
    return !partialsInUse.has(folder);
  if (owner.start !== null && owner.start === startTimeOf(owner.pid)) return false;
  // git may continue for a while after the process that started it was killed.
  const { group, groupStart } = owner;
  if (group !== undefined && groupStart != null && startTimeOf(group) === groupStart) await endGroup(group);
  return true;
}

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
