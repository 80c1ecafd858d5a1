import { accessSync, constants, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Shown } from './arguments.ts';
import { follow, isWithin } from './paths.ts';

/** Folders in which systems keep programs and their settings, if they exist. */
const SYSTEM_FOLDERS: readonly string[] = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/etc',
  '/nix/store',
  '/gnu/store',
  '/snap',
  '/var/lib/ca-certificates',
];

/** Settings of the system that may be links to places outside of these folders. */
const LINKED_SETTINGS: readonly string[] = [
  '/etc/resolv.conf',
  '/etc/hosts',
  '/etc/nsswitch.conf',
  '/etc/localtime',
];

/** Empty folders that every program may expect. */
const SCRATCH_FOLDERS: readonly string[] = ['/tmp', '/var/tmp', '/run'];

/**
 * How long the list of private files in /etc is cached, in milliseconds: finding them takes as long as
 * starting a sandbox.
 */
const CACHE_MS = 30_000;

let secrets: { readonly at: number; readonly found: readonly Shown[] } | null = null;

/** Returns what every sandbox shows: programs of the system, read-only, and empty folders. */
export function systemView(): Shown[] {
  const folders = SYSTEM_FOLDERS.flatMap((path): Shown[] => {
    const found = follow(path);
    if (found === null) return [];
    if (found.real === path) return [{ path, as: 'read' }];
    const [link] = found.links;
    return link?.path === path ? [{ path, as: 'link', to: found.real }] : [];
  });
  const settings = LINKED_SETTINGS.flatMap((path): Shown[] => {
    const found = follow(path);
    return found === null || SYSTEM_FOLDERS.some((folder) => isWithin(found.real, folder))
      ? []
      : [{ path: found.real, as: 'read' }];
  });
  const scratch = SCRATCH_FOLDERS.map((path): Shown => ({ path, as: 'scratch' }));
  return [...folders, ...scratch, ...settings];
}

/**
 * Returns files in /etc that not everybody may read but this process can, because it runs as root or in a
 * group. Cached for a while.
 */
export function systemSecrets(): readonly Shown[] {
  const now = performance.now();
  if (secrets === null || now - secrets.at >= CACHE_MS) secrets = { at: now, found: listClosedBelow('/etc') };
  return secrets.found;
}

/** Permission of others: read a file, list and enter a folder. */
const OTHERS_READ = 0o004;
const OTHERS_READ_AND_ENTER = 0o005;

function listClosedBelow(folder: string): Shown[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    // It has disappeared, or this process cannot read it either.
    return [];
  }
  return names.flatMap((name): Shown[] => {
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isSymbolicLink()) return [];
    if (stat.isDirectory()) {
      const isOpen = (stat.mode & OTHERS_READ_AND_ENTER) === OTHERS_READ_AND_ENTER;
      if (isOpen) return listClosedBelow(path);
      return isReadable(path) ? [{ path, as: 'hidden-folder' }] : [];
    }
    return (stat.mode & OTHERS_READ) === OTHERS_READ || !isReadable(path)
      ? []
      : [{ path, as: 'hidden-file' }];
  });
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
