import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import type { RunnerCommand } from '../command.ts';
import type { Shown } from './arguments.ts';
import { claudeView } from './claude.ts';
import { follow, isWithin, kindOf, realPath } from './paths.ts';
import { programPaths } from './program.ts';
import { systemSecrets, systemView } from './system.ts';

/** Options of a machine's sandboxes. */
export interface SandboxOptions {
  /** The program `bwrap`. */
  readonly bwrap: string;
  readonly home: string;
  readonly command: RunnerCommand;
  /** Folders and files that every task may read and write besides its own folder (MEMBRIDGE_TASK_PATHS). */
  readonly paths: readonly string[];
  /** Membridge's own folders, which are hidden except for the working folder. They need not exist. */
  readonly hidden: readonly string[];
  /** Folders in which claude-mem keeps its data. */
  readonly memoryFolders: readonly string[];
}

/** Variables that name files with trusted certificates. */
const CERTIFICATE_VARIABLES: readonly string[] = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
];

/**
 * How long the findings about a machine's programs and settings are cached, in milliseconds: they take as
 * long as starting a sandbox.
 */
const CACHE_MS = 30_000;

/** The part of a view that is equal for all programs of a machine. */
interface Machine {
  readonly foundAt: number;
  /** Its dependencies besides the options. */
  readonly key: string;
  readonly shown: readonly Shown[];
  readonly hidden: readonly string[];
}

const machines = new WeakMap<SandboxOptions, Machine>();

/**
 * Returns what one program sees. Examines the machine, and changes nothing.
 * @param cwd the working folder, without links
 * @param env of the program
 */
export function sandboxView(
  options: SandboxOptions,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Shown[] {
  const { shown, hidden } = machineView(options, env);
  const home = realPath(options.home);
  const own: Shown[] =
    options.command.kind === 'claude' ? claudeView(env, home, cwd, options.memoryFolders.map(realPath)) : [];
  // The owner's list overrides the protection of Claude Code's own files, but never that of hidden folders.
  const base: Shown[] = [...shown, { path: cwd, as: 'write' }];
  const isShown = shownPathTest(base);
  // Inside a folder of the machine, a mount point for a missing file cannot and should not be created.
  const view = [...own.filter(({ path }) => !isShown(path) || existsSync(path)), ...base];
  return [
    ...view,
    // A file that has disappeared since it was found cannot be covered.
    ...systemSecrets().filter(({ path }) => kindOf(path) !== null),
    ...[...hidden, ...keyFolders(view)].flatMap((path): Shown[] => {
      const kind = isShown(path) ? kindOf(path) : null;
      if (kind === null) return [];
      return [{ path, as: kind === 'folder' ? 'hidden-folder' : 'hidden-file' }];
    }),
  ];
}

/** Where Membridge's keys are by default, and the files in such a folder. */
const KEY_FOLDER = '.membridge';
const KEY_FILES: readonly string[] = ['server.env', 'agent.json'];

/** Returns such folders directly in what is shown: those of another agent, or another checkout. */
function keyFolders(view: readonly Shown[]): string[] {
  return (
    view
      .filter(({ as }) => as === 'read' || as === 'write')
      .map(({ path }) => join(path, KEY_FOLDER))
      // A link that a task created in its folder does not count.
      .filter((folder) => kindOf(folder) === 'folder')
      .filter((folder) => KEY_FILES.some((file) => existsSync(join(folder, file))))
  );
}

function machineView(options: SandboxOptions, env: Readonly<Record<string, string>>): Machine {
  const key = ['PATH', ...CERTIFICATE_VARIABLES].map((name) => env[name] ?? '').join('\0');
  const former = machines.get(options);
  const now = performance.now();
  if (former?.key === key && now - former.foundAt < CACHE_MS) return former;
  const machine = { foundAt: now, key, ...lookAtMachine(options, env) };
  machines.set(options, machine);
  return machine;
}

function lookAtMachine(
  { command, home: typedHome, ...options }: SandboxOptions,
  env: Readonly<Record<string, string>>,
): Pick<Machine, 'shown' | 'hidden'> {
  const home = realPath(typedHome);
  const hidden = options.hidden.map((path) => realPath(path));
  const isHidden = (path: string): boolean => hidden.some((folder) => isWithin(path, folder));
  const shown = systemView();
  const isShown = shownPathTest(shown);
  const show = (path: string, as: 'read' | 'write'): void => {
    const found = follow(path);
    // Membridge's own folders stay hidden, even if the owner or a program names them.
    if (found === null || isHidden(found.real)) return;
    showLinks(path);
    if (as === 'write' || !isShown(found.real)) shown.push({ path: found.real, as });
  };
  const showLinks = (path: string): void => {
    for (const { path: link, to } of follow(path)?.links ?? []) {
      if (!isShown(link)) shown.push({ path: link, as: 'link', to });
    }
  };
  showLinks(typedHome);
  if (home !== '/' && !isShown(home)) shown.push({ path: home, as: 'scratch' });
  const path = env['PATH'] ?? '';
  for (const each of programPaths(command.program, command.args ?? [], { path, home })) show(each, 'read');
  for (const name of CERTIFICATE_VARIABLES) {
    for (const each of (env[name] ?? '').split(delimiter)) if (isAbsolute(each)) show(each, 'read');
  }
  for (const each of options.paths) {
    const real = realPath(each);
    // With write access to a folder between a listed and a hidden one, a program could rename it and so
    // uncover the hidden one.
    const isAboveHidden = hidden.some((path) => isWithin(path, real) && existsSync(path));
    show(each, isAboveHidden ? 'read' : 'write');
  }
  return { shown, hidden };
}

/** Returns a test for whether a path lies in something that a view shows; the view may grow. */
function shownPathTest(view: readonly Shown[]): (path: string) => boolean {
  return (path) =>
    view.some(({ as, path: above }) => (as === 'read' || as === 'write') && isWithin(path, above));
}
