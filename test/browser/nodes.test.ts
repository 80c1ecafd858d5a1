import { rmSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../stack/service.ts';
import { countMemories, type Machine } from '../../demo/machines.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

let fleet: Fleet;
let visitor: Visitor;
let laptop: Machine;
let agent: Service;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  laptop = fleet.machine('laptop', { observations: 36 });
  const older = fleet.machine('desktop', { release: '12.7.5' });
  const open = { MEMBRIDGE_RUNNER: '["sh"]', MEMBRIDGE_TASK_SANDBOX: 'none', MEMBRIDGE_LABELS: 'gpu' };
  [agent] = await Promise.all([fleet.start(laptop), fleet.start(older, undefined, open)]);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

async function openNodes(): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'tab-nodes');
  await see(page, 'page-nodes');
  return page;
}

test('shows a dead node as offline with its age, live, and online again later', async () => {
  const page = await openNodes();
  await see(page, 'node-status-laptop', 'Online');
  await agent.kill();
  await see(page, 'node-status-laptop', 'Offline');
  await see(page, 'node-age-laptop', /^for \d\d s$/);
  await see(page, 'nodes-offline', '1');
  await see(page, 'node-status-desktop', 'Online');
  await agent.restart();
  await see(page, 'node-status-laptop', 'Online');
  await see(page, 'nodes-offline', '0');
});

test('allows a pool that a node asks for, and withdraws it', async () => {
  const page = await openNodes();
  await click(page, 'node-open-desktop');
  await see(page, 'node-pool-gpu', 'The node asks for it');
  await click(page, 'node-pool-change-gpu');
  await see(page, 'node-pool-change-gpu', 'Withdraw');
  const { body } = await fleet.test.call('GET', '/api/runtime/workers/desktop');
  expect(body).toMatchObject({ capabilities: { labels: ['gpu'] } });
  await click(page, 'node-pool-change-gpu');
  await see(page, 'node-pool-change-gpu', 'Allow');
});

test('lists nodes with the contents of their claude-mem databases', async () => {
  const page = await openNodes();
  await see(page, 'nodes-online', '2');
  await see(page, 'node-rows-laptop', /36\s*observations/);
  await see(page, 'node-rows-desktop', /24\s*observations/);
  expect(countMemories(laptop)).toBeGreaterThan(36);
  await page.getByTestId('nodes-filter').fill('lap');
  await page.getByTestId('node-row-desktop').waitFor({ state: 'detached' });
  await click(page, 'node-open-laptop');
  await see(page, 'node-drawer', laptop.databasePath);
  expect(new URL(page.url()).search).toBe('?node=laptop');
  await page.keyboard.press('Escape');
  await page.getByTestId('node-drawer').waitFor({ state: 'detached' });
});

test('shows in red that a node runs tasks without a sandbox', async () => {
  const page = await openNodes();
  await click(page, 'node-open-desktop');
  await see(page, 'node-sandbox', /None\s*Without a sandbox .*Remove MEMBRIDGE_TASK_SANDBOX=none/s);
  expect(await page.getByTestId('node-sandbox').locator('[data-tone="bad"]').count()).toBeGreaterThan(0);
  await page.keyboard.press('Escape');
  await page.getByTestId('node-drawer').waitFor({ state: 'detached' });
  await click(page, 'node-open-laptop');
  await see(page, 'node-sandbox', 'bubblewrap');
});

test('admits a machine with a token from the page, shows it without a reload, and removes it', async () => {
  const page = await openNodes();
  await page.getByTestId('add-node-name').fill('not a name!');
  await see(page, 'add-node', /letters|may|must/i);
  await page.getByTestId('add-node-name').fill('build-01');
  const pools = page.getByTestId('add-node-pools');
  await pools.fill('no pool!');
  await pools.press('Enter');
  await see(page, 'add-node', /must be 1 to 63 letters/);
  await pools.press('Backspace');
  await pools.fill('gpu');
  await pools.press('Enter');
  await click(page, 'add-node-create');
  await see(page, 'add-node-expiry', 'valid for');
  const token = await page.getByTestId('add-node-token').innerText();
  const command = await page.getByTestId('add-node-command').innerText();
  expect(command).toContain(`MEMBRIDGE_SERVER_URL=${fleet.url} `);
  expect(command).toContain(`MEMBRIDGE_ENROL_TOKEN=${token} `);

  const joined = await fleet.start(fleet.machine('build-01'), token);
  await see(page, 'node-status-build-01', 'Online');
  await see(page, 'nodes-total', '3');
  const { body: node } = await fleet.test.call('GET', '/api/runtime/workers/build-01');
  expect(node).toMatchObject({ pools: { asked: [], allowed: ['gpu'] } });

  await click(page, 'node-menu-build-01');
  await click(page, 'node-remove-build-01');
  await see(page, 'confirm-dialog', 'Remove build-01?');
  await click(page, 'confirm-cancel');
  await see(page, 'node-row-build-01');
  await click(page, 'node-menu-build-01');
  await click(page, 'node-remove-build-01');
  await click(page, 'confirm-accept');
  await page.getByTestId('node-row-build-01').waitFor({ state: 'detached' });
  await see(page, 'nodes-total', '2');
  await joined.stop();
});

test('reports a vanished claude-mem database in words', async () => {
  const page = await openNodes();
  await see(page, 'node-row-laptop', '36');
  laptop.db.close();
  for (const end of ['', '-wal', '-shm']) rmSync(`${laptop.databasePath}${end}`, { force: true });
  await see(page, 'node-row-laptop', 'No claude-mem database');
});
