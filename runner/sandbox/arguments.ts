/** Builds the command line of bubblewrap (`bwrap`) for a view of the file system. */
import { isWithin } from './paths.ts';

/**
 * One path as a program in the sandbox sees it. Paths that are neither an entry, nor above or below one, do
 * not exist.
 */
export type Shown =
  /** A folder or file of the machine; `from` is its path there, if that differs. */
  | { readonly path: string; readonly as: 'read' | 'write'; readonly from?: string }
  /** An empty folder. Files written there disappear with the sandbox. */
  | { readonly path: string; readonly as: 'scratch' }
  /**
   * An empty folder that stays empty, or an empty file: mounted over something that the program must not see.
   */
  | { readonly path: string; readonly as: 'hidden-folder' | 'hidden-file' }
  /** A symbolic link. */
  | { readonly path: string; readonly as: 'link'; readonly to: string }
  /** A copy of a file of the machine. Changes disappear with the sandbox. */
  | { readonly path: string; readonly as: 'copy'; readonly from: string };

/** The number of the first extra file of a program, after its three streams. */
const FIRST_FILE_DESCRIPTOR = 3;

/**
 * Separate namespaces for processes, queues and host name; the network is shared. When bubblewrap ends for
 * any reason, the first process inside ends, and with it all others. No `--new-session`: the agent has
 * already started a session for the program. All of bubblewrap's processes must be in the one group that the
 * agent kills.
 */
const ISOLATION = [
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--die-with-parent',
  '--cap-drop',
  'ALL',
] as const;

/** The arguments before the program's own command. */
export interface SandboxArguments {
  readonly args: readonly string[];
  /**
   * Files that must be open for reading in bubblewrap, starting with number 3. A pipe follows the last one.
   */
  readonly files: readonly string[];
}

/**
 * Returns the arguments of bubblewrap. It writes the number of the first process in the sandbox (`child-pid`)
 * to the pipe, as JSON.
 * @param view the later of two entries for one path wins; an entry below another overrides that part of it
 * @param cwd where the program starts; a path of the view, or below one
 */
export function sandboxArguments(view: readonly Shown[], cwd: string): SandboxArguments {
  const byPath = new Map(view.map((shown) => [shown.path, shown]));
  // A parent path is shorter, so it sorts first.
  const sorted = [...byPath.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
  const files: string[] = [];
  const isOfMachine = (path: string): boolean => {
    const above = sorted.findLast((shown) => shown.path !== path && isWithin(path, shown.path));
    return above?.as === 'read' || above?.as === 'write';
  };
  const mounts = sorted.flatMap((shown) => {
    const { path } = shown;
    switch (shown.as) {
      case 'read':
        return ['--ro-bind', shown.from ?? path, path];
      case 'write':
        return ['--bind', shown.from ?? path, path];
      case 'scratch':
      case 'hidden-folder':
        return ['--tmpfs', path];
      case 'hidden-file':
        return ['--ro-bind', '/dev/null', path];
      case 'link':
        return ['--symlink', shown.to, path];
      case 'copy':
        files.push(shown.from);
        // In a folder of the machine `--file` would overwrite the machine's own file.
        return [
          isOfMachine(path) ? '--bind-data' : '--file',
          String(FIRST_FILE_DESCRIPTOR + files.length - 1),
          path,
        ];
    }
  });
  // Last, because bubblewrap itself creates mount points below them until then.
  const closed = sorted.flatMap(({ as, path }) => (as === 'hidden-folder' ? ['--remount-ro', path] : []));
  const info = ['--info-fd', String(FIRST_FILE_DESCRIPTOR + files.length)];
  const args = [
    ...ISOLATION,
    ...info,
    ...mounts,
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    ...closed,
    '--chdir',
    cwd,
    '--',
  ];
  return { args, files };
}
