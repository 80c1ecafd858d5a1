import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { follow, isWithin } from './paths.ts';

/** Folders that contain far more than one program: for a program directly inside, only its file is shown. */
const SHARED_FOLDERS: readonly string[] = [
  '/',
  '/root',
  '/home',
  '/tmp',
  '/var',
  '/var/tmp',
  '/run',
  '/srv',
  '/opt',
  '/mnt',
];

/** Number of bytes of a script's first line that are read, as in the kernel. */
const FIRST_LINE = 256;

/** Returns whether a folder contains far more than one program or its data, such as a home folder. */
export function isSharedFolder(folder: string, home: string): boolean {
  return SHARED_FOLDERS.includes(folder) || /^\/home\/[^/]+$/.test(folder) || isWithin(home, folder);
}

/**
 * Finds a program as the system would.
 * @returns its full path, or null when there is none
 */
export function locateProgram(program: string, path: string): string | null {
  if (program.includes('/')) return isExecutable(program) ? program : null;
  const files = path.split(delimiter).map((folder) => join(folder === '' ? '.' : folder, program));
  return files.find((file) => isExecutable(file)) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Returns everything that a program must see in order to start. This is its folder, link target, package and
 * interpreter, files named in its arguments, and the folders in which it finds other programs.
 * @param args the program's own, as in MEMBRIDGE_RUNNER
 * @param path the variable PATH that it receives
 * @param home the home folder, which is never shown because of a program in it
 * @returns existing folders and files; some may be links
 */
export function programPaths(
  program: string,
  args: readonly string[],
  { path, home }: { path: string; home: string },
): string[] {
  const isShared = (folder: string): boolean => isSharedFolder(folder, home);
  const paths = new Set<string>();
  const add = (folder: string, file: string): void => void paths.add(isShared(folder) ? file : folder);
  const addFile = (file: string, depth = 0): void => {
    const found = follow(file);
    if (found === null) return;
    for (const step of [file, ...found.links.map((link) => link.path), found.real]) {
      if (existsSync(step) && !statSync(step).isDirectory()) add(dirname(step), step);
    }
    for (const part of packageOf(found.real, isShared)) paths.add(part);
    const interpreter = depth < 4 ? interpreterOf(found.real, path) : null;
    if (interpreter !== null) addFile(interpreter, depth + 1);
  };
  const located = locateProgram(program, path);
  if (located !== null) addFile(located);
  for (const arg of args) {
    if (isAbsolute(arg) && statSync(arg, { throwIfNoEntry: false })?.isFile() === true) addFile(arg);
  }
  for (const folder of path.split(delimiter).filter((each) => isAbsolute(each) && existsSync(each))) {
    if (isShared(folder)) continue;
    paths.add(folder);
    // Where npm installs the targets of the links in that folder.
    const modules = join(dirname(folder), 'lib', 'node_modules');
    if (existsSync(modules)) paths.add(modules);
  }
  return [...paths];
}

/** Returns what a file of an npm package needs around it: the package's description, and other packages. */
function packageOf(file: string, isShared: (folder: string) => boolean): string[] {
  const parts: string[] = [];
  const outermost = /^(.*?\/node_modules)\//.exec(file)?.[1];
  if (outermost !== undefined) parts.push(outermost);
  for (let folder = dirname(file); !isShared(folder); folder = dirname(folder)) {
    const description = join(folder, 'package.json');
    if (existsSync(description)) {
      const modules = join(folder, 'node_modules');
      return [...parts, description, ...(existsSync(modules) ? [modules] : [])];
    }
  }
  return parts;
}

/** Returns the interpreter that a script names in its first line; null for anything else. */
function interpreterOf(file: string, path: string): string | null {
  const head = Buffer.alloc(FIRST_LINE);
  try {
    const handle = openSync(file, 'r');
    try {
      readSync(handle, head);
    } finally {
      closeSync(handle);
    }
  } catch {
    return null;
  }
  const [, interpreter, rest = ''] = /^#!\s*(\S+)[ \t]*([^\n\0]*)/.exec(head.toString('latin1')) ?? [];
  if (interpreter === undefined) return null;
  if (!interpreter.endsWith('/env')) return interpreter;
  const name = rest.split(/\s+/).find((word) => word !== '' && !word.startsWith('-') && !word.includes('='));
  return name === undefined ? null : locateProgram(name, path);
}
