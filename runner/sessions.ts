import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { shorten } from './lines.ts';

/** Maximum number of messages in a session, and of characters in each. */
const MAX_MESSAGES = 50;
const MAX_MESSAGE_CHARS = 2_000;

/** Maximum number of sessions on a node, and their lifetime after the last use, in milliseconds. */
const MAX_SESSIONS = 500;
const SWEEP_EVERY = 50;
const SESSION_LIFETIME_MS = 30 * 24 * 3_600_000;

/** Number of messages, and of characters in each, that precede a prompt, as in the original. */
const RECALLED_MESSAGES = 10;
const RECALLED_CHARACTERS = 500;

/** Epoch milliseconds; the original wrote epoch seconds, or ISO 8601. */
const Moment = z.union([z.number(), z.string()]).transform((value, context) => {
  const ms = typeof value === 'string' ? Date.parse(value) : value < 1e11 ? value * 1_000 : value;
  if (Number.isFinite(ms)) return Math.round(ms);
  context.addIssue('is no moment');
  return z.NEVER;
});

const Message = z.object({ role: z.string(), content: z.string(), ts: Moment });

/**
 * A node's record of a context, in the original's format; the last two fields are ours. Times are epoch
 * milliseconds.
 */
const Session = z.object({
  context_id: z.string(),
  messages: z.array(Message),
  created_at: Moment,
  last_used: Moment,
  total_tasks: z.number().int().nonnegative(),
  /** The Claude Code conversation to continue. */
  claude_session_id: z.string().nullable().default(null),
  /** The folder of that conversation, because Claude Code finds it only there. */
  cwd: z.string().nullable().default(null),
});
export type Session = z.infer<typeof Session>;

/** A task's contribution to the session of its context. */
export interface Exchange {
  readonly prompt: string;
  readonly answer: string;
  /** Null when the program has no conversations; a known one stays. */
  readonly claudeSessionId: string | null;
  readonly cwd: string;
}

/** Pending work, by file. */
const turns = new Map<string, Promise<unknown>>();

/** Returns the session of a context; null when there is none, or none used in the last 30 days. */
export async function readSession(dir: string, contextId: string): Promise<Session | null> {
  const path = join(dir, fileName(contextId));
  return await runInTurn(path, () => load(path, contextId));
}

/** Returns every session, the last used first. */
export async function listSessions(dir: string): Promise<Session[]> {
  const names = (await namesIn(dir)).filter((name) => name.endsWith('.json'));
  const sessions: Session[] = [];
  for (const name of names) {
    const path = join(dir, name);
    const session = await runInTurn(path, () => load(path, null));
    if (session !== null) sessions.push(session);
  }
  return sessions.sort((one, other) => other.last_used - one.last_used).slice(0, MAX_SESSIONS);
}

/**
 * Adds a successful task to the session of its context. Concurrent calls for one context run one after
 * another.
 * @throws the file system's error when it cannot be written; the file is then unchanged
 */
export async function recordExchange(dir: string, contextId: string, exchange: Exchange): Promise<Session> {
  const path = join(dir, fileName(contextId));
  return await runInTurn(path, async () => {
    const now = Date.now();
    const former = await load(path, contextId);
    const message = (role: string, content: string): z.infer<typeof Message> => ({
      role,
      content: shorten(content, MAX_MESSAGE_CHARS),
      ts: now,
    });
    const session: Session = {
      context_id: contextId,
      messages: [
        ...(former?.messages ?? []),
        message('user', exchange.prompt),
        message('assistant', exchange.answer),
      ].slice(-MAX_MESSAGES),
      created_at: former?.created_at ?? now,
      last_used: now,
      total_tasks: (former?.total_tasks ?? 0) + 1,
      claude_session_id: exchange.claudeSessionId ?? former?.claude_session_id ?? null,
      cwd: exchange.claudeSessionId === null ? (former?.cwd ?? null) : exchange.cwd,
    };
    await writeWhole(dir, path, JSON.stringify(session));
    await sweepNowAndThen(dir);
    return session;
  });
}

/** Returns the last messages of a session as text before a prompt; empty when there are none. */
export function recall(session: Session | null): string {
  const recent = session?.messages.slice(-RECALLED_MESSAGES) ?? [];
  if (recent.length === 0) return '';
  const lines = recent.map(({ role, content }) => `${role}: ${shorten(content, RECALLED_CHARACTERS)}`);
  return `<conversation>\n${lines.join('\n').replaceAll(/<(\/?conversation)/gi, '‹$1')}\n</conversation>\n\n`;
}

/**
 * Returns a name that is safe in any file system: the context's own if possible (as in the original), else
 * one with a hash.
 */
function fileName(contextId: string): string {
  if (/^[a-z0-9][a-z0-9_-]{0,99}$/.test(contextId)) return `${contextId}.json`;
  const hash = createHash('sha256').update(contextId).digest('hex').slice(0, 16);
  return `${contextId.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 60)}.${hash}.json`;
}

/** @param contextId the required owner of the session; null for any */
async function load(path: string, contextId: string | null): Promise<Session | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const session = parse(text);
  if (session === null || (contextId !== null && session.context_id !== contextId)) {
    // Moved aside for inspection; the context starts a new one.
    await rename(path, `${path}.damaged`);
    return null;
  }
  return session.last_used < Date.now() - SESSION_LIFETIME_MS ? null : session;
}

function parse(text: string): Session | null {
  try {
    return Session.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** Writes a whole file or none: after a crash the old one remains. */
async function writeWhole(dir: string, path: string, text: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}.new`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Exchanges since the last sweep, by folder. */
const sinceSweep = new Map<string, number>();

/**
 * Sweeps at an agent's first exchange and then at every fiftieth: with hundreds of sessions a sweep costs
 * more than the exchange.
 */
async function sweepNowAndThen(dir: string): Promise<void> {
  const since = sinceSweep.get(dir) ?? 0;
  sinceSweep.set(dir, (since + 1) % SWEEP_EVERY);
  if (since === 0) await removeOld(dir);
}

/** Removes old sessions, the oldest of too many, and remnants of crashes. */
async function removeOld(dir: string): Promise<void> {
  const found: { path: string; usedAt: number; session: boolean }[] = [];
  for (const name of await namesIn(dir)) {
    if (!/\.json(?:\.damaged|\.[0-9a-f-]{36}\.new)?$/.test(name)) continue;
    const path = join(dir, name);
    const usedAt = (await stat(path).catch(() => null))?.mtimeMs ?? Date.now();
    found.push({ path, usedAt, session: name.endsWith('.json') });
  }
  const sessions = found.filter(({ session }) => session).sort((one, other) => other.usedAt - one.usedAt);
  const tooMany = new Set(sessions.slice(MAX_SESSIONS));
  const oldest = Date.now() - SESSION_LIFETIME_MS;
  for (const file of found) {
    if (file.usedAt < oldest || tooMany.has(file)) await rm(file.path, { force: true });
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Does the work after all earlier work on the file. */
async function runInTurn<T>(path: string, work: () => Promise<T>): Promise<T> {
  const before = turns.get(path) ?? Promise.resolve();
  const mine = before.then(work, work);
  turns.set(path, mine);
  try {
    return await mine;
  } finally {
    if (turns.get(path) === mine) turns.delete(path);
  }
}
