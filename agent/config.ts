import { homedir, hostname } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { AgentEngineWay } from '../contract/nodes/engine-tunnel.ts';
import { errorMessage } from '../contract/errors.ts';
import { AgentStoreWay } from '../contract/nodes/nodes.ts';
import { NodeId } from '../contract/http/primitives.ts';
import { LabelList } from '../contract/tasks/tasks.ts';
import { findLiveDatabase, typedPath, type LiveDatabase } from '../memory/claude-mem/data-folder.ts';
import { isPin, PIN_FORM } from '../transport/pin.ts';
import { parseRunnerCommand, type RunnerCommand } from '../runner/command.ts';

/** The agent's settings from its environment, parsed once at start. */
export interface AgentConfig {
  /** The control plane's URL; null means the one that this node enrolled with. */
  readonly serverUrl: string | null;
  /** The pin of the control plane's certificate authority; null: the one that this node enrolled with, if any. */
  readonly serverPin: string | null;
  /** Whether keys may go over plain HTTP to another machine. */
  readonly allowsPlainHttp: boolean;
  readonly enrolToken: string | null;
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
  /** Holds the agent's key, its ledger and its log. */
  readonly dataDir: string;
  readonly lockDirectory: string;
  readonly databasePath: string;
  /** Why it is that database, and what is wrong with the settings that chose it. */
  readonly database: LiveDatabase;
  /** The folder for clones of managed projects; the agent writes no clone outside of it. */
  readonly reposBase: string;
  readonly dryrun: boolean;
  /** Whether programs of this machine may make this agent run a prompt, or restart. */
  readonly allowProcessControl: boolean;
  /** The program that works on tasks, and how to call it. */
  readonly runner: RunnerCommand;
  /** Names of variables that tasks get from the agent's environment besides the usual ones. */
  readonly taskVariables: readonly string[];
  /** The sandbox of tasks: `auto` is bubblewrap where that works. */
  readonly taskSandbox: 'auto' | 'bubblewrap' | 'none';
  /** Paths that every task may read and write in the sandbox, besides its own folder. */
  readonly taskPaths: readonly string[];
  /** The home folder of the user that this agent runs as. */
  readonly home: string;
  /** How many tasks may run at the same time. */
  readonly maxConcurrency: number;
  /** Pools that this node serves, besides the default one. */
  readonly labels: readonly string[];
  /** Names or canonical ids of the spaces that the node takes part in; undefined means all. */
  readonly spaces: readonly string[] | undefined;
  /** How this node reaches the object store. A control plane that gives only the way through itself overrides it. */
  readonly store: AgentStoreWay;
  /** How workers reach Temporal: directly, or through the control plane. */
  readonly engine: AgentEngineWay;
  readonly heartbeatMs: number;
  /** How long a row waits for its session to arrive, in milliseconds. */
  readonly orphanWaitMs: number;
  /** How long this node, as primary, waits between two publications of a mirror, in milliseconds. */
  readonly mirrorEveryMs: number;
  readonly configEnv: string;
  readonly hooksBin: string;
  readonly logLevel: string;
}

/** Names of variables, separated by commas or spaces. */
const VariableNames = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((name) => name !== ''))
  .pipe(z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be names of variables')).max(256));

/** Absolute paths, or paths that begin with `~/`, separated by colons. */
const Paths = z
  .string()
  .transform((text) => text.split(':').flatMap((path) => typedPath(path, homedir()) ?? []))
  .pipe(z.array(z.string().refine(isAbsolute, '/~must be absolute paths, or begin with ~/~/')).max(64));

/** Names of spaces, separated by commas; `none` means no space at all. */
const SpaceNames = z
  .string()
  .transform((text) => (text.trim() === 'none' ? [] : text.split(',').map((name) => name.trim())))
  .pipe(z.array(z.string().min(1).max(128)).max(1_000));

const flag = z.enum(['0', '1']).default('0');

const Environment = z.object({
  MEMBRIDGE_SERVER_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).optional(),
  MEMBRIDGE_SERVER_PIN: z.string().refine(isPin, PIN_FORM).optional(),
  MEMBRIDGE_ALLOW_PLAIN_HTTP: flag,
  MEMBRIDGE_ENROL_TOKEN: z.string().min(1).optional(),
  MEMBRIDGE_NODE_ID: NodeId.optional(),
  MEMBRIDGE_AGENT_HOST: z.string().default('127.0.0.1'),
  MEMBRIDGE_AGENT_PORT: z.coerce.number().int().min(0).max(65_535).default(8_001),
  MEMBRIDGE_AGENT_DATA_DIR: z.string().optional(),
  MEMBRIDGE_AGENT_DRYRUN: flag,
  MEMBRIDGE_AGENT_ENGINE: AgentEngineWay.default('direct'),
  MEMBRIDGE_ALLOW_PROCESS_CONTROL: flag,
  MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: z.coerce.number().min(0.1).max(20).default(10),
  MEMBRIDGE_ORPHAN_WAIT_SECONDS: z.coerce.number().min(0).default(600),
  MEMBRIDGE_MIRROR_MINUTES: z.coerce.number().min(1).max(1_440).default(15),
  MEMBRIDGE_CONFIG_ENV: z.string().optional(),
  MEMBRIDGE_HOOKS_BIN: z.string().optional(),
  MEMBRIDGE_REPOS_BASE: z.string().optional(),
  MEMBRIDGE_RUNNER: z.string().optional(),
  MEMBRIDGE_MAX_CONCURRENCY: z.coerce.number().int().min(1).max(32).default(1),
  MEMBRIDGE_LABELS: LabelList.optional(),
  MEMBRIDGE_SPACES: SpaceNames.optional(),
  MEMBRIDGE_AGENT_STORE: AgentStoreWay.default('direct'),
  MEMBRIDGE_TASK_ENV: VariableNames.optional(),
  MEMBRIDGE_TASK_SANDBOX: z.enum(['auto', 'bubblewrap', 'none']).default('auto'),
  MEMBRIDGE_TASK_PATHS: Paths.optional(),
  CLAUDE_MEM_DB: z.string().optional(),
  CLAUDE_MEM_DATA_DIR: z.string().optional(),
  XDG_STATE_HOME: z.string().optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

/**
 * Reads the agent's settings.
 * @throws Error naming every wrong setting, and why it is wrong
 */
export function readAgentConfig(env: NodeJS.ProcessEnv): AgentConfig {
  // As in the control plane, an empty value counts as not set.
  const made = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = Environment.safeParse(made);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new Error(`The agent cannot start; correct these settings:\n${problems.join('\n')}`);
  }
  const settings = parsed.data;
  const home = homedir();
  const database = findDatabase(settings, home);
  const path = (value: string | undefined, otherwise: string): string => typedPath(value, home) ?? otherwise;
  return Object.freeze({
    serverUrl: settings.MEMBRIDGE_SERVER_URL?.replace(/\/$/, '') ?? null,
    serverPin: settings.MEMBRIDGE_SERVER_PIN ?? null,
    allowsPlainHttp: settings.MEMBRIDGE_ALLOW_PLAIN_HTTP === '1',
    enrolToken: settings.MEMBRIDGE_ENROL_TOKEN ?? null,
    nodeId: settings.MEMBRIDGE_NODE_ID ?? (hostname().replaceAll(/[^A-Za-z0-9_.-]/g, '-') || 'node'),
    host: settings.MEMBRIDGE_AGENT_HOST,
    port: settings.MEMBRIDGE_AGENT_PORT,
    dataDir: path(settings.MEMBRIDGE_AGENT_DATA_DIR, join(home, '.membridge')),
    lockDirectory: join(path(settings.XDG_STATE_HOME, join(home, '.local', 'state')), 'membridge', 'locks'),
    databasePath: database.path,
    database,
    reposBase: resolve(path(settings.MEMBRIDGE_REPOS_BASE, join(home, 'projects'))),
    dryrun: settings.MEMBRIDGE_AGENT_DRYRUN === '1',
    allowProcessControl: settings.MEMBRIDGE_ALLOW_PROCESS_CONTROL === '1',
    runner: parseRunnerCommand(settings.MEMBRIDGE_RUNNER),
    taskVariables: settings.MEMBRIDGE_TASK_ENV ?? [],
    taskSandbox: settings.MEMBRIDGE_TASK_SANDBOX,
    taskPaths: settings.MEMBRIDGE_TASK_PATHS ?? [],
    home,
    maxConcurrency: settings.MEMBRIDGE_MAX_CONCURRENCY,
    labels: settings.MEMBRIDGE_LABELS ?? [],
    spaces: settings.MEMBRIDGE_SPACES,
    store: settings.MEMBRIDGE_AGENT_STORE,
    engine: settings.MEMBRIDGE_AGENT_ENGINE,
    heartbeatMs: settings.MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS * 1_000,
    orphanWaitMs: settings.MEMBRIDGE_ORPHAN_WAIT_SECONDS * 1_000,
    mirrorEveryMs: Math.round(settings.MEMBRIDGE_MIRROR_MINUTES * 60_000),
    configEnv: path(settings.MEMBRIDGE_CONFIG_ENV, join(home, '.claude-mem-minio', 'config.env')),
    hooksBin: path(settings.MEMBRIDGE_HOOKS_BIN, join(home, '.claude-mem-minio', 'bin')),
    logLevel: settings.LOG_LEVEL,
  });
}

function findDatabase(settings: z.output<typeof Environment>, home: string): LiveDatabase {
  const { CLAUDE_MEM_DB, CLAUDE_MEM_DATA_DIR } = settings;
  try {
    return findLiveDatabase({ env: { CLAUDE_MEM_DB, CLAUDE_MEM_DATA_DIR }, home });
  } catch (error) {
    throw new Error(`The agent cannot start; correct this setting:\n  ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
