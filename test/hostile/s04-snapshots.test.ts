import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listAll } from '../../memory/pull/fetch.ts';
import { manifestKey, segmentKey, snapshotPartKey, type SnapshotName } from '../../memory/format/layout.ts';
import { FIRST_PREV_SHA, readLines, sealSegment } from '../../memory/format/segment.ts';
import { partIncarnation, sealManifest } from '../../memory/snapshot/manifest.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../memory/nodes.ts';

let fleet: TestFleet;
let honest: TestNode;
let hostile: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  honest = fleet.add('honest', '13.25.3');
  hostile = fleet.add('hostile', '13.25.3');
});
afterEach(() => fleet.close());

const now = Date.now();

/** Writes memories and sends them, in that number of segments with ten memories each. */
async function segments(count: number): Promise<void> {
  for (let segment = 0; segment < count; segment += 1) {
    const session = { contentSessionId: `s-${segment}`, memorySessionId: `m-${segment}`, project: 'open' };
    honest.write.session({ ...session, startedAt: now });
    for (let n = 0; n < 9; n += 1) {
      honest.write.observation({ ...session, title: `${segment}/${n}`, narrative: 'n', createdAt: now + n });
    }
    await honest.engine.push(fleet.space, CALL);
  }
}

/** Writes a signed snapshot that claims to cover everything in the store, and covers only one segment. */
async function forgeSnapshot(tells: 'first' | 'last'): Promise<void> {
  const { identity, store } = hostile.options;
  const { cid } = fleet.space;
  const names = (await listAll({ store }, cid)).get('honest') ?? [];
  const [told, last] = [tells === 'last' ? names.at(-1) : names[0], names.at(-1)];
  if (told === undefined || last === undefined) throw new Error('nothing was sent');
  const bytes = await store.get(segmentKey(cid, told));
  const { lines } = readLines(bytes ?? Buffer.alloc(0));
  const name: SnapshotName = {
    node: 'hostile',
    id: `${now.toString(16).padStart(12, '0')}-${'ab'.repeat(8)}`,
  };
  const part = sealSegment(
    {
      space: cid,
      node: 'hostile',
      epoch: partIncarnation(name),
      seq: 1,
      prevSha: FIRST_PREV_SHA,
      schema: 'forged',
    },
    lines,
    identity.key,
  );
  await store.put(snapshotPartKey(cid, name, 1), part.bytes);
  const all = createHash('sha256');
  for (const line of lines) all.update(line).update('\n');
  const manifest = sealManifest(
    {
      format: 'membridge-snapshot/1',
      space: cid,
      node: 'hostile',
      id: name.id,
      key_id: identity.key.keyId,
      at: now,
      newest: 1,
      covers: [{ node: 'honest', epoch: last.epoch, seq: last.seq, hashes: [last.hash] }],
      segments: { [`honest/${last.epoch}`]: names.map(({ seq, hash }) => `${seq}-${hash}`) },
      parts: [{ sha256: part.sha, bytes: part.bytes.length, operations: lines.length }],
      counts: {},
      operations_sha256: all.digest('hex'),
    },
    identity.key,
  );
  await store.put(manifestKey(cid, name), manifest);
}

describe('S4: a snapshot that claims to cover more than it does', () => {
  it.each(['first', 'last'] as const)(
    'costs a new machine no memory whose segment is in the store (it covers the %s one)',
    async (tells) => {
      await settle(fleet.space, [hostile]);
      hostile.write.session({
        contentSessionId: 'h',
        memorySessionId: 'hm',
        project: 'open',
        startedAt: now,
      });
      await hostile.engine.push(fleet.space, CALL);
      await segments(5);
      await forgeSnapshot(tells);
      const newcomer = fleet.add('newcomer', '13.25.3');
      await newcomer.engine.pull(fleet.space, true, CALL);
      await settle(fleet.space, [newcomer]);
      expect(newcomer.count('observations')).toBe(45);
      expect(newcomer.count('sdk_sessions')).toBe(6);
    },
  );

  it('costs a new machine nothing where a segment was collected for an honest snapshot', async () => {
    await settle(fleet.space, [hostile]);
    hostile.write.session({ contentSessionId: 'h', memorySessionId: 'hm', project: 'open', startedAt: now });
    await hostile.engine.push(fleet.space, CALL);
    await segments(5);
    await honest.engine.snapshot(fleet.space, CALL);
    await forgeSnapshot('first');
    const { store } = hostile.options;
    const { cid } = fleet.space;
    const [collected] = (await listAll({ store }, cid)).get('honest') ?? [];
    if (collected === undefined) throw new Error('nothing was sent');
    await store.remove(segmentKey(cid, collected));
    const newcomer = fleet.add('newcomer', '13.25.3');
    await newcomer.engine.pull(fleet.space, true, CALL);
    await settle(fleet.space, [newcomer]);
    expect(newcomer.count('observations')).toBe(45);
  });

  it('costs a machine that was away no memory', async () => {
    await segments(1);
    await settle(fleet.space, [hostile]);
    const away = fleet.add('away', '13.25.3');
    await settle(fleet.space, [away]);
    for (let n = 0; n < 3; n += 1) {
      const session = { contentSessionId: `later-${n}`, memorySessionId: `later-${n}`, project: 'open' };
      honest.write.session({ ...session, startedAt: now });
      honest.write.observation({ ...session, title: `later ${n}`, narrative: 'n', createdAt: now });
      await honest.engine.push(fleet.space, CALL);
    }
    await forgeSnapshot('last');
    await away.engine.pull(fleet.space, true, CALL);
    expect(away.count('observations')).toBe(12);
  });
});
