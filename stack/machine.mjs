/**
 * Facts about this machine: programs on PATH, its package manager, the cache folder, the Node to use. Plain
 * JavaScript on node: modules only, because the bootstrap runs it before anything is installed.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/**
 * Finds programs by name on PATH.
 * @param {string} name the program's name
 * @param {string} [path] a PATH to search instead of this process's own
 * @returns {string[]} full paths in PATH order; `node_modules/.bin` is left out, it holds npm packages of the same name
 */
export function findOnPath(name, path = process.env.PATH ?? '') {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '' && !/node_modules[/\\]\.bin[/\\]?$/.test(folder))
    .map((folder) => join(folder, name))
    .filter(isExecutableFile);
}

function isExecutableFile(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** @returns {string} the folder for what is fetched or built once a machine: `${XDG_CACHE_HOME:-~/.cache}/membridge` */
export function cacheDir() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'membridge');
}

/** The install command of each package manager, and its names for packages that differ from ours. */
const managers = [
  { program: 'apt-get', command: 'apt-get install -y', names: { go: 'golang-go', node: 'nodejs' } },
  { program: 'dnf', command: 'dnf install -y', names: { go: 'golang', node: 'nodejs' } },
  { program: 'apk', command: 'apk add', names: { node: 'nodejs' } },
  { program: 'pacman', command: 'pacman -S --noconfirm', names: { node: 'nodejs' } },
  { program: 'brew', command: 'brew install', names: {} },
];

/**
 * Returns how to install packages here.
 * @param {string[]} packages our names: git, bash, npm, go, node, chromium
 * @returns {string} one command for this machine's package manager, or a plain sentence when none is known
 */
export function installHint(packages) {
  const manager = managers.find(({ program }) => findOnPath(program).length > 0);
  if (!manager) return `install ${packages.join(', ')} with this system's package manager`;
  const sudo = manager.program !== 'brew' && process.getuid?.() !== 0 ? 'sudo ' : '';
  return `${sudo}${manager.command} ${packages.map((name) => manager.names[name] ?? name).join(' ')}`;
}

/**
 * @param {string} version such as `22.18.0`
 * @returns {boolean} whether that Node runs .ts files without a flag and has all the dependencies need (22.18, 23.6 or later)
 */
export function nodeIsNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major >= 24 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
}

/**
 * @param {number} since a `Date.now()` value
 * @returns {string} the time since then for a progress line, such as `1m 05s` or `3.2s`
 */
export function elapsed(since) {
  const seconds = (Date.now() - since) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  return `${Math.floor(seconds / 60)}m ${String(Math.floor(seconds % 60)).padStart(2, '0')}s`;
}
