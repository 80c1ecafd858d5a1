import type Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { memoryKey } from '../format/keys.ts';

const JUNE = Date.UTC(2026, 5, 1, 9);
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3');
});
afterEach(() => fleet.close());

/** Writes a session with a prompt, a summary and an observation, as claude-mem does. */
function writeSession(db: Database.Database, name: string, memory: string): void {
  db.prepare(
    `INSERT INTO sdk_sessions (content_session_id, memory_session_id, project, user_prompt, started_at, started_at_epoch, status)
     VALUES (?, ?, 'garden', 'plant', '2026-06-01', ?, 'completed')`,
  ).run(name, memory, JUNE);
}

/** Writes the rows of a session, and which device they came from. */
function writeRows(db: Database.Database, session: string, memory: string, origin: string | null): void {
  const replica = { origin, local: origin === null ? null : '7', synced: origin === null ? null : JUNE };
  db.prepare(
    `INSERT INTO user_prompts (session_db_id, content_session_id, prompt_number, prompt_text, created_at, created_at_epoch, origin_device_id, origin_local_id, synced_at)
     VALUES ((SELECT id FROM sdk_sessions WHERE content_session_id = @session), @session, 1, 'water the roses', '2026-06-01', ${JUNE}, @origin, @local, @synced)`,
  ).run({ session, ...replica });
  db.prepare(
    `INSERT INTO session_summaries (memory_session_id, project, request, learned, created_at, created_at_epoch, origin_device_id, origin_local_id, synced_at)
     VALUES (@memory, 'garden', 'water', 'roses drink much', '2026-06-01', ${JUNE}, @origin, @local, @synced)`,
  ).run({ memory, ...replica });
}

const counts = (node: TestNode): number[] => [node.count('user_prompts'), node.count('session_summaries')];

describe('a memory that claude-mem’s own cloud sync also copies', () => {
  const sessions: readonly (readonly [title: string, content: string])[] = [
    ['its own session', 'chat'],
    ['a session that the cloud sync made up', 'mem-a'],
  ];
  for (const [title, content] of sessions) {
    it(`exists once when Membridge synced first, in ${title}`, async () => {
      writeSession(a.db, 'chat', 'mem-a');
      writeRows(a.db, 'chat', 'mem-a', null);
      await settle(fleet.space, [a, b]);
      const known = b.db.prepare('SELECT 1 FROM sdk_sessions WHERE content_session_id = ?').get(content);
      if (known === undefined) writeSession(b.db, content, 'mem-cloud');
      const memory = b.db
        .prepare('SELECT memory_session_id FROM sdk_sessions WHERE content_session_id = ?')
        .pluck();
      writeRows(b.db, content, String(memory.get(content)), 'device-of-a');
      await settle(fleet.space, [a, b]);
      // The cloud sync's own copy stays where it is; no other machine gets one.
      expect(counts(a)).toEqual([1, 1]);
      const c = fleet.add('c', '13.25.3');
      await settle(fleet.space, [c]);
      expect(counts(c)).toEqual([1, 1]);
    });

    it(`exists once when the cloud sync came first, in ${title}`, async () => {
      writeSession(a.db, 'chat', 'mem-a');
      writeRows(a.db, 'chat', 'mem-a', null);
      writeSession(b.db, content, 'mem-a');
      writeRows(b.db, content, 'mem-a', 'device-of-a');
      await settle(fleet.space, [b, a]);
      await settle(fleet.space, [b, a]);
      expect([counts(a), counts(b)]).toEqual([
        [1, 1],
        [1, 1],
      ]);
    });
  }

  it('keeps two identical rows of this machine separate', async () => {
    writeSession(a.db, 'chat', 'mem-a');
    writeRows(a.db, 'chat', 'mem-a', null);
    writeRows(a.db, 'chat', 'mem-a', null);
    await settle(fleet.space, [a, b]);
    expect(counts(b)).toEqual([2, 2]);
  });
});

it('inserts a session when another sync took both of its possible memory ids', async () => {
  writeSession(a.db, 'chat', 'mem-a');
  writeRows(a.db, 'chat', 'mem-a', null);
  const key = memoryKey('session', {}, { platform: 'claude', session: 'chat' });
  // The cloud sync names sessions that it creates by the memory id on the machine that the rows came from.
  for (const memory of ['mem-a', `membridge-${key.toString('hex').slice(0, 24)}`])
    writeSession(b.db, memory, memory);
  await settle(fleet.space, [a, b]);
  expect([counts(a), counts(b)]).toEqual([
    [1, 1],
    [1, 1],
  ]);
  const names = b.db.prepare('SELECT content_session_id FROM sdk_sessions').pluck().all();
  expect(names).toContain('chat');
});

describe('a conversation that the worker is having', () => {
  const now = Date.now();
  for (const release of ['12.0.0', '13.25.3']) {
    it(`may get another memory id, or none, although a peer has rows of it: ${release}`, async () => {
      const c = fleet.add('c', release);
      const resume = (db: Database.Database, memory: string): void => {
        db.prepare(
          `INSERT INTO sdk_sessions (content_session_id, memory_session_id, project, started_at, started_at_epoch, status)
           VALUES ('live', ?, 'garden', ?, ?, 'active')`,
        ).run(memory, new Date(now).toISOString(), now);
      };
      resume(c.db, 'mem-c');
      resume(a.db, 'mem-a');
      writeRows(a.db, 'live', 'mem-a', null);
      if (release === '12.0.0') {
        // As an upgrade of an old database left the tables.
        c.db.unsafeMode(true);
        c.db.pragma('writable_schema = ON');
        c.db.exec(
          `UPDATE sqlite_master SET sql = replace(sql, ' ON UPDATE CASCADE', '') WHERE type = 'table'`,
        );
        c.db.pragma('writable_schema = RESET');
      }
      await settle(fleet.space, [a, c]);
      c.db.pragma('foreign_keys = ON');
      const update = c.db.prepare(
        `UPDATE sdk_sessions SET memory_session_id = ? WHERE content_session_id = 'live'`,
      );
      expect(() => update.run('mem-c-2')).not.toThrow();
      expect(() => update.run(null)).not.toThrow();
      update.run('mem-c-3');
      c.db.exec(`UPDATE sdk_sessions SET status = 'completed'`);
      await settle(fleet.space, [a, c]);
      expect(c.count('session_summaries')).toBe(1);
    });
  }
});
