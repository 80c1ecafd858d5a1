/**
 * The folder beside its target in which a clone is made, before it is renamed into place. What a killed process leaves there
 * can be told from what a living one is at: each says whose it is.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { z } from 'zod';
import { endGroup, startOf } from './processes.ts';
import { foldersBelow } from './walk.ts';

/** A clone that is being made. */
export interface Partial {
  /** Where git puts it. */
  readonly repository: string;
  /** Notes git's process group, so that a sweep after a crash can end it. */
  started(group: number): void;
  remove(): Promise<void>;
}

/** What a partial says of whose it is. It is only read where we write it, and checked all the same: it names what is ended. */
const Owner = z.strictObject({
  pid: z.number().int().positive(),
  start: z.string().nullable(),
  /** Never 0 or 1, which would stand for our own group, and for every process that there is. */
  group: z.number().int().min(2).optional(),
  groupStart: z.string().nullable().optional(),
});
type Owner = z.infer<typeof Owner>;

const NAME = /^\..+\.membridge-[0-9a-f]{12}\.partial$/;

/** Names of files have at most 255 bytes; ours adds some. */
const LONGEST_NAME = 100;

/** A partial without an owner that is older than this, in milliseconds, was left by a process that died while making it. */
const OWNERLESS_MS = 10_000;

const OWNER = 'owner.json';

/** Those of this process that are in use. */
const inUse = new Set<string>();

/** Whether a name is that of a folder in which a clone is made. */
export function isPartialName(name: string): boolean {
  return NAME.test(name);
}

/** Makes the folder beside the target. */
export function makePartial(target: string): Partial {
  const name = basename(target).slice(0, LONGEST_NAME);
  const folder = join(dirname(target), `.${name}.membridge-${randomBytes(6).toString('hex')}.partial`);
  const owner: Owner = { pid: process.pid, start: startOf(process.pid) };
  const write = (said: Owner): void => writeFileSync(join(folder, OWNER), JSON.stringify(said));
  mkdirSync(folder, { mode: 0o700 });
  inUse.add(folder);
  try {
    write(owner);
  } catch (error) {
    inUse.delete(folder);
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    repository: join(folder, 'repository'),
    started: (group) => write({ ...owner, group, groupStart: startOf(group) }),
    remove: async () => {
      try {
        await removeFolder(folder);
      } finally {
        inUse.delete(folder);
      }
    },
  };
}

/** Removes what killed processes left of clones anywhere below the folder of repositories. */
export async function sweepPartials(reposBase: string): Promise<void> {
  for await (const folder of foldersBelow(reposBase)) await sweepFolder(folder, reposBase);
}

/** Removes what killed processes left of clones in this folder. What is inside of a clone is a repository's, never ours. */
export async function sweepFolder(folder: string, reposBase: string): Promise<void> {
  if (isInsideClone(folder, reposBase)) return;
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isPartialName)) {
    const left = join(folder, name);
    if (await isAbandoned(left)) await removeFolder(left);
  }
}

/** Whether a folder is, or lies in, a clone below the folder of repositories. That folder may itself lie in one: a home kept in git. */
function isInsideClone(folder: string, reposBase: string): boolean {
  const below = relative(reposBase, folder);
  if (below === '' || below.startsWith('..') || isAbsolute(below)) return false;
  return existsSync(join(folder, '.git')) || isInsideClone(dirname(folder), reposBase);
}

async function isAbandoned(folder: string): Promise<boolean> {
  let owner: Owner;
  try {
    owner = Owner.parse(JSON.parse(readFileSync(join(folder, OWNER), 'utf8')));
  } catch {
    return Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0) > OWNERLESS_MS;
  }
  if (owner.pid === process.pid && owner.start === startOf(process.pid)) return !inUse.has(folder);
  if (owner.start !== null && owner.start === startOf(owner.pid)) return false;
  // git may go on for a while after the process that started it was killed.
  const { group, groupStart } = owner;
  if (group !== undefined && groupStart != null && startOf(group) === groupStart) await endGroup(group);
  return true;
}

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
