import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryKey } from '../../memory/format/keys.ts';
import { forgeSegment } from '../git/forge.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let honest: TestNode;
let victim: TestNode;
let hostile: TestNode;
let before: unknown;
beforeEach(async () => {
  fleet = await newFleet();
  [honest, victim, hostile] = ['honest', 'victim', 'hostile'].map((name) => fleet.add(name, '13.25.3')) as [
    TestNode,
    TestNode,
    TestNode,
  ];
  const session = { contentSessionId: 's', memorySessionId: 'm', project: 'open' };
  victim.write.session({ ...session, startedAt: JANUARY });
  victim.write.observation({ ...session, title: 'true', narrative: 'true', createdAt: JANUARY });
  await settle(fleet.space, [honest, victim, hostile]);
  before = concepts();
});
afterEach(() => fleet.close());

/** Makes the hostile machine send a change of the victim's memory under a name. */
async function forge(name: string, columns: object = { concepts: '["false"]' }): Promise<void> {
  const [known] = await hostile.engine.blame('observation', 1);
  await forgeSegment(hostile, fleet.space.cid, [
    { kind: 'observation', key: known?.key ?? '', ver: [2, (JANUARY + 1) * 1_024, name], up: columns },
  ]);
  await honest.engine.pull(fleet.space, true, CALL);
}
const concepts = (): unknown => honest.db.prepare('SELECT concepts FROM observations').pluck().get();
const revoke = async (node: string, since = Date.now() - 60_000) =>
  await honest.engine.revoke(fleet.space, { node, since, dryRun: false }, CALL);

describe('S9: a write in another machine’s name', () => {
  it('is shown with the machine that signed it', async () => {
    await forge('victim');
    const [blame] = await honest.engine.blame('observation', 1);
    expect(blame?.writer).toMatchObject({ node: 'victim', signer: null });
    expect(blame?.changed).toMatchObject([{ part: 'concepts', node: 'victim', signer: 'hostile' }]);
  });

  it('is revoked with the machine that signed it, not with the one that it names', async () => {
    await forge('victim');
    expect(concepts()).toBe('["false"]');
    await revoke('victim', Date.now() + 60_000);
    expect(concepts()).toBe('["false"]');
    await revoke('hostile');
    expect(concepts()).toBe(before);
  });

  it('is also revoked with an old time, or with the name of an unknown machine', async () => {
    await forge('nobody-of-that-name');
    expect((await honest.engine.blame('observation', 1))[0]?.changed).toMatchObject([{ signer: 'hostile' }]);
    await revoke('hostile');
    expect(concepts()).toBe(before);
  });

  it('is also reported for a whole memory', async () => {
    const set = { created_at_epoch: JANUARY + 7, type: 'discovery', title: 'made up', narrative: 'x' };
    await forgeSegment(hostile, fleet.space.cid, [
      {
        kind: 'observation',
        key: memoryKey('observation', set, null).toString('hex'),
        ver: [1, Date.now() * 1_024, 'victim'],
        set: { ...set, project: 'open', created_at: 'x' },
        of: { platform: 'claude', session: 's' },
      },
    ]);
    await honest.engine.pull(fleet.space, true, CALL);
    const [blame] = await honest.engine.blame('observation', 2);
    expect(blame).toMatchObject({
      writer: { node: 'victim', signer: 'hostile' },
      segment: { node: 'hostile' },
    });
    await revoke('hostile');
    expect(honest.count('observations')).toBe(1);
  });

  it('is not suspected where a machine signs its own writes', async () => {
    victim.db.prepare('UPDATE observations SET concepts = ?').run('["mine"]');
    await victim.engine.audit(CALL, { deep: true });
    await settle(fleet.space, [victim, honest]);
    expect((await honest.engine.blame('observation', 1))[0]?.changed).toMatchObject([
      { node: 'victim', signer: null },
    ]);
  });

  it('is no longer suspected once the machine itself signed the same write', async () => {
    const second = { ...fleet.space, cid: 'fedcba9876543210', projectId: 'second' };
    victim.db.prepare('UPDATE observations SET concepts = ?').run('["mine"]');
    await victim.engine.audit(CALL, { deep: true });
    await settle(fleet.space, [victim, hostile]);
    // It passes its memories on to another space, in which the honest machine receives the change first.
    await hostile.engine.push(second, CALL);
    await honest.engine.pull(second, true, CALL);
    expect((await honest.engine.blame('observation', 1))[0]?.changed).toMatchObject([{ signer: 'hostile' }]);
    await honest.engine.pull(fleet.space, true, CALL);
    expect((await honest.engine.blame('observation', 1))[0]?.changed).toMatchObject([{ signer: null }]);
  });
});
