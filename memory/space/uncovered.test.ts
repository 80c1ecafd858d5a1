import { afterEach, beforeEach, expect, it } from 'vitest';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let a: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
});
afterEach(async () => {
  await fleet.close();
});

function observe({ write }: TestNode, project: string, count = 1): void {
  const memorySessionId = `mem-${project}`;
  write.session({ contentSessionId: `s-${project}`, memorySessionId, project, startedAt: JANUARY });
  for (let n = 0; n < count; n += 1) {
    const title = `${project} ${n}`;
    write.observation({ memorySessionId, project, title, narrative: 'n', createdAt: JANUARY + n });
  }
}
const space = (...projects: string[]): SpaceConfig => ({ ...fleet.space, projects });

it('a space that covers no project gets the names of the largest ones', async () => {
  ['one', 'two', 'three', 'four', 'five', 'six', 'seven'].forEach((name, at) => observe(a, name, at + 1));
  observe(a, 'observer-sessions', 30);
  const uncovered = { projects: ['seven', 'six', 'five', 'four', 'three'], more: 2 };
  expect(await a.engine.push(space('mem2'), CALL)).toMatchObject({ rows: 0, uncovered });
  expect(await a.engine.pull(space('mem2'), false, CALL)).toMatchObject({ inserted: 0, uncovered });
  expect(await a.engine.uncovered([space('mem2')])).toEqual(new Map([[fleet.space.cid, uncovered]]));
});

it('a space that covers a project gets no names, whether or not anything was new', async () => {
  observe(a, 'garden');
  for (const each of [space('*'), space('garden'), space('mem2', 'garden')]) {
    expect(await a.engine.push(each, CALL)).not.toHaveProperty('uncovered');
    expect(await a.engine.push(each, CALL)).toMatchObject({ rows: 0 });
    expect(await a.engine.push(each, CALL)).not.toHaveProperty('uncovered');
  }
  const renamed = { ...space('yard'), names: { garden: 'yard' } };
  expect(await a.engine.push(renamed, CALL)).not.toHaveProperty('uncovered');
});

it('an empty database, or one with only observer sessions, gives no names', async () => {
  expect(await a.engine.push(space('mem2'), CALL)).not.toHaveProperty('uncovered');
  observe(a, 'observer-sessions');
  expect(await a.engine.push(space('mem2'), CALL)).not.toHaveProperty('uncovered');
  expect(await a.engine.push(space('*'), CALL)).not.toHaveProperty('uncovered');
});

it('a project that the space excludes is never named', async () => {
  observe(a, 'client-x');
  const excluding = { ...space('*'), excluded: ['client-x'] };
  expect(await a.engine.push(excluding, CALL)).toMatchObject({ uncovered: { projects: [], more: 0 } });
  observe(a, 'garden');
  expect(await a.engine.push({ ...excluding, projects: ['mem2'] }, CALL)).toMatchObject({
    uncovered: { projects: ['garden'], more: 0 },
  });
});

it('the names disappear once memories of the space arrived', async () => {
  const b = fleet.add('b', '5.5.1');
  observe(a, 'garden');
  observe(b, 'billing');
  expect(await b.engine.push(space('garden'), CALL)).toMatchObject({
    uncovered: { projects: ['billing'], more: 0 },
  });
  await settle(space('garden'), [a, b]);
  expect(await b.engine.push(space('garden'), CALL)).not.toHaveProperty('uncovered');
});
