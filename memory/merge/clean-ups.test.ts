import type Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { judgeDeletion } from './clean-up.ts';
import { openObjectStore } from '../../storage/object-store.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';

let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3');
});
afterEach(() => fleet.close());

const JUNE = Date.UTC(2026, 5, 1);
let written = 0;

/** Writes observations of one session with these titles, each with a summary. */
function write(
  db: Database.Database,
  titles: readonly string[],
  text: (n: number) => string = (n) => `text ${n}`,
): void {
  const session = db.prepare('SELECT 1 FROM sdk_sessions WHERE content_session_id = ?').get('chat');
  if (session === undefined) {
    db.prepare(
      `INSERT INTO sdk_sessions (content_session_id, memory_session_id, project, started_at, started_at_epoch, status)
       VALUES ('chat', 'mem-chat', 'garden', '2026-06-01', ?, 'completed')`,
    ).run(JUNE);
  }
  for (const title of titles) {
    written += 1;
    db.prepare(
      `INSERT INTO observations (memory_session_id, project, type, title, narrative, content_hash, created_at, created_at_epoch)
       VALUES ('mem-chat', 'garden', 'discovery', ?, ?, ?, '2026-06-01', ?)`,
    ).run(title, text(written), `hash-${written}`, JUNE + written);
  }
}

const titles = (node: TestNode): string[] =>
  node.db
    .prepare('SELECT title FROM observations ORDER BY title, created_at_epoch')
    .pluck()
    .all() as string[];

const keepOne = (choose: 'min' | 'max', by: string): string =>
  `DELETE FROM observations WHERE id NOT IN (SELECT ${choose}(id) FROM observations GROUP BY ${by})`;

describe('two machines that run the same clean-up before they sync', () => {
  const rules: readonly (readonly [title: string, onA: string, onB: string])[] = [
    ['the oldest of each title on both', keepOne('min', 'project, title'), keepOne('min', 'project, title')],
    ['the oldest here and the newest there', keepOne('min', 'title'), keepOne('max', 'title')],
    ['one of each session', keepOne('min', 'memory_session_id'), keepOne('max', 'memory_session_id')],
  ];
  for (const [title, onA, onB] of rules) {
    it(`keep one of each: ${title}`, async () => {
      write(a.db, ['one', 'two', 'three', 'four', 'five']);
      await settle(fleet.space, [a]);
      write(b.db, ['one', 'two', 'three', 'four', 'five']);
      await settle(fleet.space, [b, a]);
      expect([a, b].map((node) => node.count('observations'))).toEqual([10, 10]);
      a.db.exec(onA);
      b.db.exec(onB);
      const left = new Set(titles(a));
      await settle(fleet.space, [a, b]);
      expect(titles(a)).toEqual(titles(b));
      expect(titles(a).length).toBe(left.size);
      expect(a.hash()).toBe(b.hash());
      for (const node of [a, b]) expectIntact(node.path, node.name);
    });
  }

  it('keep at least one of each on three machines that each keep another one', async () => {
    const c = fleet.add('c', '13.25.3');
    for (const node of [a, b, c]) {
      write(node.db, ['one', 'two', 'three']);
      await settle(fleet.space, [a, b, c]);
    }
    const [first, second, third] = a.db
      .prepare(`SELECT created_at_epoch FROM observations WHERE title = 'one' ORDER BY 1`)
      .pluck()
      .all() as number[];
    a.db.prepare(`DELETE FROM observations WHERE title = 'one' AND created_at_epoch <> ?`).run(first);
    b.db.prepare(`DELETE FROM observations WHERE title = 'one' AND created_at_epoch <> ?`).run(second);
    c.db.prepare(`DELETE FROM observations WHERE title = 'one' AND created_at_epoch <> ?`).run(third);
    await settle(fleet.space, [c, a, b]);
    for (const node of [a, b, c]) expect(titles(node)).toContain('one');
    expect(new Set([a, b, c].map((node) => node.hash())).size).toBe(1);
  });

  it('keep one when the kept text also exists in another session', async () => {
    write(a.db, ['one', 'two'], (n) => `said ${n}`);
    a.db
      .exec(`INSERT INTO sdk_sessions (content_session_id, memory_session_id, project, started_at, started_at_epoch, status)
      VALUES ('other', 'mem-other', 'garden', '2026-06-02', ${JUNE}, 'completed');
      INSERT INTO observations (memory_session_id, project, type, title, narrative, content_hash, created_at, created_at_epoch)
      SELECT 'mem-other', project, type, title, narrative, 'other', created_at, created_at_epoch + 1000
      FROM observations WHERE title = 'two'`);
    await settle(fleet.space, [a, b]);
    a.db.exec(`DELETE FROM observations WHERE title = 'two' AND memory_session_id = 'mem-chat'`);
    b.db.exec(`DELETE FROM observations WHERE title = 'one'`);
    await settle(fleet.space, [a, b]);
    expect(titles(a)).toEqual(['one', 'two']);
    expect(b.hash()).toBe(a.hash());
  });

  it('keep one of each when the store loses everything before the sync and both send again', async () => {
    write(a.db, ['one', 'two']);
    write(b.db, ['one', 'two']);
    await settle(fleet.space, [a, b, a]);
    for (const { db, engine } of [a, b]) {
      db.exec(keepOne('min', 'title'));
      await engine.push(fleet.space, CALL);
    }
    const store = openObjectStore(fleet.access);
    const prefix = `projects/${fleet.space.cid}/memory/v1/seg/`;
    for (const { key } of await store.list(prefix)) await store.remove(key);
    store.close();
    for (const { engine } of [a, b]) await engine.pull(fleet.space, true, CALL);
    await settle(fleet.space, [a, b]);
    expect([titles(a), titles(b)]).toEqual([
      ['one', 'two'],
      ['one', 'two'],
    ]);
    expect(a.hash()).toBe(b.hash());
  });

  it('keep one of two identical rows', async () => {
    write(a.db, ['one']);
    const row = a.db.prepare('SELECT * FROM observations').get() as Record<string, unknown>;
    const columns = Object.keys(row).filter((column) => column !== 'id');
    const twin = { ...row, content_hash: 'another' };
    a.db
      .prepare(
        `INSERT INTO observations (${columns.join()}) VALUES (${columns.map((column) => `@${column}`).join()})`,
      )
      .run(twin);
    await settle(fleet.space, [a, b]);
    expect(b.count('observations')).toBe(2);
    a.db.exec('DELETE FROM observations WHERE id = (SELECT min(id) FROM observations)');
    b.db.exec('DELETE FROM observations WHERE id = (SELECT max(id) FROM observations)');
    await settle(fleet.space, [a, b]);
    expect([a.count('observations'), b.count('observations')]).toEqual([1, 1]);
    expect(a.hash()).toBe(b.hash());
  });
});

describe('a deliberate deletion', () => {
  it('is sent even for the last memory that a clean-up left', async () => {
    write(a.db, ['one', 'one', 'two']);
    await settle(fleet.space, [a, b]);
    a.db.exec(keepOne('min', 'title'));
    await settle(fleet.space, [a, b]);
    expect(titles(b)).toEqual(['one', 'two']);
    b.db.exec(`DELETE FROM observations WHERE title = 'one'`);
    await settle(fleet.space, [a, b]);
    expect([titles(a), titles(b)]).toEqual([['two'], ['two']]);
  });

  it('removes all copies when all are deleted at once', async () => {
    write(a.db, ['one', 'one', 'two']);
    await settle(fleet.space, [a, b]);
    a.db.exec(`DELETE FROM observations WHERE title = 'one'`);
    await settle(fleet.space, [a, b]);
    expect(titles(b)).toEqual(['two']);
  });

  it('applies to a machine that joins later', async () => {
    write(a.db, ['one', 'one', 'two']);
    await settle(fleet.space, [a, b]);
    a.db.exec(keepOne('max', 'title'));
    await settle(fleet.space, [a, b]);
    await a.engine.snapshot(fleet.space, CALL);
    const c = fleet.add('c', '12.7.5');
    await settle(fleet.space, [c]);
    expect(titles(c)).toEqual(['one', 'two']);
  });
});

describe('deletions that name the kept memory', () => {
  const key = (n: number): Buffer => Buffer.alloc(32, n);

  it('leave exactly one memory of every cycle, and none of those deleted for good', () => {
    // For each of n memories: the memory that was kept when it was deleted, or none.
    const graph = fc
      .integer({ min: 2, max: 7 })
      .chain((n) => fc.array(fc.option(fc.nat(n - 1), { nil: null }), { minLength: n, maxLength: n }));
    fc.assert(
      fc.property(graph, (keptBy) => {
        const kept = keptBy.map((to, from) => (to === from ? null : to));
        const fateOf = (each: Buffer) => {
          const to = kept[each[0] ?? 0] ?? null;
          return { state: 'dead' as const, kept: to === null ? null : key(to) };
        };
        const survivors = kept.flatMap((to, from) =>
          to !== null && judgeDeletion(key(from), key(to), fateOf, () => true) === 'survives' ? [from] : [],
        );
        // Follow each chain until it closes into a cycle, if it does.
        const circles = new Set<string>();
        kept.forEach((_to, from) => {
          let at: number | null = from;
          for (let step = 0; step < kept.length && at !== null; step += 1) at = kept[at] ?? null;
          if (at === null) return;
          const circle = [at];
          for (let next = kept[at] ?? null; next !== null && next !== at; next = kept[next] ?? null)
            circle.push(next);
          circles.add(circle.sort((x, y) => x - y).join());
        });
        expect(survivors).toEqual(
          Array.from(circles, (circle) => Number(circle.split(',')[0])).sort((x, y) => x - y),
        );
      }),
    );
  });
});
