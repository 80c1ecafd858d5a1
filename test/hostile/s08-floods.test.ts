import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Membership } from '../../contract/memory/membership.ts';
import { judgeSegment } from '../../memory/pull/incoming-guard.ts';
import { Ledger } from '../../memory/ledger/ledger.ts';
import { latestUpdates } from '../../memory/merge/latest-updates.ts';
import type { Operation } from '../../memory/format/operation.ts';
import { clockAt, compareVersions, type Version } from '../../memory/format/versions.ts';
import { forgeSegment } from '../git/forge.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../memory/nodes.ts';

describe('S8: a machine that sends very many changes of one memory', () => {
  let fleet: TestFleet;
  let honest: TestNode;
  let hostile: TestNode;
  beforeEach(async () => {
    fleet = await newFleet();
    honest = fleet.add('honest', '13.25.3');
    hostile = fleet.add('hostile', '13.25.3');
    const session = { contentSessionId: 's', memorySessionId: 'm', project: 'open' };
    honest.write.session({ ...session, startedAt: 1 });
    honest.write.observation({ ...session, title: 'one', narrative: 'one', createdAt: 2 });
    await settle(fleet.space, [honest, hostile]);
  });
  afterEach(() => fleet.close());
  const concepts = (node: TestNode): unknown =>
    node.db.prepare('SELECT concepts FROM observations').pluck().get();
  const change = async (ver: [number, number, string], text: string): Promise<object> => {
    const [known] = await hostile.engine.blame('observation', 1);
    return { kind: 'observation', key: known?.key ?? '', ver, up: { concepts: `["${text}"]` } };
  };

  it('costs the others one change, and the last one counts', async () => {
    const now = clockAt(Date.now());
    const lines = await Promise.all(
      Array.from({ length: 5_000 }, (_, n) => change([2 + n, now + n, 'hostile'], String(n))),
    );
    await forgeSegment(hostile, fleet.space.cid, lines);
    const pulled = await honest.engine.pull(fleet.space, true, CALL);
    expect(pulled).toMatchObject({ operations: 1, updated: 1 });
    expect(concepts(honest)).toBe('["4999"]');
  });

  it.each([
    ['a counter that nobody could have reached by now', 2 ** 21, clockAt(Date.UTC(2020, 0, 1)) + 5],
    ['such a counter with a clock of the future', 2 ** 52, clockAt(Date.UTC(9999, 0, 1))],
  ])('is not believed with %s', async (_, counter, hlc) => {
    await forgeSegment(hostile, fleet.space.cid, [
      await change([2 ** 20, clockAt(Date.now()), 'hostile'], 'step'),
      await change([counter, hlc, 'hostile'], 'jump'),
    ]);
    await honest.engine.pull(fleet.space, true, CALL);
    expect(concepts(honest)).toBe('["step"]');
  });

  it('cannot stop anybody from changing the memory again', async () => {
    const hlc = clockAt(Date.now());
    // As far as one step may go, with the clock of now.
    await forgeSegment(hostile, fleet.space.cid, [await change([2 ** 20, hlc, 'hostile'], 'high')]);
    await honest.engine.pull(fleet.space, true, CALL);
    expect(concepts(honest)).toBe('["high"]');
    honest.db.prepare('UPDATE observations SET concepts = ?').run('["mine"]');
    await honest.engine.audit(CALL, { deep: true });
    await honest.engine.push(fleet.space, CALL);
    const third = fleet.add('third', '13.25.3');
    await third.engine.pull(fleet.space, true, CALL);
    expect(concepts(third)).toBe('["mine"]');
  });
});

describe('S8: what is left of many changes', () => {
  const version = fc.record({
    counter: fc.integer({ min: 1, max: 5 }),
    hlc: fc.integer({ min: 1, max: 5 }),
    node: fc.constantFrom('a', 'b'),
  });
  const update = fc.record({
    type: fc.constant('update' as const),
    kind: fc.constant('observation' as const),
    key: fc.constantFrom(Buffer.alloc(32, 1), Buffer.alloc(32, 2)),
    version,
    of: fc.constantFrom(null, { memory: 'm' }),
    up: fc.dictionary(fc.constantFrom('concepts', 'project', 'metadata'), fc.string(), { minKeys: 1 }),
  });
  /** The last writer of each part wins; of equal versions, the first that arrived. */
  const outcome = (operations: readonly Operation[]): Record<string, unknown> => {
    const state = new Map<string, { version: Version; value: unknown }>();
    for (const operation of operations) {
      if (operation.type !== 'update') continue;
      const parts: [string, unknown][] = Object.entries(operation.up);
      if (operation.of !== null) parts.push(['of', operation.of]);
      for (const [part, value] of parts) {
        const place = `${operation.key.toString('hex')} ${part}`;
        const known = state.get(place);
        if (known === undefined || compareVersions(operation.version, known.version) > 0) {
          state.set(place, { version: operation.version, value });
        }
      }
    }
    return Object.fromEntries(state);
  };

  it('has the outcome of all of them', () => {
    fc.assert(
      fc.property(fc.array(update, { maxLength: 80 }), (operations) => {
        const left = latestUpdates(operations);
        expect(outcome(left)).toEqual(outcome(operations));
        expect(left.length).toBeLessThanOrEqual(operations.length);
      }),
    );
  });
});

describe('S8: a machine that sends very much', () => {
  const space = { space: 1, cid: '0123456789abcdef' };
  const NOW = Date.UTC(2026, 5, 1, 12);
  let folder: string;
  let ledger: Ledger;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'membridge-flood-'));
    ledger = new Ledger(join(folder, 'ledger.db'));
  });
  afterEach(() => {
    ledger.db.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const members = (deletions: Membership['deletions'] = []): Membership => ({
    format: 'membridge-membership/1',
    retired: [],
    encrypted: {},
    sealing: {},
    deletions,
    since: 0,
    signature: '',
  });
  /** Judges a segment of 64 MiB. */
  const judge = (id: number, node: string, stored: number, membership = members()): string | null =>
    judgeSegment(
      { ledger, membership },
      space,
      { id, node, epoch: '0', seq: id, done: 0, stored, bytes: Buffer.alloc(0) },
      { operations: [], bytes: 64 * 2 ** 20 },
    );

  it('is held above 4 GiB in two days, counted for each machine', () => {
    for (let id = 1; id <= 64; id += 1) expect(judge(id, 'hostile', NOW)).toBeNull();
    expect(judge(65, 'hostile', NOW)).toMatch(/hostile sends 4160 MiB within two days/);
    expect(judge(66, 'honest', NOW)).toBeNull();
    expect(judge(67, 'hostile', NOW + 3 * 86_400_000)).toBeNull();
  });

  it('is counted once when a crash repeats the judgment of a segment', () => {
    for (let again = 0; again < 100; again += 1) expect(judge(1, 'honest', NOW)).toBeNull();
    expect(judge(2, 'honest', NOW)).toBeNull();
  });

  it('is let through by one decision of a person', () => {
    for (let id = 1; id <= 64; id += 1) judge(id, 'honest', NOW);
    const deletions = [{ space: space.cid, node: 'honest', until: NOW + 1 }];
    expect(judge(65, 'honest', NOW, members(deletions))).toBeNull();
  });
});
