import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../test/memory/nodes.ts';
import { segmentsPrefix } from './format/layout.ts';
import { readLines } from './format/segment.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const TOKEN = `sk-ant-${'a'.repeat(40)}`;
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
let excluding: SpaceConfig;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3', { orphanWaitMs: 0 });
  excluding = { ...fleet.space, excluded: ['secret'] };
});
afterEach(() => fleet.close());

/** Returns everything that was ever sent as text, bytes that are not UTF-8 included. */
async function sent(): Promise<string> {
  const { store } = a.options;
  const lines: string[] = [];
  for (const prefix of [segmentsPrefix(fleet.space.cid), `projects/${fleet.space.cid}/memory/v1/snap/`]) {
    for (const { key } of await store.list(prefix)) {
      if (key.endsWith('.mbs')) lines.push(...readLines((await store.get(key)) ?? Buffer.alloc(0)).lines);
    }
  }
  const decode = (_line: string, base64: string): string => Buffer.from(base64, 'base64').toString('latin1');
  return lines.join('\n').replace(/\{"\$(?:text|blob)":"([^"]*)"\}/g, decode);
}

/** Writes a session of one project with an observation of another, as after a move into a worktree. */
function seed(session: string, observation: string): void {
  a.write.session({
    contentSessionId: 's',
    memorySessionId: 'm',
    project: session,
    userPrompt: 'the merger with ACME',
    startedAt: JANUARY,
  });
  a.write.observation({
    memorySessionId: 'm',
    project: observation,
    title: 't',
    narrative: 'n',
    createdAt: JANUARY,
  });
}
const column = (node: TestNode, name: string, table = 'sdk_sessions'): unknown =>
  node.db.prepare(`SELECT ${name} FROM ${table}`).pluck().get();

describe('a session of an excluded project', () => {
  it('stays here with its rows, and is sent once its project is no longer excluded', async () => {
    seed('secret', 'open');
    await a.engine.push(excluding, CALL);
    await b.engine.pull(excluding, true, CALL);
    expect(b.db.prepare(`SELECT user_prompt FROM sdk_sessions`).pluck().all()).not.toContain(
      'the merger with ACME',
    );
    expect(column(b, 'title', 'observations')).toBe('t');
    expect(await sent()).not.toMatch(/ACME|secret/);
    await settle(fleet.space, [a, b]);
    expect(column(b, 'user_prompt')).toBe('the merger with ACME');
    expect(b.hash()).toBe(a.hash());
  });

  it('sends changes made during the exclusion of its project only after that ends', async () => {
    seed('open', 'open');
    await settle(excluding, [a, b]);
    a.db.exec(`UPDATE sdk_sessions SET project = 'secret', custom_title = 'ACME'`);
    a.db.exec(`UPDATE observations SET project = 'secret', concepts = '["takeover"]'`);
    await a.engine.audit(CALL, { deep: true });
    await a.engine.push(excluding, CALL);
    await a.engine.snapshot(excluding, CALL);
    expect(await sent()).not.toMatch(/secret|takeover|"custom_title":"ACME"/);
    expect((await a.engine.push(excluding, CALL)).rows).toBe(0);
    // A node that starts from that snapshot still gets the memories.
    const c = fleet.add('c', '12.7.5');
    await c.engine.pull(excluding, true, CALL);
    expect(column(c, 'title', 'observations')).toBe('t');
    expect(c.count('sdk_sessions')).toBe(1);

    await settle(fleet.space, [a, b, c]);
    for (const node of [b, c]) expect(column(node, 'project'), node.name).toBe('secret');
    expect([b.hash(), c.hash()]).toEqual([a.hash(), a.hash()]);
  });

  it('stays here when its deleted rows are written again while excluded', async () => {
    seed('open', 'open');
    await settle(excluding, [a, b]);
    a.db.exec('DELETE FROM sdk_sessions');
    await a.engine.audit(CALL, { deep: true });
    await settle(excluding, [a, b]);
    seed('secret', 'secret');
    await a.engine.push(excluding, CALL);
    await a.engine.snapshot(excluding, CALL);
    await b.engine.pull(excluding, true, CALL);
    expect(await sent()).not.toContain('secret');
    expect([a.count('observations'), b.count('observations')]).toEqual([1, 0]);
    await settle(fleet.space, [a, b]);
    expect(b.count('observations')).toBe(1);
    expect(b.hash()).toBe(a.hash());
  });

  it('sends what was withheld when a memory moves to another project', async () => {
    seed('open', 'open');
    await settle(excluding, [a, b]);
    a.db.exec(`UPDATE sdk_sessions SET project = 'secret', custom_title = 'A walk'`);
    await a.engine.audit(CALL, { deep: true });
    await a.engine.push(excluding, CALL);
    a.db.exec(`UPDATE sdk_sessions SET project = 'garden'`);
    await a.engine.audit(CALL, { deep: true });
    await settle(excluding, [a, b]);
    expect(column(b, 'custom_title')).toBe('A walk');
    expect(b.hash()).toBe(a.hash());
  });
});

describe('redaction before sending', () => {
  it('removes secrets from columns that this version does not know; the columns arrive where a place exists', async () => {
    const c = fleet.add('c', '13.25.3');
    for (const node of [a, b]) node.db.exec('ALTER TABLE observations ADD COLUMN raw_output TEXT');
    for (const node of [a, b]) node.db.exec('ALTER TABLE sdk_sessions ADD COLUMN mood TEXT');
    seed('open', 'open');
    a.db.prepare('UPDATE observations SET raw_output = ?').run(`token ${TOKEN}`);
    a.db.exec(`UPDATE sdk_sessions SET mood = 'cheerful'`);
    await c.engine.pull(fleet.space, true, CALL);
    await a.engine.push(fleet.space, CALL);
    expect(await sent()).not.toContain('sk-ant-aaaa');
    for (const node of [b, c]) await node.engine.pull(fleet.space, true, CALL);
    expect(column(b, 'raw_output', 'observations')).toBe('token [redacted:anthropic-key]');
    expect(column(b, 'mood')).toBe('cheerful');
    // The column comes back with the rest from a machine that has no place for it.
    await c.engine.close();
    c.db.exec('ALTER TABLE observations ADD COLUMN raw_output TEXT');
    const upgraded = fleet.reopen(c, {});
    await upgraded.pull(fleet.space, true, CALL);
    await upgraded.close();
    expect(column(c, 'raw_output', 'observations')).toBe('token [redacted:anthropic-key]');
  });

  it.each(['TEXT', 'BLOB'])('removes secrets from a %s that is not UTF-8', async (type) => {
    seed('open', 'open');
    const bytes = Buffer.concat([Buffer.from(`token ${TOKEN}`), Buffer.from([0xff, 0xa0])]);
    a.db.prepare(`UPDATE observations SET narrative = CAST(? AS ${type})`).run(bytes);
    await settle(fleet.space, [a, b]);
    expect(await sent()).not.toContain('sk-ant-aaaa');
    const { narrative } = b.db
      .prepare('SELECT CAST(narrative AS BLOB) AS narrative FROM observations')
      .get() as { narrative: Buffer };
    expect(narrative.toString('latin1')).toBe('token [redacted:anthropic-key]\u00ff\u00a0');
  });
});
