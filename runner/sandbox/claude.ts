import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Shown } from './arguments.ts';
import { follow } from './paths.ts';

/**
 * What Claude Code keeps of the owner's own work: conversations, typed lines, copies of files. None of it is the task's business, and
 * Claude Code makes what it misses.
 */
const PRIVATE: ReadonlySet<string> = new Set([
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

/** The account. A token that was renewed and not written back would sign the owner out. */
const CREDENTIALS = '.credentials.json';

/** What Claude Code remembers of itself. */
const STATE = '.claude.json';

/**
 * What Claude Code finds of its own in the sandbox. Two things that it writes stay: the conversations of this working folder, which later
 * tasks of the context go on with, and the account. Settings, hooks, plugins, skills and MCP servers cannot be changed: the owner's own
 * Claude Code would run what a task put there, outside of any sandbox.
 * @param env of the program
 * @param cwd the working folder, without links
 * @param memoryFolders where claude-mem keeps its data. Its hooks talk to its worker over loopback; they read its settings and write
 *   a log. No worker must come to life in the sandbox: it would take the port of the real one and lose what it is told.
 */
export function claudeView(
  env: Readonly<Record<string, string>>,
  home: string,
  cwd: string,
  memoryFolders: readonly string[],
): Shown[] {
  const folder = configFolder(env, home);
  const state = join((env['CLAUDE_CONFIG_DIR'] ?? '') === '' ? home : folder, STATE);
  const conversations = conversationFolder(env, home, cwd);
  const view: Shown[] = [{ path: folder, as: 'scratch' }];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const from = follow(path)?.real;
    if (from === undefined || PRIVATE.has(name) || path === state) continue;
    view.push({ path, as: name === CREDENTIALS ? 'write' : 'read', from });
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
 * Makes the folder in which Claude Code keeps the conversations of a working folder. Where that fails they are not kept, which costs no
 * task its end.
 */
export function makeConversationFolder(
  env: Readonly<Record<string, string>>,
  home: string,
  cwd: string,
): void {
  try {
    mkdirSync(conversationFolder(env, home, cwd), { recursive: true, mode: 0o700 });
  } catch {
    // A task whose context has no conversation gets the last messages in front of its prompt.
  }
}

function conversationFolder(env: Readonly<Record<string, string>>, home: string, cwd: string): string {
  return join(configFolder(env, home), 'projects', cwd.replaceAll(/[^a-zA-Z0-9]/g, '-'));
}

function configFolder(env: Readonly<Record<string, string>>, home: string): string {
  const chosen = env['CLAUDE_CONFIG_DIR'] ?? '';
  return chosen === '' ? join(home, '.claude') : chosen;
}
