import type Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { foldName } from '../claude-mem/project-names.ts';
import { SpaceProjects } from './space-projects.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';

let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3');
});
afterEach(() => fleet.close());

/** Writes a session of a project with a prompt, an observation and a summary. */
function writeSession(db: Database.Database, project: string, merged: string | null = null): void {
  const at = Date.UTC(2026, 5, 1) + Math.floor(Math.random() * 1e9);
  const name = `${project}-${merged ?? ''}-${at}`;
  const iso = new Date(at).toISOString();
  const { lastInsertRowid: session } = db
    .prepare(
      `INSERT INTO sdk_sessions (content_session_id, memory_session_id, project, started_at, started_at_epoch, status)
       VALUES (?, ?, ?, ?, ?, 'completed')`,
    )
    .run(name, `m-${name}`, project, iso, at);
  db.prepare(
    `INSERT INTO user_prompts (session_db_id, content_session_id, prompt_number, prompt_text, created_at, created_at_epoch)
     VALUES (?, ?, 1, ?, ?, ?)`,
  ).run(session, name, `asked in ${name}`, iso, at);
  for (const [table, column] of [
    ['observations', 'narrative'],
    ['session_summaries', 'learned'],
  ] as const) {
    const type =
      table === 'observations' ? { column: ', type', value: `, 'discovery'` } : { column: '', value: '' };
    db.prepare(
      `INSERT INTO ${table} (memory_session_id, project, ${column}, merged_into_project, created_at, created_at_epoch${type.column})
       VALUES (?, ?, ?, ?, ?, ?${type.value})`,
    ).run(`m-${name}`, project, `learned in ${name}`, merged, iso, at);
  }
}

/** Counts the places in a database that name a project: as its own, in a session's name or in a text. */
const mentions = (db: Database.Database, word: string): number =>
  db
    .prepare(
      `SELECT (SELECT count(*) FROM sdk_sessions WHERE project || content_session_id || ifnull(memory_session_id, '') LIKE @w)
       + (SELECT count(*) FROM user_prompts WHERE prompt_text LIKE @w)
       + (SELECT count(*) FROM observations WHERE project || ifnull(merged_into_project, '') || narrative LIKE @w)
       + (SELECT count(*) FROM session_summaries WHERE project || ifnull(merged_into_project, '') || learned LIKE @w)`,
    )
    .pluck()
    .get({ w: `%${word}%` }) as number;

describe('an excluded project', () => {
  const variants: readonly (readonly [title: string, project: string, merged: string | null])[] = [
    ['itself', 'client-x', null],
    ['a worktree of it', 'client-x/feature-7', null],
    ['a worktree of a worktree', 'client-x/feature-7/try', null],
    ['its name in other letter case', 'Client-X', null],
    ['a worktree in other letter case', 'CLIENT-X/Feature', null],
    ['its name with another dash', 'client\u2011x', null],
    ['its name with a character that nobody sees', 'client-\u200bx', null],
    ['its name in wide letters', '\uff43lient-x', null],
    ['its name with a space behind it', 'client-x ', null],
    ['rows that were adopted into it', 'client-copy', 'client-x'],
    ['rows that were adopted into a worktree of it', 'client-copy', 'client-x/feature-7'],
    ['rows that were adopted into its look-alike', 'client-copy', 'CLIENT-X'],
  ];
  for (const [title, project, merged] of variants) {
    it(`stays on its machine: ${title}`, async () => {
      const space = { ...fleet.space, excluded: ['client-x'] };
      writeSession(a.db, project, merged);
      writeSession(a.db, 'garden');
      const pushed = await a.engine.push(space, CALL);
      await settle(space, [a, b]);
      expect(b.db.prepare('SELECT DISTINCT project FROM sdk_sessions').pluck().all()).toEqual(['garden']);
      expect(mentions(b.db, 'client') + mentions(b.db, 'feature') + mentions(b.db, 'CLIENT')).toBe(0);
      const withheld = pushed.withheld ?? [];
      expect(withheld.map(({ project: name }) => name)).toContain(project);
      expect(withheld.every(({ reason, rows }) => reason.includes('excluded') && rows > 0)).toBe(true);
    });
  }

  it('stays on its machine in composed and decomposed letters', async () => {
    const space = { ...fleet.space, excluded: ['caf\u00e9'] };
    writeSession(a.db, 'cafe\u0301');
    writeSession(a.db, 'Cafe\u0301/wt');
    writeSession(a.db, 'garden');
    await settle(space, [a, b]);
    expect(b.db.prepare('SELECT DISTINCT project FROM sdk_sessions').pluck().all()).toEqual(['garden']);
  });

  it('stays on its machine by the name that this node gives it', async () => {
    const space = { ...fleet.space, excluded: ['client-x'], names: { 'work-laptop': 'client-x' } };
    writeSession(a.db, 'work-laptop/wt');
    writeSession(a.db, 'Work-Laptop');
    writeSession(a.db, 'garden');
    await settle(space, [a]);
    await settle(fleet.space, [b]);
    expect(b.db.prepare('SELECT DISTINCT project FROM sdk_sessions').pluck().all()).toEqual(['garden']);
  });

  it('does not exclude a name that only begins like it', async () => {
    writeSession(a.db, 'client-xylophone');
    await settle({ ...fleet.space, excluded: ['client-x'] }, [a, b]);
    expect(b.count('observations')).toBe(1);
  });

  it('keeps a row with its project when it is later merged into an excluded one', async () => {
    const space = { ...fleet.space, excluded: ['client-x'] };
    writeSession(a.db, 'garden');
    await settle(space, [a, b]);
    a.db.exec(`UPDATE observations SET merged_into_project = 'client-x'`);
    await settle(space, [a, b]);
    expect(mentions(b.db, 'client-x')).toBe(0);
  });
});

describe('a space of one project', () => {
  it('holds what claude-mem shows for the project: its worktrees and what was merged into it', async () => {
    const space = { ...fleet.space, projects: ['myrepo'] };
    writeSession(a.db, 'myrepo');
    writeSession(a.db, 'myrepo/wt');
    writeSession(a.db, 'elsewhere/wt', 'myrepo');
    writeSession(a.db, 'myrepository');
    writeSession(a.db, 'other');
    await settle(space, [a, b]);
    expect(b.count('observations')).toBe(3);
    expect(b.count('session_summaries')).toBe(3);
    expect(b.count('user_prompts')).toBe(3);
    const projects = b.db.prepare('SELECT DISTINCT project FROM observations ORDER BY 1').pluck().all();
    expect(projects).toEqual(['elsewhere/wt', 'myrepo', 'myrepo/wt']);
  });

  it('takes in rows when they are merged into the project', async () => {
    const space = { ...fleet.space, projects: ['myrepo'] };
    writeSession(a.db, 'try-out');
    await settle(space, [a, b]);
    expect(b.count('observations')).toBe(0);
    a.db.exec(`UPDATE observations SET merged_into_project = 'myrepo'`);
    a.db.exec(`UPDATE session_summaries SET merged_into_project = 'myrepo'`);
    await settle(space, [a, b]);
    expect([b.count('observations'), b.count('session_summaries'), b.count('user_prompts')]).toEqual([
      1, 1, 1,
    ]);
  });

  it('names worktrees after their projects on each node', async () => {
    const onA = { ...fleet.space, projects: ['web'], names: { 'web-laptop': 'web' } };
    const onB = { ...fleet.space, projects: ['web'], names: {} };
    writeSession(a.db, 'web-laptop/wt');
    await a.engine.push(onA, CALL);
    await b.engine.pull(onB, true, CALL);
    expect(b.db.prepare('SELECT DISTINCT project FROM observations').pluck().all()).toEqual(['web/wt']);
    writeSession(b.db, 'web/other');
    await b.engine.push(onB, CALL);
    await a.engine.pull(onA, true, CALL);
    const onLaptop = a.db.prepare('SELECT DISTINCT project FROM observations ORDER BY 1').pluck().all();
    expect(onLaptop).toEqual(['web-laptop/other', 'web-laptop/wt']);
  });
});

describe('names of projects', () => {
  const name = fc.stringMatching(/^[a-c](\/?[a-c-]){0,6}$/);

  it('come back from the space unchanged, unless another project has the name', () => {
    fc.assert(
      fc.property(name, name, name, (local, space, tail) => {
        fc.pre(!`${local}/${tail}`.startsWith(space) && !`${space}/${tail}`.startsWith(local));
        const projects = new SpaceProjects({ projects: ['*'], names: { [local]: space } });
        const row = { project: `${local}/${tail}` };
        expect(projects.rowToLocal(projects.rowToSpace(row))).toEqual(row);
      }),
    );
  });

  it('are excluded in every spelling that folds to the same name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (project) => {
        fc.pre(foldName(project) !== '');
        const projects = new SpaceProjects({ projects: ['*'], excluded: [project] });
        for (const spelling of [
          project,
          project.toUpperCase(),
          project.normalize('NFD'),
          ` ${project}`,
          `${project}/wt`,
        ]) {
          expect(projects.exclusionOf({ project: spelling, merged: null })).not.toBeNull();
          expect(projects.covers({ project: 'garden-of-somebody', merged: spelling })).toBe(false);
        }
      }),
    );
  });
});
