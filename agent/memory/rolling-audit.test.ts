import { afterEach, beforeEach, expect, it } from 'vitest';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { RollingAudit } from './rolling-audit.ts';

let fleet: TestFleet;
let node: TestNode;
let audit: RollingAudit;
let clock = 0;

beforeEach(async () => {
  fleet = await newFleet();
  node = fleet.add('a', '13.25.3');
  const memorySessionId = 'memory-1';
  node.write.session({ contentSessionId: 'content-1', memorySessionId, project: 'garden', startedAt: 1 });
  node.db.transaction(() => {
    for (let n = 0; n < 2_500; n += 1) {
      node.write.observation({
        memorySessionId,
        project: 'garden',
        title: `${n}`,
        narrative: null,
        createdAt: n + 1,
      });
    }
  })();
  await settle(fleet.space, [node]);
  audit = new RollingAudit(node.engine, node.path);
  clock = 0;
});
afterEach(async () => await fleet.close());

/** Advances the clock until the audit rests. @returns how many turns worked */
async function untilRest(): Promise<number> {
  let turns = 0;
  // Steps far longer than the rest after a turn, on a busy machine too.
  for (let idle = 0; idle < 2; clock += 600_000) {
    const worked = await audit.tick(clock);
    idle = worked === 0 ? idle + 1 : 0;
    if (worked > 0) turns += 1;
  }
  return turns;
}

const noticed = async (): Promise<string[]> => await node.engine.notice([fleet.space], CALL.signal);

it('finds a change of an old row before any push, and rests when it has seen every row', async () => {
  expect(await untilRest()).toBeGreaterThan(3);
  expect(await audit.tick((clock += 600_000))).toBe(0);
  node.db.prepare("UPDATE observations SET project = 'orchard' WHERE id = 1").run();
  await untilRest();
  // A full audit finds nothing else.
  expect(await node.engine.audit(CALL, { deep: true })).toMatchObject({ changed: 0 });
  expect(await noticed()).toEqual([fleet.space.cid]);
  expect(await audit.tick((clock += 600_000))).toBe(0);
});

it('finds a deletion among the last 2,000 rows in one turn, once in 30 s', async () => {
  await untilRest();
  clock += 600_000;
  node.db.prepare('DELETE FROM observations WHERE id = 2000').run();
  expect(await audit.tick(clock)).toBeGreaterThan(0);
  expect(await node.engine.audit(CALL, { deep: true })).toMatchObject({ deleted: 0 });
  expect(await noticed()).toEqual([fleet.space.cid]);
});

it('takes at most one hundredth of the time', async () => {
  const worked = await audit.tick(0);
  expect(worked).toBeGreaterThan(0);
  expect(await audit.tick(worked * 98)).toBe(0);
  expect(await audit.tick(worked * 100)).toBeGreaterThan(0);
});
