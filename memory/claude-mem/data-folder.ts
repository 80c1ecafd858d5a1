import { readFileSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';
import { errorMessage } from '../../contract/errors.ts';

/** claude-mem's database, and the setting that selected it. */
export interface LiveDatabase {
  readonly path: string;
  /**
   * The setting that decided, as a sentence without a subject, such as "CLAUDE_MEM_DB of the environment
   * names it".
   */
  readonly decidedBy: string;
  /** Warnings about the settings for a person, such as an unreadable settings file; one sentence each. */
  readonly warnings: readonly string[];
}

/** Where to look for settings. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** Reads a text file. @throws with code ENOENT when there is none */
  readonly readText?: (path: string) => string;
}

const DATABASE = 'claude-mem.db';
const FOLDER_SETTING = 'CLAUDE_MEM_DATA_DIR';

/**
 * Finds the database that claude-mem uses. CLAUDE_MEM_DB, a setting of ours, comes first. Then claude-mem's own rules apply, in its
 * order: CLAUDE_MEM_DATA_DIR of the environment, else of the settings file in the default folder, else the default folder.
 * The settings file is read, never written.
 * @throws Error when a setting names a path that depends on where a program was started
 */
export function findLiveDatabase(surroundings: Surroundings): LiveDatabase {
  const { env, home } = surroundings;
  const database = typedPath(env['CLAUDE_MEM_DB'], home);
  if (database !== null) {
    refuseRelative('CLAUDE_MEM_DB', database);
    return { path: database, decidedBy: 'CLAUDE_MEM_DB of the environment names it', warnings: [] };
  }
  const folder = typedPath(env[FOLDER_SETTING], home);
  if (folder !== null) {
    refuseRelative(FOLDER_SETTING, folder);
    const decidedBy = `${FOLDER_SETTING} of the environment names its folder`;
    return { path: join(folder, DATABASE), decidedBy, warnings: [] };
  }
  const standard = join(home, '.claude-mem');
  const settings = readFolderSetting(join(standard, 'settings.json'), surroundings);
  if (settings.folder === null) {
    const decidedBy = `no setting names another folder than claude-mem's default one`;
    return { path: join(standard, DATABASE), decidedBy, warnings: settings.warnings };
  }
  return {
    path: join(settings.folder, DATABASE),
    decidedBy: `${FOLDER_SETTING} in claude-mem's ${join(standard, 'settings.json')} names its folder`,
    warnings: settings.warnings,
  };
}

/**
 * Returns the folder named in claude-mem's settings file. Returns null when it names none or cannot be read,
 * as claude-mem does.
 */
function readFolderSetting(
  path: string,
  { home, readText = (file) => readFileSync(file, 'utf8') }: Surroundings,
): { folder: string | null; warnings: string[] } {
  const damaged = (problem: string): { folder: null; warnings: string[] } => ({
    folder: null,
    warnings: [
      `claude-mem's settings file ${path} cannot be used: ${problem}. claude-mem ignores such a file and uses its default folder. Correct the file, then restart the agent.`,
    ],
  });
  let settings: unknown;
  try {
    // claude-mem itself allows a byte order mark, which Windows editors put there.
    settings = JSON.parse(readText(path).replace(/^\uFEFF/, ''));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { folder: null, warnings: [] };
    return damaged(errorMessage(error));
  }
  if (!isObject(settings)) return damaged('it holds no JSON object');
  // As in claude-mem: if there is an "env" key, keys beside it are ignored.
  const nested = settings['env'] ?? null;
  const values = nested === null ? settings : isObject(nested) ? nested : {};
  const value = values[FOLDER_SETTING] ?? '';
  if (typeof value !== 'string') return damaged(`${FOLDER_SETTING} is ${JSON.stringify(value)} and no text`);
  const isHidden = nested !== null && value === '' && (settings[FOLDER_SETTING] ?? '') !== '';
  const warnings = isHidden
    ? [
        `${path} has ${FOLDER_SETTING} beside "env". claude-mem reads only what is below "env": move it there.`,
      ]
    : [];
  if (value === '') return { folder: null, warnings };
  const folder = trimPath(expandHome(value, home));
  refuseRelative(`${FOLDER_SETTING} in ${path}`, folder);
  return { folder, warnings };
}

/**
 * Returns a path from the environment. Values from a unit file or `docker run --env-file` never passed
 * through a shell, so they may contain quotes and `~`.
 * @returns null when the setting is absent
 */
export function typedPath(value: string | undefined, home: string): string | null {
  const text = (value ?? '').trim();
  const bare = /^(["'])(.*)\1$/s.exec(text)?.[2] ?? text;
  return bare === '' ? null : trimPath(expandHome(bare, home));
}

function expandHome(path: string, home: string): string {
  return path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path;
}

/** Removes `.`, `..`, doubled slashes and a trailing slash from a path. */
function trimPath(path: string): string {
  const normal = normalize(path);
  return normal.length > 1 ? normal.replace(/\/+$/, '') : normal;
}

function refuseRelative(setting: string, path: string): void {
  if (isAbsolute(path)) return;
  throw new Error(
    `${setting} is "${path}", which is no absolute path. Write the whole path, or one that begins with "~/"; nothing else is expanded.`,
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
