/** Builds a server program from its pinned source: with Go, or with Go inside Docker when this machine has none. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { waitForLock } from './lock.mjs';
import { elapsed, findOnPath, installHint } from './machine.mjs';

export interface Source {
  /** The program's name. */
  name: string;
  /** The argument of `go install`: the program's package, with its version. */
  module: string;
  /** Packages of the same version whose programs are built with it and placed beside it. */
  besides?: readonly string[];
  /** The address setting that replaces this part, for the error message. */
  setting: string;
  /** The page where its makers describe other ways to install it. */
  home: string;
}

type Builder = { kind: 'go'; program: string } | { kind: 'docker'; program: string };

const goWanted = { major: 1, minor: 25 };
const dockerImage = 'golang:1.26';

/**
 * Builds the program and moves it into place whole. Downloads and intermediate files are removed afterwards, also
 * after a failure or Ctrl-C. A second process with the same target waits for the first.
 * @param target the file to make
 * @param path where to look for Go and Docker
 * @throws when the machine has neither Go nor a working Docker, saying what would help here
 */
export async function buildTool(
  source: Source,
  target: string,
  path: string,
  log: (line: string) => void,
): Promise<void> {
  const lock = await waitForLock(`${dirname(target)}.lock`, (pid) =>
    log(`waiting for process ${pid}, which builds ${source.name} ...`),
  );
  try {
    if (existsSync(target)) return;
    const builder = findBuilder(source, path);
    removeFormerBuilds(dirname(dirname(target)), source.name);
    const folder = join(dirname(dirname(target)), `build-${source.name}-${process.pid}`);
    mkdirSync(folder, { recursive: true });
    await build(builder, source, folder, log);
    mkdirSync(dirname(target), { recursive: true });
    // The program itself comes last: once it exists, all others do.
    for (const name of [...(source.besides ?? []).map(programName), programName(source.module)]) {
      const file = join(dirname(target), name === programName(source.module) ? basename(target) : name);
      renameSync(builtProgram(folder, name), file);
    }
    rmSync(folder, { recursive: true, force: true });
  } finally {
    lock.release();
  }
}

/** Removes what a killed build left. This process holds its lock now, so nobody works there. */
function removeFormerBuilds(cache: string, name: string): void {
  if (!existsSync(cache)) return;
  for (const entry of readdirSync(cache)) {
    if (entry.startsWith(`build-${name}-`)) rmSync(join(cache, entry), { recursive: true, force: true });
  }
}

function findBuilder(source: Source, path: string): Builder {
  const notes: string[] = [];
  for (const program of findOnPath('go', path)) {
    const version = output(program, ['env', 'GOVERSION']).replace(/^go/, '');
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major > goWanted.major || (major === goWanted.major && minor >= goWanted.minor))
      return { kind: 'go', program };
    notes.push(`${program} is Go ${version || '(unknown)'}, too old`);
  }
  for (const program of findOnPath('docker', path)) {
    if (output(program, ['version', '--format', '{{.Server.Version}}']) !== '')
      return { kind: 'docker', program };
    notes.push(`${program} reaches no Docker engine`);
  }
  throw new Error(
    [
      `${source.name} is not on PATH, and there is nothing to build it with${notes.length ? ` (${notes.join('; ')})` : ''}. One of these helps:`,
      `  - Go ${goWanted.major}.${goWanted.minor} or later: ${installHint(['go'])} (or https://go.dev/dl where that is older); ${source.name} is then built once`,
      `  - a running Docker engine, to build it inside ${dockerImage}`,
      `  - ${source.name} itself on PATH: ${source.home}`,
      `  - ${source.setting}, to use one on another machine`,
    ].join('\n'),
  );
}

function output(program: string, args: string[]): string {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    }).trim();
  } catch {
    return '';
  }
}

async function build(
  builder: Builder,
  source: Source,
  folder: string,
  log: (line: string) => void,
): Promise<void> {
  const { file, args, env } =
    builder.kind === 'go' ? goCommand(builder, source, folder) : dockerCommand(builder, source, folder);
  const started = Date.now();
  log(`building ${source.name} from source, once (some minutes) ...`);
  // A separate process group, so that the compilers end with it.
  const child = spawn(file, args, { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  }
  const cleanUp = (): void => {
    killGroup(child.pid);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    cleanUp();
    for (const name of signals) process.off(name, onSignal);
    // No other listener handles the signal: let it end this process, as it would have.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  process.on('exit', cleanUp);
  const progress = setInterval(
    () => log(`building ${source.name} ... ${lastLine(said)} (${elapsed(started)})`),
    5_000,
  );
  try {
    const code = await new Promise<number | null>((settle, fail) => {
      child.once('error', fail);
      child.once('close', settle);
    });
    if (code !== 0) throw new Error(`it ended with code ${code}:\n${said.trim()}`);
    log(`built ${source.name} in ${elapsed(started)}`);
  } catch (error) {
    cleanUp();
    throw new Error(
      `${source.name} could not be built with ${file} ${args.join(' ')}: ${(error as Error).message}`,
      { cause: error },
    );
  } finally {
    clearInterval(progress);
    process.off('exit', cleanUp);
    for (const signal of signals) process.off(signal, onSignal);
  }
}

interface Command {
  file: string;
  args: string[];
  env: NodeJS.ProcessEnv;
}

/** Returns Go's settings. -modcacherw: Go's module cache is read-only by default, and could not simply be removed. */
function goSettings(folder: string): Record<string, string> {
  return {
    CGO_ENABLED: '0',
    GOPATH: join(folder, 'gopath'),
    GOMODCACHE: join(folder, 'modules'),
    GOCACHE: join(folder, 'cache'),
    GOFLAGS: '-modcacherw',
    GOWORK: 'off',
  };
}

function goCommand(builder: Builder, source: Source, folder: string): Command {
  const env: NodeJS.ProcessEnv = { ...process.env, ...goSettings(folder), GOTMPDIR: folder };
  delete env.GOBIN;
  delete env.GOOS;
  delete env.GOARCH;
  return { file: builder.program, args: installArguments(source), env };
}

/**
 * Makes the same command for Docker, cross-compiled for this machine. It follows Docker's and Go's reference; it
 * could not be tried on the development machine, which has no Docker engine.
 */
function dockerCommand(builder: Builder, source: Source, folder: string): Command {
  const settings = {
    ...goSettings('/build'),
    HOME: '/build',
    GOOS: process.platform,
    GOARCH: process.arch === 'x64' ? 'amd64' : process.arch,
  };
  const owner = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const args = ['run', '--rm', '--volume', `${folder}:/build`, '--workdir', '/build', '--user', owner];
  for (const [name, value] of Object.entries(settings)) args.push('--env', `${name}=${value}`);
  // By name only: taken over from our environment where they are set.
  for (const name of ['GOPROXY', 'GOSUMDB', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'])
    args.push('--env', name);
  args.push(dockerImage, 'go', ...installArguments(source));
  return { file: builder.program, args, env: process.env };
}

function installArguments(source: Source): string[] {
  return ['install', '-ldflags', '-s -w', ...(source.besides ?? []), source.module];
}

/** Returns Go's name for the program of a package, such as `minio` for `github.com/minio/minio@v1`. */
function programName(module: string): string {
  return basename(module.replace(/@.*$/, ''));
}

/** Returns the built program. `go install` puts a cross-compiled one a folder deeper, in bin/<os>_<arch>/. */
function builtProgram(folder: string, name: string): string {
  const bin = join(folder, 'gopath', 'bin');
  const found = readdirSync(bin, { recursive: true, encoding: 'utf8' }).find(
    (entry) => basename(entry) === name,
  );
  if (found === undefined) throw new Error(`go install left no ${name} in ${bin}`);
  return join(bin, found);
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.slice(0, 80) ?? '';
}
