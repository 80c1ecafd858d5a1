/** Chooses where this node's tasks run: in a sandbox, without one, or not at all. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { TaskSandbox } from '../../contract/nodes/nodes.ts';
import { isSharedFolder, locateProgram } from '../../runner/sandbox/program.ts';
import { openSandbox, trySandbox, type Sandbox } from '../../runner/sandbox/sandbox.ts';
import type { SandboxOptions } from '../../runner/sandbox/view.ts';
import type { AgentConfig } from '../config.ts';

/** The choice made at the agent's start; it holds until the agent restarts. */
export interface ChosenSandbox {
  /** Null when there is no sandbox: tasks then run as ordinary programs of the agent's user, or are refused. */
  readonly sandbox: Sandbox | null;
  /** What the control plane and people learn about it. */
  readonly told: TaskSandbox;
}

type Settings = Pick<
  AgentConfig,
  | 'configEnv'
  | 'databasePath'
  | 'dryrun'
  | 'dataDir'
  | 'home'
  | 'lockDirectory'
  | 'runner'
  | 'taskPaths'
  | 'taskSandbox'
>;

/** The checkout that this agent runs from. */
const CHECKOUT = dirname(dirname(import.meta.dirname));

/**
 * The file with the server's keys: beside its data, and so above the folder of an agent that `npm start` runs with
 * the server.
 */
const SERVER_KEYS = 'server.env';

const NO_SANDBOX_SENTENCE =
  "Without a sandbox a task's program reads all that the agent's user can read, the node's key too, and may outlive its task.";
const SANDBOX_HELP =
  'Install the package bubblewrap, let the agent\'s user make namespaces ("bwrap --unshare-pid --bind / / true" must succeed), and start the agent again.';

/**
 * Chooses where tasks run, by MEMBRIDGE_TASK_SANDBOX and by a trial. On a machine that also has the server's keys,
 * tasks run without a sandbox only if the owner sets that explicitly.
 */
export function chooseSandbox(config: Settings): ChosenSandbox {
  const { taskSandbox } = config;
  if (config.dryrun) return withoutSandbox('A dry run takes no tasks.', false);
  if (taskSandbox === 'none') {
    return withoutSandbox(
      `${NO_SANDBOX_SENTENCE} Remove MEMBRIDGE_TASK_SANDBOX=none where bubblewrap works.`,
      false,
    );
  }
  const options = sandboxOptions(config);
  const problem = options === null ? 'bubblewrap (bwrap) is not installed' : tryOut(options, config.dataDir);
  if (options !== null && problem === null) {
    return { sandbox: openSandbox(options), told: { mode: 'bubblewrap', refuses: false, detail: null } };
  }
  if (taskSandbox === 'bubblewrap') {
    return withoutSandbox(
      `This node takes no tasks: MEMBRIDGE_TASK_SANDBOX asks for bubblewrap, and ${problem}. ${SANDBOX_HELP}`,
      true,
    );
  }
  const [server] = serverFolders(config.dataDir);
  if (server === undefined)
    return withoutSandbox(`There is no sandbox: ${problem}. ${NO_SANDBOX_SENTENCE} ${SANDBOX_HELP}`, false);
  return withoutSandbox(
    `This node takes no tasks: the server's keys lie on this machine (${join(server, SERVER_KEYS)}), and there is no sandbox: ${problem}. ${SANDBOX_HELP} To run tasks anyway, set MEMBRIDGE_TASK_SANDBOX=none.`,
    true,
  );
}

function withoutSandbox(detail: string, refuses: boolean): ChosenSandbox {
  return { sandbox: null, told: { mode: 'none', refuses, detail: detail.slice(0, 1_000) } };
}

/** Returns the options for sandboxes on this machine; null where there is no bubblewrap. */
export function sandboxOptions(config: Settings): SandboxOptions | null {
  const bwrap = locateProgram('bwrap', process.env['PATH'] ?? '');
  if (bwrap === null) return null;
  const { home, runner, taskPaths } = config;
  const stackFolder = process.env['MEMBRIDGE_DATA_DIR'] ?? '';
  const standard = join(home, '.claude-mem');
  const chosen = dirname(config.databasePath);
  // The folder may hold other things too, such as the home folder. Then only the database file is hidden.
  const memoryFolders = isSharedFolder(chosen, home) ? [standard] : [...new Set([standard, chosen])];
  return {
    bwrap,
    home,
    command: runner,
    paths: taskPaths,
    memoryFolders,
    hidden: [
      config.dataDir,
      join(home, '.membridge'),
      ...(stackFolder === '' ? [] : [resolve(CHECKOUT, stackFolder)]),
      ...serverFolders(config.dataDir),
      join(CHECKOUT, '.membridge'),
      '/etc/membridge',
      join(process.env['XDG_CONFIG_HOME'] || join(home, '.config'), 'membridge'),
      dirname(config.lockDirectory),
      join(home, '.claude-mem-minio'),
      config.configEnv,
      ...memoryFolders,
      ...['', '-wal', '-shm'].map((end) => `${config.databasePath}${end}`),
    ],
  };
}

/** Returns folders with a server's keys: above the agent's own, and where `npm start` keeps them in this checkout. */
function serverFolders(dataDir: string): string[] {
  const folders = [join(CHECKOUT, '.membridge')];
  for (let folder = dirname(dataDir); folder !== dirname(folder); folder = dirname(folder))
    folders.push(folder);
  return folders.filter((folder) => existsSync(join(folder, SERVER_KEYS)));
}

/** Tries the sandbox. @returns why it does not work for a task of this node; null when it does */
function tryOut(options: SandboxOptions, dataDir: string): string | null {
  const folder = join(dataDir, 'tasks');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return trySandbox(options, folder);
}
