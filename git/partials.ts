/**
 * The folder beside its target in which a clone is made, before it is renamed into place. What a killed process leaves there
 * can be told from what a living one is at: each says whose it is.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
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

interface Owner {
  readonly pid: number;
  readonly start: string | null;
  readonly group?: number;
  readonly groupStart?: string | null;
}

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
  for await (const folder of foldersBelow(reposBase)) await sweepFolder(folder);
}

/** Removes what killed processes left of clones in this folder. */
export async function sweepFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isPartialName)) {
    const left = join(folder, name);
    if (await isAbandoned(left)) await removeFolder(left);
  }
}

async function isAbandoned(folder: string): Promise<boolean> {
  let owner: Owner;
  try {
    owner = JSON.parse(readFileSync(join(folder, OWNER), 'utf8')) as Owner;
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
