import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgeSegment } from '../test/git/forge.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../test/memory/nodes.ts';
import { memoryKey } from './format/keys.ts';
import { FIRST_PREV_SHA, readLines, sealSegment } from './format/segment.ts';
import { generateNodeKey } from './format/signing.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let honest: TestNode;
let hostile: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  honest = fleet.add('honest', '13.25.3');
  hostile = fleet.add('hostile', '13.25.3');
  seed(honest, 'first');
  await settle(fleet.space, [honest, hostile]);
});
afterEach(() => fleet.close());

function seed(node: TestNode, name: string): void {
  node.write.session({
    contentSessionId: `s-${name}`,
    memorySessionId: `m-${name}`,
    project: 'open',
    startedAt: JANUARY,
  });
  node.write.observation({
    memorySessionId: `m-${name}`,
    project: 'open',
    title: name,
    narrative: 'text',
    createdAt: JANUARY,
  });
}

/** Builds an observation of the honest node's session with arbitrary columns. */
function observation(title: string, columns: object, ver: unknown = [1, 1, 'hostile']): object {
  const set = { created_at_epoch: JANUARY + 7, type: 'discovery', title };
  return {
    kind: 'observation',
    key: memoryKey('observation', set, null).toString('hex'),
    ver,
    set: { ...set, project: 'open', created_at: 'x', ...columns },
    of: { platform: 'claude', session: 's-first' },
  };
}

describe('a compromised peer', () => {
  it.each([
    ['a local id that is none', { id: 'abc' }],
    ['the largest local id', { id: 2 ** 53 - 2 }],
    ['the column of another machine', { memory_session_id: 'elsewhere', sync_rev: 'x' }],
    ['a column that is called as a register', { of: 'junk', life: 'junk' }],
  ])('neither stops the others nor uses up ids with %s', async (_name, columns) => {
    await forgeSegment(hostile, fleet.space.cid, [observation('told', columns)]);
    expect((await honest.engine.pull(fleet.space, true, CALL)).inserted).toBe(1);
    seed(honest, 'later');
    expect((await honest.engine.push(fleet.space, CALL)).rows).toBe(2);
    expect(honest.db.prepare('SELECT max(id) FROM observations').pluck().get()).toBe(3);
  });

  it('creates no memory with a counter that leaves no room for later writes', async () => {
    await forgeSegment(hostile, fleet.space.cid, [
      observation('not plausible', {}, [2 ** 40, 1, 'hostile']),
      observation('plausible', {}),
    ]);
    expect((await honest.engine.pull(fleet.space, true, CALL)).inserted).toBe(1);
    expect(honest.db.prepare('SELECT title FROM observations ORDER BY id').pluck().all()).toEqual([
      'first',
      'plausible',
    ]);
  });
});

describe('an operation that needs a later version', () => {
  it('is read after the upgrade', async () => {
    await forgeSegment(hostile, fleet.space.cid, [
      { kind: 'tool_use', key: '0'.repeat(64), ver: [1, 1, 'hostile'], set: {} },
    ]);
    expect((await honest.engine.pull(fleet.space, true, CALL)).problems).toHaveLength(1);
    expect((await honest.engine.pull(fleet.space, true, CALL)).problems).toEqual([]);
    await honest.engine.close();
    const ledger = new Database(honest.options.ledgerPath);
    ledger.exec(`UPDATE meta SET value = 0 WHERE name = 'reads'`);
    ledger.close();
    const upgraded = fleet.reopen(honest, {});
    // The store holds nothing new; the upgraded node fetches the segment again on its own.
    expect((await upgraded.pull(fleet.space, false, CALL)).problems).toHaveLength(1);
    await upgraded.close();
  });
});

describe('an oversized segment', () => {
  const place = { space: 'c', node: 'n', epoch: 'e', seq: 1, prevSha: FIRST_PREV_SHA, schema: 'x' };

  it('is refused before it is split when it unpacks to millions of lines', () => {
    const { bytes } = sealSegment(place, ['\n'.repeat(40_000_000)], generateNodeKey().key);
    expect(bytes.length).toBeLessThan(10_000);
    expect(() => readLines(bytes)).toThrow('it holds 40000001 operations where 1 were signed');
  });

  it('is refused when it unpacks to more than memory holds', () => {
    const { bytes } = sealSegment(place, ['x'.repeat(65 * 2 ** 20)], generateNodeKey().key);
    expect(() => readLines(bytes)).toThrow();
  });

  it('is refused when it is signed for more operations than any node sends', () => {
    const { bytes } = sealSegment(
      place,
      Array.from({ length: 20_000 }, () => '{}'),
      generateNodeKey().key,
    );
    expect(() => readLines(bytes)).toThrow('20000 operations');
  });
});
