import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryKey } from '../../memory/keys.ts';
import { readRecentMemory } from '../../runner/hint-memory.ts';
import { forgeSegment } from '../forge.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../nodes.ts';

const DAY = 24 * 3_600_000;
let fleet: TestFleet;
let honest: TestNode;
let hostile: TestNode;
let time: number;
beforeEach(async () => {
  fleet = await newFleet();
  time = Date.now();
  honest = fleet.add('honest', '13.25.3', { now: () => time });
  hostile = fleet.add('hostile', '13.25.3');
  for (const node of [honest, hostile]) {
    const session = { contentSessionId: 's', memorySessionId: 'm', project: 'open', startedAt: time - DAY };
    node.write.session(session);
  }
  await settle(fleet.space, [honest, hostile]);
});
afterEach(() => fleet.close());

function told(columns: object): object {
  const set = { created_at_epoch: time, type: 'discovery', title: 'first for ever', ...columns };
  return {
    kind: 'observation',
    key: memoryKey('observation', set, null).toString('hex'),
    ver: [1, 1, 'hostile'],
    set: { project: 'open', created_at: 'x', ...set },
    of: { platform: 'claude', session: 's' },
  };
}

const titles = (): unknown[] => honest.db.prepare('SELECT title FROM observations').pluck().all();

describe('S6: what has no possible date comes before no other memory', () => {
  it.each([
    ['the last date of JavaScript', { created_at_epoch: 8.64e15 }],
    ['a number that is no date', { created_at_epoch: 1e300 }],
    ['infinity', { created_at_epoch: { $real: 'Infinity' } }],
    ['a whole number above 2^53', { created_at_epoch: { $int: '9223372036854775807' } }],
    ['digits as text', { created_at_epoch: '99999999999999' }],
    ['digits as bytes', { created_at_epoch: { $text: Buffer.from('99999999999999').toString('base64') } }],
    ['a date in words', { created_at: '9999-12-31T00:00:00Z' }],
  ])('with %s', async (_name, columns) => {
    await forgeSegment(hostile, fleet.space.cid, [told(columns)]);
    await honest.engine.pull(fleet.space, true, CALL);
    expect(titles()).toEqual([]);
  });

  it('but what an honest machine tells whose clock is wrong by ten years comes in', async () => {
    await forgeSegment(hostile, fleet.space.cid, [told({ created_at_epoch: time + 3_650 * DAY })]);
    await honest.engine.pull(fleet.space, true, CALL);
    expect(titles()).toEqual(['first for ever']);
  });

  it.each(['8640000000000001', '1e300', "'soon'", "x'00'", String(Date.now() + 3 * DAY)])(
    'and a hint about recent memories neither fails nor begins with it where it is here: %s',
    (value) => {
      honest.write.observation({
        memorySessionId: 'm',
        project: 'open',
        title: 'true',
        narrative: 'text',
        createdAt: time - DAY,
      });
      honest.db.exec(
        `INSERT INTO observations (memory_session_id, project, type, title, narrative, content_hash, created_at, created_at_epoch)
         VALUES ('m', 'open', 'discovery', 'false', 'text', 'h', 'x', ${value})`,
      );
      const { pieces } = readRecentMemory(honest.path, 'open');
      const text = Array.from(pieces as Iterable<{ text: string }>, (piece) => piece.text).join();
      expect(text).toContain('title: true');
      expect(text).not.toContain('title: false');
    },
  );
});
