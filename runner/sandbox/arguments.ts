/** The command line of bubblewrap (`bwrap`) for a view of the file system. */
import { isWithin } from './paths.ts';

/** One path as a program in the sandbox sees it. What no entry names or lies above is not there at all. */
export type Shown =
  /** A folder or file of the machine; `from` is where it lies there, if that is another path. */
  | { readonly path: string; readonly as: 'read' | 'write'; readonly from?: string }
  /** An empty folder. What the program writes there is gone with the sandbox. */
  | { readonly path: string; readonly as: 'scratch' }
  /** An empty folder that stays empty, or an empty file: in front of something that the program must not see. */
  | { readonly path: string; readonly as: 'hidden-folder' | 'hidden-file' }
  /** A symbolic link. */
  | { readonly path: string; readonly as: 'link'; readonly to: string }
  /** A copy of a file of the machine. What the program writes there is gone with the sandbox. */
  | { readonly path: string; readonly as: 'copy'; readonly from: string };

/** The number of the first file that a program gets besides its three streams. */
const FIRST_FILE = 3;

/**
 * Namespaces of its own for processes, queues and host name; the network is shared. The end of bubblewrap, however it ends, is the
 * end of the first process in there, and with it of every other. No `--new-session`: the agent has started a session for the program
 * already, and the kernel must find all of bubblewrap's processes in the one group that the agent kills.
 */
const ISOLATION = [
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--die-with-parent',
  '--cap-drop',
  'ALL',
] as const;

/** What stands before the program's own words. */
export interface SandboxArguments {
  readonly args: readonly string[];
  /** Files that must be open for reading in bubblewrap, the first as number 3, and so on. After the last one comes a pipe. */
  readonly files: readonly string[];
}

/**
 * Makes the arguments of bubblewrap. It writes to the pipe, as JSON, which number the first process in the sandbox has (`child-pid`).
 * @param view of two entries for one path the later one counts; an entry below another covers that part of it
 * @param cwd where the program begins; a path of the view, or below one
 */
export function sandboxArguments(view: readonly Shown[], cwd: string): SandboxArguments {
  const byPath = new Map(view.map((shown) => [shown.path, shown]));
  // What lies above another path has a shorter name and sorts before it.
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
        // In a folder of the machine `--file` would write to the machine's own file.
        return [isOfMachine(path) ? '--bind-data' : '--file', String(FIRST_FILE + files.length - 1), path];
    }
  });
  // Last: until then bubblewrap itself makes places below them.
  const closed = sorted.flatMap(({ as, path }) => (as === 'hidden-folder' ? ['--remount-ro', path] : []));
  const info = ['--info-fd', String(FIRST_FILE + files.length)];
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
