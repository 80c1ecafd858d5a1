import { lstatSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, sep } from 'node:path';

/** A symbolic link on the way to a path, and where it leads in the end. */
export interface Link {
  readonly path: string;
  readonly to: string;
}

/** Where a path leads, and the links on its way. */
export interface Resolved {
  readonly real: string;
  readonly links: readonly Link[];
}

/** Follows a path. @returns null when there is nothing, or it may not be looked at */
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

/** A path without links, as far as it is there. */
export function realPath(path: string): string {
  const found = follow(path);
  if (found !== null) return found.real;
  const parent = dirname(path);
  return parent === path ? path : join(realPath(parent), path.slice(parent.length));
}

/** Whether a path is the other one or lies below it. */
export function isWithin(path: string, above: string): boolean {
  return path === above || path.startsWith(above === '/' ? '/' : `${above}/`);
}

/** What lies at a path: a link counts as what it is. @returns null when there is nothing, or it may not be looked at */
export function kindOf(path: string): 'folder' | 'file' | 'link' | null {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return 'link';
    return stat.isDirectory() ? 'folder' : 'file';
  } catch {
    return null;
  }
}
