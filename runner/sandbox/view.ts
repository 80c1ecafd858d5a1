import { statSync } from 'node:fs';
import { delimiter, isAbsolute } from 'node:path';
import type { RunnerCommand } from '../command.ts';
import type { Shown } from './arguments.ts';
import { claudeView } from './claude.ts';
import { follow, isWithin, realPath } from './paths.ts';
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

/**
 * What one program sees. Looks at the machine, and changes nothing but that the folder for Claude Code's conversations is made.
 * @param cwd the working folder, without links
 * @param env of the program
 */
export function sandboxView(
  options: SandboxOptions,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Shown[] {
  const { command, memoryFolders } = options;
  const home = realPath(options.home);
  const hidden = options.hidden.map((path) => realPath(path));
  const isHidden = (path: string): boolean => hidden.some((folder) => isWithin(path, folder));
  const view = systemView();
  const isShown = (path: string): boolean =>
    view.some((shown) => (shown.as === 'read' || shown.as === 'write') && isWithin(path, shown.path));
  const show = (path: string, as: 'read' | 'write'): void => {
    const found = follow(path);
    // Membridge's own stays hidden whatever the owner or a program names.
    if (found === null || isHidden(found.real)) return;
    showLinks(path);
    if (as === 'write' || !isShown(found.real)) view.push({ path: found.real, as });
  };
  const showLinks = (path: string): void => {
    for (const { path: link, to } of follow(path)?.links ?? []) {
      if (!isShown(link)) view.push({ path: link, as: 'link', to });
    }
  };
  showLinks(options.home);
  if (home !== '/' && !isShown(home)) view.push({ path: home, as: 'scratch' });
  if (command.kind === 'claude') view.push(...claudeView(env, home, cwd, memoryFolders.map(realPath)));
  const path = env['PATH'] ?? '';
  for (const each of programPaths(command.program, command.args ?? [], { path, home })) show(each, 'read');
  for (const name of CERTIFICATES) {
    for (const each of (env[name] ?? '').split(delimiter)) if (isAbsolute(each)) show(each, 'read');
  }
  for (const each of options.paths) show(each, 'write');
  view.push({ path: cwd, as: 'write' }, ...systemSecrets());
  for (const each of hidden) {
    const stat = isShown(each) ? statSync(each, { throwIfNoEntry: false }) : undefined;
    if (stat !== undefined)
      view.push({ path: each, as: stat.isDirectory() ? 'hidden-folder' : 'hidden-file' });
  }
  return view;
}
