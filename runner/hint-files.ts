import { constants } from 'node:fs';
import { glob, lstat, open, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import type { Piece, Resolved } from './hint.ts';

/** Maximum number of files per hint. */
const MAX_FILES = 200;
/** Maximum number of patterns that the braces of a hint may expand to. */
const MAX_ALTERNATIVES = 256;

/** Time limit for finding the files of one hint, in milliseconds. */
const SEARCH_MS = 10_000;

/** A file with a NUL within this many bytes is not text. */
const SNIFFED_BYTES = 8_000;

/** Maximum number of UTF-8 bytes per UTF-16 unit. */
const BYTES_PER_UNIT = 3;

/** git's own files contain secrets; the other folder contains code of third parties. */
const IGNORED_NAMES = new Set(['.git', 'node_modules']);

/**
 * Reads the files that a path or glob names.
 * @param room remaining number of characters
 * @returns pieces in the order of their paths; a note for a file that leads out of the folder, or is not text
 */
export function readHintedFiles(
  cwd: string,
  hint: string,
  room: () => number,
  signal: AbortSignal,
): Resolved {
  const notes: string[] = [];
  return { notes, pieces: readFiles(cwd, hint, room, signal, notes) };
}

async function* readFiles(
  cwd: string,
  hint: string,
  room: () => number,
  signal: AbortSignal,
  notes: string[],
): AsyncGenerator<Piece> {
  const base = await realpath(cwd);
  const single = await statOf(resolve(base, hint));
  if (single !== null || !/[*?[\]{}()!]/.test(hint)) {
    const piece = await readInside(base, resolve(base, hint), room());
    if (typeof piece === 'string') notes.push(piece);
    else yield piece;
    return;
  }
  if (isAbsolute(hint)) {
    notes.push(OUTSIDE_REASON);
    return;
  }
  const paths = await find(base, hint, signal, notes);
  if (paths.length === 0 && notes.length === 0) notes.push('no such file.');
  let isOutside = false;
  for (const path of paths) {
    const piece = await readInside(base, resolve(base, path), room());
    if (typeof piece !== 'string') yield piece;
    else if (piece === OUTSIDE_REASON) isOutside = true;
    else if (piece !== FOLDER_REASON) notes.push(`${path} ${piece}`);
  }
  // Reported once and without names, because the reader must not learn names of files outside.
  if (isOutside) notes.push(`in part ${OUTSIDE_REASON}`);
}

/** Returns the paths that match a glob, in order, relative to the base. */
async function find(base: string, pattern: string, signal: AbortSignal, notes: string[]): Promise<string[]> {
  if (countAlternatives(pattern) > MAX_ALTERNATIVES) {
    notes.push(`has more than ${MAX_ALTERNATIVES} alternatives in its braces, or braces within braces.`);
    return [];
  }
  const until = AbortSignal.any([signal, AbortSignal.timeout(SEARCH_MS)]);
  const exclude = (entry: unknown): boolean => {
    const name = typeof entry === 'string' ? entry : String((entry as { name?: unknown }).name);
    // Node.js calls this for every entry; no other place can stop a search without matches.
    return until.aborted || name.split(sep).some((part) => IGNORED_NAMES.has(part.toLowerCase()));
  };
  const found: string[] = [];
  for await (const path of glob(pattern, { cwd: base, exclude })) {
    if (path.split(sep).some((part) => IGNORED_NAMES.has(part.toLowerCase()))) continue;
    found.push(path);
    if (found.length <= MAX_FILES) continue;
    found.pop();
    notes.push(`matches more than ${MAX_FILES} files; the others were left out.`);
    break;
  }
  signal.throwIfAborted();
  if (until.aborted) notes.push(`took too long: the search stopped after ${SEARCH_MS / 1_000} s.`);
  return found.sort();
}

/**
 * Returns an upper bound for the patterns that braces expand to: the expansion cannot be interrupted. Nested
 * braces and ranges count as too many.
 */
function countAlternatives(pattern: string): number {
  let all = 1;
  for (const [, inside = ''] of pattern.matchAll(/\{([^{}]*)\}/g)) {
    all *= inside.includes('..') ? Number.POSITIVE_INFINITY : inside.split(',').length;
  }
  const left = pattern.replaceAll(/\{[^{}]*\}/g, '');
  return /[{}]/.test(left) ? Number.POSITIVE_INFINITY : all;
}

const OUTSIDE_REASON = 'is not inside the working directory.';
const FOLDER_REASON = 'is a folder; name files in it, such as folder/**/*.md.';

/**
 * Reads a text file if its links stay inside the base.
 * @returns the reason when it is not read
 */
async function readInside(base: string, path: string, room: number): Promise<Piece | string> {
  const real = await realpath(path).catch(() => null);
  // Checked first, because even the existence of a file outside must not show.
  const inside = relative(base, real ?? (await realpathOfParent(path)));
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) return OUTSIDE_REASON;
  if (real === null) return (await isLink(path)) ? 'is a link that leads nowhere.' : 'no such file.';
  if (inside.split(sep).some((part) => IGNORED_NAMES.has(part.toLowerCase()))) {
    return 'is inside a folder whose files are not shown.';
  }
  const kind = await stat(real);
  if (kind.isDirectory()) return FOLDER_REASON;
  if (!kind.isFile()) return 'is no file.';
  // If a link or a pipe has replaced the file since, it is neither followed nor waited for.
  const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    // One byte more than fits, to detect that there is more.
    const bytes = Buffer.alloc(Math.min(kind.size, Math.max(room, 0) * BYTES_PER_UNIT + SNIFFED_BYTES));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    const read = bytes.subarray(0, bytesRead);
    if (read.subarray(0, SNIFFED_BYTES).includes(0)) return 'is no text.';
    return { source: relative(base, path), text: read.toString('utf8') };
  } finally {
    await file.close();
  }
}

/** Returns the real path of the nearest existing folder above a path. */
async function realpathOfParent(path: string): Promise<string> {
  const parent = dirname(path);
  if (parent === path) return path;
  return await realpath(parent).catch(() => realpathOfParent(parent));
}

async function isLink(path: string): Promise<boolean> {
  return await lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}

async function statOf(path: string): Promise<object | null> {
  return await stat(path).catch(() => null);
}
