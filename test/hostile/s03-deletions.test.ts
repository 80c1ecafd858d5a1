import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalJson } from '../../memory/format/canonical-json.ts';
import { listAll } from '../../memory/pull/fetch.ts';
import { segmentKey } from '../../memory/format/layout.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../memory/nodes.ts';

const HOUR = 3_600_000;
let fleet: TestFleet;
let honest: TestNode;
let hostile: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  honest = fleet.add('honest', '13.25.3');
  hostile = fleet.add('hostile', '13.25.3');
  const session = { contentSessionId: 's', memorySessionId: 'm', project: 'open' };
  honest.write.session({ ...session, startedAt: 1 });
  for (let n = 0; n < 300; n += 1) {
    honest.write.observation({ ...session, title: `memory ${n}`, narrative: `text ${n}`, createdAt: n + 2 });
  }
  await settle(fleet.space, [honest, hostile]);
  fleet.tell([honest, hostile], {});
});
afterEach(() => fleet.close());

const left = (): number => honest.count('observations');
/** Deletes the oldest memories of the hostile machine, and sends that without asking its person. */
async function sendDeletions(count: number): Promise<void> {
  hostile.db.exec(
    `DELETE FROM observations WHERE id IN (SELECT id FROM observations ORDER BY id LIMIT ${count})`,
  );
  await hostile.engine.audit(CALL, { deep: true });
  await hostile.engine.resolveDeletes('approve', CALL).catch(() => undefined);
  await hostile.engine.push(fleet.space, CALL);
}
const pull = async (): Promise<string> =>
  canonicalJson((await honest.engine.pull(fleet.space, true, CALL)).problems);

describe('S3: a machine that deletes everybody’s memories', () => {
  it('is stopped before anything is deleted, and the pull says what to do', async () => {
    await sendDeletions(300);
    expect(await pull()).toMatch(/hostile deletes 300 of the 301 memories here within two days/);
    expect(left()).toBe(300);
  });

  it('is also stopped when it deletes in small steps', async () => {
    for (let step = 0; step < 6; step += 1) {
      await sendDeletions(45);
      await pull();
    }
    expect(left()).toBeGreaterThanOrEqual(200);
    expect(await pull()).toMatch(/hostile deletes/);
  });

  it('does not stop a machine that cleans up a little', async () => {
    await sendDeletions(45);
    expect(await pull()).toBe('[]');
    expect(left()).toBe(255);
  });

  it('is let through by one decision of a person, on every machine', async () => {
    await sendDeletions(300);
    await pull();
    const allowed = { deletions: [{ space: fleet.space.cid, node: 'hostile', until: Date.now() + HOUR }] };
    fleet.tell([honest], allowed);
    expect(await pull()).toBe('[]');
    expect(left()).toBe(0);
  });

  it('is not let through by what a person allowed earlier', async () => {
    const deletions = [{ space: fleet.space.cid, node: 'hostile', until: Date.now() - HOUR }];
    fleet.tell([honest], { deletions });
    await sendDeletions(300);
    expect(await pull()).toMatch(/hostile deletes 300/);
    expect(left()).toBe(300);
  });

  it('does not stop the memories of other machines', async () => {
    await sendDeletions(300);
    const third = fleet.add('third', '13.25.3');
    third.write.session({ contentSessionId: 't', memorySessionId: 't', project: 'open', startedAt: 1 });
    third.write.observation({
      memorySessionId: 't',
      project: 'open',
      title: 'new',
      narrative: 'new',
      createdAt: 9,
    });
    await third.engine.push(fleet.space, CALL);
    await pull();
    expect(left()).toBe(301);
  });
});

describe('S3: a snapshot that deletes everybody’s memories', () => {
  /** The hostile machine writes a snapshot without any memory; the segment with its deletions is no longer in the store. */
  async function tellBySnapshot(): Promise<void> {
    await sendDeletions(300);
    await hostile.engine.snapshot(fleet.space, CALL);
    const { store } = hostile.options;
    const last = (await listAll({ store }, fleet.space.cid)).get('hostile')?.at(-1);
    if (last === undefined) throw new Error('nothing was sent');
    await store.remove(segmentKey(fleet.space.cid, last));
  }

  it('is stopped like a segment', async () => {
    await tellBySnapshot();
    expect(await pull()).toMatch(
      /hostile deletes 300 of the 301 memories here.*Nothing of its snapshot was merged/,
    );
    expect(left()).toBe(300);
  });

  it('is let through where a person let the machine through that deleted', async () => {
    await tellBySnapshot();
    const allowed = { deletions: [{ space: fleet.space.cid, node: 'hostile', until: Date.now() + HOUR }] };
    fleet.tell([honest], allowed);
    await pull();
    expect(left()).toBe(0);
  });
});

describe('S3: deletions that a machine’s own guard holds', () => {
  it('are sent once a person allows them at the control plane', async () => {
    hostile.db.exec('DELETE FROM observations');
    await hostile.engine.audit(CALL, { deep: true });
    await expect(hostile.engine.push(fleet.space, CALL)).rejects.toMatchObject({ code: 'memory_guarded' });
    const deletions = [{ space: fleet.space.cid, node: 'hostile', until: Date.now() + HOUR }];
    fleet.tell([honest, hostile], { deletions });
    await hostile.engine.push(fleet.space, CALL);
    expect(await pull()).toBe('[]');
    expect(left()).toBe(0);
  });
});
