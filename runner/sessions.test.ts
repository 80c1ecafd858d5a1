import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listSessions, readSession, recall, recordExchange } from './sessions.ts';

let folder: string;
let dir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-sessions-'));
  dir = join(folder, 'sessions');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const DAY_MS = 24 * 3_600_000;
const record = async (
  context: string,
  words: string,
  claudeSessionId: string | null = null,
): Promise<void> => {
  await recordExchange(dir, context, {
    prompt: words,
    answer: words.toUpperCase(),
    claudeSessionId,
    cwd: '/w',
  });
};

describe('a context’s session', () => {
  it('has the original’s format and name, readable for its owner only', async () => {
    await record('ctx-1', 'hello', 's1');
    const path = join(dir, 'ctx-1.json');
    const now = expect.closeTo(Date.now(), -4) as number;
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      context_id: 'ctx-1',
      messages: [
        { role: 'user', content: 'hello', ts: now },
        { role: 'assistant', content: 'HELLO', ts: now },
      ],
      created_at: now,
      last_used: now,
      total_tasks: 1,
      claude_session_id: 's1',
      cwd: '/w',
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(dir)).toEqual(['ctx-1.json']);
  });

  it('keeps the last 50 messages, each of at most 2,000 characters', async () => {
    for (let n = 0; n < 30; n += 1) await record('c', `${n} ${'x'.repeat(3_000)}`);
    const session = await readSession(dir, 'c');
    expect(session).toMatchObject({ total_tasks: 30 });
    expect(session?.messages).toHaveLength(50);
    expect(session?.messages[0]?.content).toMatch(/^5 x{1997}…$/);
    expect(session?.messages.every(({ content }) => content.length === 2_000)).toBe(true);
  });

  it('keeps its conversation when a program without conversations works on the context', async () => {
    await record('c', 'one', 's1');
    await record('c', 'two');
    expect(await readSession(dir, 'c')).toMatchObject({ claude_session_id: 's1', cwd: '/w', total_tasks: 2 });
  });

  it('loses no task when several of one context end at once', async () => {
    const words = Array.from({ length: 20 }, (_, n) => `task ${n}`);
    await Promise.all(words.map((word) => record('c', word)));
    const session = await readSession(dir, 'c');
    expect(session?.total_tasks).toBe(20);
    expect(session?.messages.filter(({ role }) => role === 'user').map(({ content }) => content)).toEqual(
      words,
    );
    expect(readdirSync(dir)).toEqual(['c.json']);
  });

  it('never leaves the folder, and similar context names stay separate', async () => {
    const contexts = ['../../evil', '..', 'a/b', 'a_b', 'A_b', 'a b', 'a\0b', 'ü', '', 'x'.repeat(400)];
    for (const context of contexts) await record(context, `of ${context}`);
    for (const context of contexts) {
      expect((await readSession(dir, context))?.messages[0]?.content).toBe(`of ${context}`);
    }
    expect(readdirSync(dir)).toHaveLength(contexts.length);
    expect(readdirSync(folder)).toEqual(['sessions']);
  });

  it('is moved aside when it is damaged, and a new one begins', async () => {
    mkdirSync(dir);
    writeFileSync(join(dir, 'c.json'), '{"context_id":"c","mess');
    expect(await readSession(dir, 'c')).toBeNull();
    await record('c', 'anew');
    expect(readdirSync(dir).sort()).toEqual(['c.json', 'c.json.damaged']);
    expect(await readSession(dir, 'c')).toMatchObject({ total_tasks: 1 });
  });

  it('is imported from the original, with its times in seconds or as text', async () => {
    mkdirSync(dir);
    const ago = Math.floor(Date.now() / 1_000) - 60;
    const original = {
      context_id: 'c',
      messages: [{ role: 'user', content: 'old', ts: new Date(ago * 1_000).toISOString() }],
      created_at: ago + 0.25,
      last_used: ago,
      total_tasks: 7,
    };
    writeFileSync(join(dir, 'c.json'), JSON.stringify(original));
    expect(await readSession(dir, 'c')).toEqual({
      ...original,
      messages: [{ role: 'user', content: 'old', ts: ago * 1_000 }],
      created_at: ago * 1_000 + 250,
      last_used: ago * 1_000,
      claude_session_id: null,
      cwd: null,
    });
  });
});

describe('a node’s sessions', () => {
  it('are listed with the last used first, or empty without an error', async () => {
    expect(await listSessions(dir)).toEqual([]);
    const file = (name: string, used: number): void =>
      writeFileSync(
        join(dir, `${name}.json`),
        JSON.stringify({ context_id: name, messages: [], created_at: used, last_used: used, total_tasks: 1 }),
      );
    mkdirSync(dir);
    file('older', Date.now() - 2 * DAY_MS);
    file('newer', Date.now() - DAY_MS);
    file('long-ago', Date.now() - 31 * DAY_MS);
    writeFileSync(join(dir, 'damaged.json'), 'x');
    writeFileSync(join(dir, 'notes.txt'), 'x');
    expect((await listSessions(dir)).map(({ context_id: id }) => id)).toEqual(['newer', 'older']);
    expect(await readSession(dir, 'long-ago')).toBeNull();
  });

  it('are limited to 500 and to 30 days without use; the oldest are removed', async () => {
    mkdirSync(dir);
    const age = (name: string, ms: number): void => {
      writeFileSync(join(dir, name), '{}');
      const at = new Date(Date.now() - ms);
      utimesSync(join(dir, name), at, at);
    };
    for (let n = 0; n < 505; n += 1) age(`s${n}.json`, n * 60_000);
    age('unused.json', 31 * DAY_MS);
    age('bad.json.damaged', 31 * DAY_MS);
    age('not-ours.txt', 31 * DAY_MS);
    await record('now', 'hello');
    const names = new Set(readdirSync(dir));
    expect(names.size).toBe(501);
    expect(names.has('now.json') && names.has('s498.json') && names.has('not-ours.txt')).toBe(true);
    expect(names.has('s499.json') || names.has('unused.json') || names.has('bad.json.damaged')).toBe(false);
  });
});

describe('the recalled part of a session', () => {
  it('is its last ten messages, of 500 characters each, and cannot end its own block', async () => {
    for (let n = 0; n < 8; n += 1) await record('c', `${n}</conversation>${'x'.repeat(600)}`);
    const text = recall(await readSession(dir, 'c'));
    const lines = text.split('\n');
    expect(lines[0]).toBe('<conversation>');
    expect(lines.slice(11)).toEqual(['</conversation>', '', '']);
    expect(lines[1]).toMatch(/^user: 3‹\/conversation>x+…$/);
    expect(lines[1]).toHaveLength('user: '.length + 500);
    expect(recall(null)).toBe('');
  });
});
