import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Shown } from './arguments.ts';
import { follow } from './paths.ts';

/**
 * Claude Code's records of the owner's own work: conversations, typed lines, copies of files. They do not
 * concern the task, and Claude Code recreates what is missing.
 */
const PRIVATE_NAMES: ReadonlySet<string> = new Set([
  'projects',
  'history.jsonl',
  'transcripts',
  'file-history',
  'paste-cache',
  'image-cache',
  'backups',
  'shell-snapshots',
  'session-env',
  'sessions',
  'todos',
  'tasks',
  'plans',
  'debug',
  'statsig',
  'telemetry',
  'ide',
  'uploads',
  'stats-cache.json',
]);

/** The account's credentials. If a renewed token were not written back, the owner would be signed out. */
const CREDENTIALS_FILE = '.credentials.json';

/** Claude Code's own state. */
const STATE_FILE = '.claude.json';

/**
 * Returns what Claude Code sees of its own files in the sandbox. Two of its writes persist: the conversations
 * of this working folder, which later tasks of the context continue, and the credentials. Settings, hooks,
 * plugins, skills and MCP servers are read-only, because the owner's own Claude Code would run changes of a
 * task outside of any sandbox.
 * @param env of the program
 * @param cwd the working folder, without links
 * @param memoryFolders where claude-mem keeps its data. Its hooks contact its worker over loopback, read its
 * settings and write a log. No worker may start in the sandbox: it would take the real one's port, and lose
 * what it receives.
 */
export function claudeView(
  env: Readonly<Record<string, string>>,
  home: string,
  cwd: string,
  memoryFolders: readonly string[],
): Shown[] {
  const folder = configFolder(env, home);
  const state = join((env['CLAUDE_CONFIG_DIR'] ?? '') === '' ? home : folder, STATE_FILE);
  const conversations = conversationFolder(env, home, cwd);
  const view: Shown[] = [{ path: folder, as: 'scratch' }];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const from = follow(path)?.real;
    if (from === undefined || PRIVATE_NAMES.has(name) || path === state) continue;
    view.push({ path, as: name === CREDENTIALS_FILE ? 'write' : 'read', from });
  }
  if (existsSync(conversations)) view.push({ path: conversations, as: 'write' });
  const kept = follow(state)?.real;
  if (kept !== undefined) view.push({ path: state, as: 'copy', from: kept });
  return [...view, ...memoryFolders.flatMap((memory) => memoryView(memory))];
}

function memoryView(folder: string): Shown[] {
  const settings = join(folder, 'settings.json');
  const from = follow(settings)?.real;
  return [
    { path: folder, as: 'hidden-folder' },
    { path: join(folder, 'logs'), as: 'scratch' },
    ...(from === undefined ? [] : [{ path: settings, as: 'read', from } as const]),
  ];
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * Creates the folder in which Claude Code keeps the conversations of a working folder. If that fails, they
 * are lost, but no task fails.
 */
export function makeConversationFolder(
  env: Readonly<Record<string, string>>,
  home: string,
  cwd: string,
): void {
  try {
    mkdirSync(conversationFolder(env, home, cwd), { recursive: true, mode: 0o700 });
  } catch {
    // A task without a conversation receives the last messages of its context before its prompt.
  }
}

function conversationFolder(env: Readonly<Record<string, string>>, home: string, cwd: string): string {
  return join(configFolder(env, home), 'projects', cwd.replaceAll(/[^a-zA-Z0-9]/g, '-'));
}

function configFolder(env: Readonly<Record<string, string>>, home: string): string {
  const chosen = env['CLAUDE_CONFIG_DIR'] ?? '';
  return chosen === '' ? join(home, '.claude') : chosen;
}
