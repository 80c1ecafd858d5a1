import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { Leadership } from '../../contract/memory/leadership.ts';
import type { Job, Space } from '../../contract/memory/memory.ts';
import type { Service } from '../../stack/service.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

const NAME = 'garden';
const CID = canonicalId(NAME);

let fleet: Fleet;
let visitor: Visitor;
let desktop: Service;
let project: string;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  await fleet.test.call('POST', '/api/membridge/spaces', { body: { name: NAME, projects: ['*'] } });
  const machines = [fleet.machine('laptop'), fleet.machine('desktop')] as const;
  [, desktop] = await Promise.all([fleet.start(machines[0]), fleet.start(machines[1])]);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

async function openSpace(): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'space-in-step', '2 of 2 in step');
  await see(page, 'leadership-card');
  return page;
}

async function openProject(): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'page-membridge');
  await page.goto(`${fleet.url}/membridge/projects/${project}`);
  await see(page, 'project-name', NAME);
  return page;
}

const leadership = async (): Promise<Leadership> =>
  (await fleet.test.call('GET', `/api/membridge/projects/${CID}/leadership`)).body as unknown as Leadership;
const jobs = async (): Promise<Job[]> =>
  (await fleet.test.call('GET', '/api/membridge/jobs?limit=200')).body as unknown as Job[];

async function promote(page: Page, node: string, lease: string): Promise<void> {
  await click(page, 'promote-open');
  await click(page, 'promote-node');
  await page.getByRole('option', { name: node }).click();
  await click(page, 'promote-lease');
  await page.getByRole('option', { name: lease }).click();
}

test('chooses a primary, shows the rest of its lease, and replaces it', async () => {
  const page = await openSpace();
  await see(page, 'leadership-primary', 'Nobody');
  await see(page, 'leadership-status', 'Needs selection');
  await see(page, 'leadership-epoch', /^0$/);
  await promote(page, 'laptop', '8 hours');
  await see(page, 'promote-consequence', 'laptop becomes primary. The leadership epoch becomes 1.');
  await click(page, 'promote-accept');
  await see(page, 'toast-done', `laptop is primary of ${NAME}`);
  await see(page, 'leadership-primary', 'laptop');
  await see(page, 'leadership-status', 'Active');
  await see(page, 'leadership-expires', /^in (8 h 0|7 h 59) min$/);
  await see(page, 'leadership-note', 'renews its lease');
  await see(page, 'leadership-events', /laptop became primary\s*·\s*epoch 1/);
  await see(page, 'leadership-events', 'on this page');
  expect(await leadership()).toMatchObject({ primary_node_id: 'laptop', epoch: 1, lease_seconds: 28_800 });

  await promote(page, 'desktop', '5 minutes');
  await see(page, 'promote-consequence', 'desktop replaces laptop as primary');
  await click(page, 'promote-cancel');
  await see(page, 'leadership-primary', 'laptop');
  await promote(page, 'desktop', '5 minutes');
  await click(page, 'promote-accept');
  await see(page, 'leadership-primary', 'desktop');
  await see(page, 'leadership-epoch', /^2$/);
  await see(page, 'leadership-expires', /^in 4 min \d+ s$/);
  await see(page, 'leadership-snapshot', /now|ago/);
});

test('shows changes by others automatically: no primary is left when a lease expires', async () => {
  // A project's primary is the primary of its canonical id, which here is also the space's.
  const body = { name: NAME, repo_url: 'https://git.example.org/garden', primary_node_id: 'laptop' };
  project = String((await fleet.test.call('POST', '/api/runtime/projects', { body })).body['id']);
  const page = await openProject();
  await see(page, 'leadership-primary', 'laptop');
  await see(page, 'live-state', 'Live');
  const select = { primary_node_id: 'desktop', lease_seconds: 30 };
  await fleet.test.call('POST', `/api/membridge/projects/${CID}/leadership/select`, { body: select });
  await see(page, 'leadership-primary', 'desktop');
  await see(page, 'fact-primary', 'desktop');
  await see(page, 'leadership-expires', /^in [23]\d s$/);
  await desktop.kill();
  await see(page, 'leadership-note', 'The primary is offline');
  await expect
    .poll(async () => (await leadership()).status, { timeout: 130_000, interval: 500 })
    .toBe('needs_selection');
  await see(page, 'leadership-primary', 'Nobody');
  await see(page, 'leadership-events', 'the lease of desktop expired');
  await see(page, 'promote-open', 'Choose a primary');
  await fleet.test.call('PATCH', `/api/runtime/projects/${project}`, { body: { primary_node_id: 'laptop' } });
  await see(page, 'leadership-primary', 'laptop');
  await desktop.restart();
}, 240_000);

test.each([
  ['push', 'Push requested on laptop'],
  ['pull', 'Pull requested on laptop'],
  ['sync', 'Sync requested on laptop'],
] as const)('moves the memory of a project on its primary: %s', async (action, said) => {
  const page = await openProject();
  await see(page, 'project-memory-status', 'In step');
  const before = new Set((await jobs()).map(({ id }) => id));
  await click(page, `project-memory-${action}`);
  await page.getByText(said).waitFor();
  const asked = async () => (await jobs()).find((job) => job.trigger === 'button' && !before.has(job.id));
  await expect
    .poll(asked, { timeout: 20_000 })
    .toMatchObject({ action, agent: 'laptop', status: 'completed' });
  await see(page, 'project-memory-pushed', /now|ago/);
});

test('syncs the memory of a project on every online node', async () => {
  const page = await openProject();
  await see(page, 'project-memory-status', 'In step');
  const online = async () => (await fleet.test.call('GET', '/api/runtime/workers/desktop')).body['status'];
  await expect.poll(online, { timeout: 30_000 }).toBe('online');
  const before = new Set((await jobs()).map(({ id }) => id));
  await click(page, 'project-memory-sync-all');
  await page.getByText('Sync requested on every online node').waitFor();
  await expect
    .poll(
      async () => {
        const fresh = (await jobs()).filter((job) => job.trigger === 'button' && !before.has(job.id));
        return fresh.map(({ agent, status }) => `${agent} ${status}`).sort();
      },
      { timeout: 30_000 },
    )
    .toEqual(['desktop completed', 'laptop completed']);
});

test('offers the mirror as a setting of a space, except of an encrypted one', async () => {
  const page = await openSpace();
  const space = async () =>
    (await fleet.test.call('GET', `/api/membridge/spaces/${CID}`)).body as unknown as Space;
  await see(page, 'settings-mirror', 'Off');
  await click(page, 'space-settings-open');
  await page.getByRole('switch', { name: 'Mirror' }).check();
  await click(page, 'edit-space-save');
  await see(page, 'settings-mirror', 'For machines with the original’s scripts');
  expect((await space()).mirror).toBe(true);
  await fleet.test.call('POST', `/api/membridge/projects/${CID}/leadership/select`, {
    body: { primary_node_id: 'laptop' },
  });
  await click(page, 'mirror-open');
  await page.getByRole('switch', { name: 'Take the push lock' }).check();
  await click(page, 'mirror-publish');
  await expect
    .poll(
      async () =>
        (await jobs()).filter(({ trigger, detail }) => trigger === 'button' && detail.startsWith('mirror: ')),
      { timeout: 60_000 },
    )
    .toMatchObject([{ agent: 'laptop', status: 'completed' }]);
  await click(page, 'space-settings-open');
  await page.getByRole('switch', { name: 'Encrypt' }).check();
  expect(await page.getByRole('switch', { name: 'Mirror' }).isDisabled()).toBe(true);
  await page.getByTestId('space-settings-dialog').getByText('Not available in an encrypted space').waitFor();
  await click(page, 'edit-space-save');
  await see(page, 'settings-mirror', 'Off');
  expect(await space()).toMatchObject({ mirror: false, encrypted: true });
});
