import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { follow, isWithin } from './paths.ts';

/** Folders that hold far more than a program: of one that lies right in there, only the file is shown. */
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

/** Bytes of a script's first line that are looked at, as the kernel does. */
const FIRST_LINE = 256;

/** Whether a folder holds far more than one program or one program's data, such as anybody's home folder. */
export function isSharedFolder(folder: string, home: string): boolean {
  return SHARED_FOLDERS.includes(folder) || /^\/home\/[^/]+$/.test(folder) || isWithin(home, folder);
}

/** Finds a program as the system would. @returns its full path, or null when there is none */
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
 * Everything that a program needs to be seen in order to start: its folder, what it is a link to, its package, the program that
 * interprets it, files that its arguments name, and the folders in which it finds other programs.
 * @param args the program's own, as in MEMBRIDGE_RUNNER
 * @param path the variable PATH that it gets
 * @param home the home folder, which is never shown for the sake of a program in it
 * @returns paths of folders and files that are there; some may be links
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
    // Where npm puts what the links in that folder lead to.
    const modules = join(dirname(folder), 'lib', 'node_modules');
    if (existsSync(modules)) paths.add(modules);
  }
  return [...paths];
}

/** What a file of an npm package needs of its surroundings: the package's description, and other packages. */
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

/** The program that a script names in its first line; null for what is none. */
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
