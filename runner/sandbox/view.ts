import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import type { RunnerCommand } from '../command.ts';
import type { Shown } from './arguments.ts';
import { claudeView } from './claude.ts';
import { follow, isWithin, kindOf, realPath } from './paths.ts';
import { programPaths } from './program.ts';
import { systemSecrets, systemView } from './system.ts';

/** What a machine's sandboxes are made from. */
export interface SandboxOptions {
  /** The program `bwrap`. */
  readonly bwrap: string;
  readonly home: string;
  readonly command: RunnerCommand;
  /** Folders and files that every task may read and write besides its own folder (MEMBRIDGE_TASK_PATHS). */
  readonly paths: readonly string[];
  /** Folders of Membridge's own: nothing of them is shown, but for the working folder. They need not be there. */
  readonly hidden: readonly string[];
  /** Folders in which claude-mem keeps its data. */
  readonly memoryFolders: readonly string[];
}

/** Variables that name files in which programs find the certificates they trust. */
const CERTIFICATES: readonly string[] = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
];

/** How long counts what was found of a machine's programs and settings, in milliseconds: it takes as long as a sandbox's start. */
const FOUND_MS = 30_000;

/** What of a view is the same for all programs of a machine. */
interface Machine {
  readonly foundAt: number;
  /** What it depends on besides the options. */
  readonly key: string;
  readonly shown: readonly Shown[];
  readonly hidden: readonly string[];
}

const machines = new WeakMap<SandboxOptions, Machine>();

/**
 * What one program sees. Looks at the machine, and changes nothing.
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
  // What the owner lists counts more than what Claude Code keeps for itself, and nothing more than what is hidden.
  const base: Shown[] = [...shown, { path: cwd, as: 'write' }];
  const isShown = shownBy(base);
  // In a folder of the machine no place can be made, nor should be, for what is not there.
  const view = [...own.filter(({ path }) => !isShown(path) || existsSync(path)), ...base];
  return [
    ...view,
    // Nothing can be put before what has gone since it was found.
    ...systemSecrets().filter(({ path }) => kindOf(path) !== null),
    ...[...hidden, ...keyFolders(view)].flatMap((path): Shown[] => {
      const kind = isShown(path) ? kindOf(path) : null;
      if (kind === null) return [];
      return [{ path, as: kind === 'folder' ? 'hidden-folder' : 'hidden-file' }];
    }),
  ];
}

/** Where people keep Membridge's keys by default, and what such a folder holds. */
const KEY_FOLDER = '.membridge';
const KEY_FILES: readonly string[] = ['server.env', 'agent.json'];

/** Such folders right in what is shown: another agent's, or another checkout's. */
function keyFolders(view: readonly Shown[]): string[] {
  return (
    view
      .filter(({ as }) => as === 'read' || as === 'write')
      .map(({ path }) => join(path, KEY_FOLDER))
      // A link that a task made in its folder is no such folder.
      .filter((folder) => kindOf(folder) === 'folder')
      .filter((folder) => KEY_FILES.some((file) => existsSync(join(folder, file))))
  );
}

function machineView(options: SandboxOptions, env: Readonly<Record<string, string>>): Machine {
  const key = ['PATH', ...CERTIFICATES].map((name) => env[name] ?? '').join('\0');
  const former = machines.get(options);
  const now = performance.now();
  if (former?.key === key && now - former.foundAt < FOUND_MS) return former;
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
  const isShown = shownBy(shown);
  const show = (path: string, as: 'read' | 'write'): void => {
    const found = follow(path);
    // Membridge's own stays hidden whatever the owner or a program names.
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
  for (const name of CERTIFICATES) {
    for (const each of (env[name] ?? '').split(delimiter)) if (isAbsolute(each)) show(each, 'read');
  }
  for (const each of options.paths) {
    const real = realPath(each);
    // Who may rename a folder between a listed one and a hidden one takes the hidden one out of its hiding place.
    const isAboveHidden = hidden.some((path) => isWithin(path, real) && existsSync(path));
    show(each, isAboveHidden ? 'read' : 'write');
  }
  return { shown, hidden };
}

/** Whether a path lies in something that a view shows; the view may grow. */
function shownBy(view: readonly Shown[]): (path: string) => boolean {
  return (path) =>
    view.some(({ as, path: above }) => (as === 'read' || as === 'write') && isWithin(path, above));
}
