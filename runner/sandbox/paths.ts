import { lstatSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, sep } from 'node:path';

/** A symbolic link on a path, and its final target. */
export interface Link {
  readonly path: string;
  readonly to: string;
}

/** The target of a path, and the links on the way. */
export interface Resolved {
  readonly real: string;
  readonly links: readonly Link[];
}

/**
 * Resolves a path.
 * @returns null when nothing exists, or access is denied
 */
export function follow(path: string): Resolved | null {
  if (!isAbsolute(path)) return null;
  const links: Link[] = [];
  let at = '/';
  try {
    for (const name of path.split(sep).filter((part) => part !== '')) {
      const next = join(at, name);
      const isLink = lstatSync(next).isSymbolicLink();
      at = isLink ? realpathSync(next) : next;
      if (isLink) links.push({ path: next, to: at });
    }
    return { real: at, links };
  } catch {
    return null;
  }
}

/** Returns a path without links, as far as it exists. */
export function realPath(path: string): string {
  const found = follow(path);
  if (found !== null) return found.real;
  const parent = dirname(path);
  return parent === path ? path : join(realPath(parent), path.slice(parent.length));
}

/** Returns whether a path equals another one or is below it. */
export function isWithin(path: string, above: string): boolean {
  return path === above || path.startsWith(above === '/' ? '/' : `${above}/`);
}

/**
 * Returns what exists at a path; a link counts as a link.
 * @returns null when nothing exists, or access is denied
 */
export function kindOf(path: string): 'folder' | 'file' | 'link' | null {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return 'link';
    return stat.isDirectory() ? 'folder' : 'file';
  } catch {
    return null;
  }
}
