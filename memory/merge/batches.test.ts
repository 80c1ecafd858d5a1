import { realpathSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CALL, newFleet, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { readWalPosition } from '../claude-mem/wal.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const SEGMENTS = 8;

let fleet: TestFleet;
let reader: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  const writer = fleet.add('writer', '13.25.3');
  reader = fleet.add('reader', '13.25.3');
  const project = 'garden';
  writer.write.session({ contentSessionId: 's', memorySessionId: 'm', project, startedAt: JANUARY });
  for (let index = 0; index < SEGMENTS; index += 1) {
    writer.write.observation({
      memorySessionId: 'm',
      project,
      title: `observation ${index}`,
      narrative: 'text',
      createdAt: JANUARY,
    });
    await writer.engine.push(fleet.space, CALL);
  }
  await reader.engine.status([fleet.space]);
});
afterEach(() => fleet.close());

/**
 * Pulls everything.
 * @returns the number of transactions on claude-mem's database
 */
async function pullCommits(): Promise<number> {
  const commits = (): number => readWalPosition(realpathSync(reader.path))?.commits ?? Number.NaN;
  const before = commits();
  expect(await reader.engine.pull(fleet.space, true, CALL)).toMatchObject({ inserted: SEGMENTS + 1 });
  return commits() - before;
}

it('merges several segments in one transaction while no other process has the database open', async () => {
  reader.db.close();
  // A slow machine reaches the longest hold more often; each segment alone would need all of them.
  expect(await pullCommits()).toBeLessThan(SEGMENTS);
});

it('merges each segment in its own transaction while a worker has the database open', async () => {
  expect(await pullCommits()).toBe(SEGMENTS);
});
