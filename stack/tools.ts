/** Finds the programs that npm does not install: Temporal, MinIO, a browser and an ssh server. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { buildTool, type Source } from './build-tool.ts';
import { cacheDir, findOnPath, installHint } from './machine.mjs';

export type ToolName = 'temporal' | 'temporal-server' | 'minio';

interface Tool extends Source {
  /** The folder in the cache; named by version, so that another version is another build. */
  folder: string;
  /** Returns why this program cannot serve, from its answer to --version; undefined when it can. */
  objection(version: string): string | undefined;
}

const tools: Record<ToolName, Tool> = {
  temporal: {
    name: 'temporal',
    module: 'github.com/temporalio/cli/cmd/temporal@v1.5.1',
    folder: 'temporal-1.5.1',
    setting: 'TEMPORAL_ADDRESS',
    home: 'https://docs.temporal.io/cli',
    objection: (version) => {
      const server = /^temporal version .*\(Server (\d+)\.(\d+)\.(\d+)/.exec(version);
      if (!server) return 'is not the Temporal CLI';
      const [major = 0, minor = 0, patch = 0] = server.slice(1).map(Number);
      // The oldest server that supports everything our workflows use.
      const isNewEnough = major > 1 || (major === 1 && (minor > 29 || (minor === 29 && patch >= 1)));
      return isNewEnough ? undefined : `brings server ${major}.${minor}.${patch}; 1.29.1 or later is needed`;
    },
  },
  // The server of docker-compose.yml, up to the patch version: Go 1.26.8 builds this one. Also the program that makes
  // its tables.
  'temporal-server': {
    name: 'temporal-server',
    module: 'go.temporal.io/server/cmd/server@v1.32.0',
    besides: ['go.temporal.io/server/cmd/tools/sql@v1.32.0'],
    folder: 'temporal-server-1.32.0',
    setting: 'TEMPORAL_ADDRESS',
    home: 'https://docs.temporal.io/self-hosted-guide',
    // A server on PATH has that program in another place: only the pair built together is known to fit.
    objection: () => 'is not used: the server and the program that makes its tables are built as a pair',
  },
  minio: {
    name: 'minio',
    module: 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c',
    folder: 'minio-20260212',
    setting: 'MINIO_ENDPOINT',
    home: 'https://github.com/minio/minio',
    objection: (version) => {
      if (!version.startsWith('minio version ')) return 'is not the MinIO server';
      // A program built from source says DEVELOPMENT instead.
      const year = /RELEASE\.(\d{4})/.exec(version)?.[1];
      return year !== undefined && Number(year) < 2024 ? `is of ${year}; 2024 or later is needed` : undefined;
    },
  },
};

/**
 * Finds a server program: on PATH when it is the right one and new enough, otherwise in the cache, otherwise built
 * from source.
 * @param path where to look for it, Go and Docker: PATH, and where Go's own installer puts Go
 * @returns the program's full path
 * @throws when it is missing and cannot be built here, saying what would help
 */
export async function findTool(
  name: ToolName,
  log: (line: string) => void,
  path = `${process.env.PATH ?? ''}:/usr/local/go/bin`,
): Promise<string> {
  const tool = tools[name];
  for (const file of findOnPath(name, path)) {
    const objection = tool.objection(await versionOf(file));
    if (objection === undefined) return file;
    log(`${file} ${objection}: ignored`);
  }
  const cached = join(cacheDir(), tool.folder, name);
  if (!existsSync(cached)) await buildTool(tool, cached, path, log);
  return cached;
}

/**
 * Finds a Chromium, for tests and recordings: CHROMIUM_PATH, PATH, Playwright's own; otherwise installs one.
 * @returns the program's full path
 * @throws when none is found and none can be installed
 */
export async function findChromium(log: (line: string) => void): Promise<string> {
  const chosen = process.env.CHROMIUM_PATH;
  if (chosen) {
    if (await isChromium(chosen)) return chosen;
    throw new Error(`CHROMIUM_PATH is ${chosen}, which does not answer to --version as a Chromium does.`);
  }
  const installed = await firstChromium();
  if (installed !== undefined) return installed;
  if (hasAptGet()) {
    log('installing chromium with apt-get ...');
    installWithAptGet('chromium');
    const found = await firstChromium();
    if (found !== undefined) return found;
  }
  log('installing chromium with playwright-core ...');
  const playwright = dirname(createRequire(import.meta.url).resolve('playwright-core/package.json'));
  tryToRun(process.execPath, [join(playwright, 'cli.js'), 'install', 'chromium']);
  const found = await firstChromium();
  if (found !== undefined) return found;
  throw new Error(
    `No Chromium was found or could be installed. Run ${installHint(['chromium'])}, or set CHROMIUM_PATH to a Chromium or Chrome.`,
  );
}

async function firstChromium(): Promise<string | undefined> {
  const { chromium } = await import('playwright-core');
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  for (const file of [...names.flatMap((name) => findOnPath(name)), chromium.executablePath()]) {
    // Ubuntu's chromium-browser may be a stub that only asks for a snap.
    if (existsSync(file) && (await isChromium(file))) return file;
  }
  return undefined;
}

async function isChromium(file: string): Promise<boolean> {
  return /chrom(e|ium)/i.test(await versionOf(file));
}

/** A program of a Debian package. */
interface DebianProgram {
  /** Its file. */
  readonly name: string;
  /** The package that has it. */
  readonly package: string;
  /** Its description, for the message that it is missing. */
  readonly what: string;
}

/** Programs that only tests use. */
export const debianPrograms = {
  sshd: { name: 'sshd', package: 'openssh-server', what: 'ssh server' },
  bubblewrap: { name: 'bwrap', package: 'bubblewrap', what: 'bubblewrap' },
  openssl: { name: 'openssl', package: 'openssl', what: 'OpenSSL' },
  nginx: { name: 'nginx', package: 'nginx', what: 'nginx' },
  caddy: { name: 'caddy', package: 'caddy', what: 'Caddy' },
  pgbouncer: { name: 'pgbouncer', package: 'pgbouncer', what: 'PgBouncer' },
  python: { name: 'python3', package: 'python3', what: 'Python' },
} as const satisfies Record<string, DebianProgram>;

/**
 * Finds a program from a Debian package, for tests, which start it on their own port. Otherwise installs it, without
 * starting its service.
 * @returns the program's full path, because sshd must be called by it
 * @throws when it is missing and cannot be installed
 */
export function findDebianProgram(name: keyof typeof debianPrograms, log: (line: string) => void): string {
  const program: DebianProgram = debianPrograms[name];
  const find = (): string | undefined =>
    findOnPath(program.name, `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin:/sbin`)[0];
  const installed = find();
  if (installed !== undefined) return installed;
  if (hasAptGet()) {
    log(`installing ${program.package} with apt-get ...`);
    installWithoutStarting(program.package);
  }
  const found = find();
  if (found !== undefined) return found;
  throw new Error(
    `No ${program.what} (${program.name}) was found or could be installed. Run ${installHint([program.package])}.`,
  );
}

/** The script that Debian runs before it starts a new package's service; 101 forbids the start. */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';

function installWithoutStarting(name: string): void {
  const hasPolicy = existsSync(SERVICE_POLICY);
  if (!hasPolicy) writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    installWithAptGet(name);
  } finally {
    if (!hasPolicy) rmSync(SERVICE_POLICY);
  }
}

/** Returns whether packages can be installed here without a question. */
function hasAptGet(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version');
}

/** Tries to install a package. The caller sees by the result whether it worked. */
function installWithAptGet(name: string): void {
  tryToRun('apt-get', ['update', '-q']);
  tryToRun('apt-get', ['install', '-y', '-q', '--no-install-recommends', name], {
    DEBIAN_FRONTEND: 'noninteractive',
  });
}

async function versionOf(file: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: 20_000 });
    return stdout.trim();
  } catch {
    return '';
  }
}

/** Runs a program with its output on stderr. The caller sees by the result whether it worked. */
function tryToRun(file: string, args: string[], env: Record<string, string> = {}): void {
  try {
    execFileSync(file, args, { stdio: ['ignore', 2, 2], env: { ...process.env, ...env } });
  } catch {
    // The caller looks for the result.
  }
}
