import { rmSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../stack/service.ts';
import type { Machine } from '../../demo/machines.ts';
import { enrolNode, keepOnline } from '../support/control-plane.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { inspect } from './inspect.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

let fleet: Fleet;
let visitor: Visitor;
let laptop: Machine;
let agent: Service;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  laptop = fleet.machine('laptop');
  agent = await fleet.start(laptop);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

/** Opens the drawer of a node. */
async function openNode(node: string): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'tab-nodes');
  await click(page, `node-open-${node}`);
  await see(page, 'ask-node');
  return page;
}

test('runs the doctor of a node without a mouse, and lists its checks', async () => {
  const page = await openNode('laptop');
  await page.getByTestId('node-doctor').focus();
  await page.keyboard.press('Enter');
  await see(page, 'doctor-summary', /of \d+ checks failed|No check failed|checks are ok/);
  await see(page, 'doctor-checks', 'control plane');
  await see(page, 'doctor-checks', laptop.databasePath);
  expect(await page.evaluate(() => document.activeElement?.getAttribute('data-testid'))).toBe('node-doctor');
  expect(await inspect(page, 'ask-node', false)).toEqual([]);
});

test('lists what failed first, with what to do', async () => {
  const gone = fleet.machine('damaged');
  await fleet.start(gone);
  gone.db.close();
  for (const end of ['', '-wal', '-shm']) rmSync(`${gone.databasePath}${end}`, { force: true });
  const page = await openNode('damaged');
  await see(page, 'node-drawer', 'No claude-mem database');
  await click(page, 'node-doctor');
  await see(page, 'doctor-summary', /of \d+ checks failed/);
  const first = page.getByTestId('doctor-checks').getByRole('listitem').first();
  expect(await first.innerText()).toMatch(/failed/);
});

test('says that an old agent must be upgraded', async () => {
  const { agent_key: key } = await enrolNode(fleet.test, 'older');
  const stop = keepOnline(fleet.test, 'older', key);
  const page = await openNode('older');
  visitor.expectProblem(/409 .*calls\/doctor/);
  await click(page, 'node-doctor');
  await see(page, 'ask-node-problem', 'Upgrade Membridge on that machine');
  stop();
});

test('explains that an offline node cannot answer', async () => {
  await agent.kill();
  const page = await openNode('laptop');
  await see(page, 'ask-node-refusal', /laptop is offline.*membridge doctor/);
  expect(await page.getByTestId('node-doctor').getAttribute('aria-disabled')).toBe('true');
  // What it could do before says nothing now.
  expect(await page.getByTestId('node-work').count()).toBe(0);
  await agent.restart();
  await page.getByTestId('ask-node-refusal').waitFor({ state: 'detached' });
});
