import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Machine } from '../../demo/machines.ts';
import type { Job } from '../../contract/memory/memory.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

const NAME = 'work';
const CID = canonicalId(NAME);

let fleet: Fleet;
let visitor: Visitor;
let laptop: Machine;
let desktop: Machine;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  laptop = fleet.machine('laptop', { observations: 36 });
  desktop = fleet.machine('desktop');
  await Promise.all([fleet.start(laptop), fleet.start(desktop)]);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

async function openSpaces(): Promise<Page> {
  return await visitor.open(fleet.signInLink);
}

/** Returns the jobs of the space from the API, newest first. */
async function jobs(): Promise<Job[]> {
  return (await fleet.test.call('GET', '/api/membridge/jobs?limit=200')).body as unknown as Job[];
}

const observations = ({ db }: Machine): unknown =>
  db.prepare('SELECT count(*) FROM observations').pluck().get();

test('syncs the machines in a space from the form, and shows rows, bytes and jobs live', async () => {
  const page = await openSpaces();
  await see(page, 'spaces-empty');
  await click(page, 'new-space-open');
  await page.getByTestId('new-space-name').fill(NAME);
  await click(page, 'new-space-create');
  await see(page, 'space-name', NAME);
  await see(page, 'space-cid', CID);
  await see(page, 'space-projects', 'Every project');

  await see(page, 'space-in-step', '2 of 2 in step');
  await see(page, `space-step-${CID}`, '2/2');
  for (const node of ['laptop', 'desktop']) {
    await see(page, `member-status-${node}`, 'In step');
    await see(page, `member-sent-${node}`, /\d+\s*\d[\d.,]* (B|kB|MB)/);
    await see(page, `member-received-${node}`, /\d+\s*\d[\d.,]* (B|kB|MB)/);
    await see(page, `member-head-${node}`, /\d/);
    await see(page, `member-push-at-${node}`, 'ago');
  }
  await expect.poll(() => [observations(laptop), observations(desktop)]).toEqual([60, 60]);
  await see(page, 'jobs-table', 'Done');
});

test('sends a memory that claude-mem writes, and shows its syncs live in the history', async () => {
  const page = await openSpaces();
  await see(page, 'jobs-table');
  const before = new Set((await jobs()).map(({ id }) => id));
  const title = 'Uploads are retried three times, then parked';
  const [{ memory }] = laptop.db
    .prepare('SELECT memory_session_id AS memory FROM sdk_sessions LIMIT 1')
    .all() as [{ memory: string }];
  laptop.writer.observation({
    memorySessionId: memory,
    project: 'garden',
    type: 'discovery',
    title,
    narrative: 'Seen while the page was open.',
    createdAt: Date.now(),
  });
  const known = () =>
    desktop.db.prepare('SELECT count(*) FROM observations WHERE title = ?').pluck().get(title);
  await expect.poll(known, { timeout: 30_000 }).toBe(1);
  const fresh = async (node: string) =>
    (await jobs()).find((job) => job.agent === node && !before.has(job.id) && job.status === 'completed');
  for (const node of ['laptop', 'desktop']) {
    await expect.poll(() => fresh(node), { timeout: 30_000 }).toBeDefined();
    const job = await fresh(node);
    await see(page, `job-status-${job?.id}`, 'Done');
    await see(page, `job-rows-${job?.id}`, node === 'laptop' ? '↑ 1' : '↓ 1');
  }
});

test.each([
  ['push', 'Push'],
  ['pull', 'Pull'],
  ['sync', 'Sync'],
] as const)('runs the button %s on its node only, and adds its job to the history', async (action, label) => {
  const page = await openSpaces();
  await see(page, 'jobs-table');
  const before = new Set((await jobs()).map(({ id }) => id));
  await page.getByTestId(`member-${action}-desktop`).click();
  await page.getByText(`${label} requested on desktop`).waitFor();
  const asked = async () => (await jobs()).find((job) => job.trigger === 'button' && !before.has(job.id));
  await expect.poll(asked).toMatchObject({ action, agent: 'desktop' });
  const id = (await asked())?.id;
  await see(page, `job-status-${id}`, 'Done');
  await see(page, `job-row-${id}`, 'by hand');
});

test('asks every node with Sync all, filters the history by node, and omits empty rounds', async () => {
  const page = await openSpaces();
  await see(page, 'jobs-table');
  await click(page, 'space-sync-all');
  await page.getByText('Sync requested on 2 nodes').waitFor();
  const running = page.locator('tr[data-status="running"], tr[data-status="pending"]');
  await expect
    .poll(async () => (await jobs()).every(({ status }) => status === 'completed'), { timeout: 15_000 })
    .toBe(true);
  await expect.poll(() => running.count(), { timeout: 15_000 }).toBe(0);
  const rows = page.getByTestId('jobs-table').locator('tbody tr');
  await expect.poll(() => rows.count()).toBe(Math.min(25, (await jobs()).length));

  await click(page, 'jobs-node-filter');
  await page.getByRole('option', { name: 'laptop' }).click();
  const own = (await jobs()).filter(({ agent }) => agent === 'laptop').length;
  await expect.poll(() => rows.count()).toBe(own);
  expect(new URL(page.url()).searchParams.get('node')).toBe('laptop');
});

test('opens the right workflow in the Temporal UI from the history link', async () => {
  const page = await openSpaces();
  const link = page.locator('[data-testid^="job-history-"]').first();
  const [opened] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
  await opened
    .getByText(/memory-sync:[0-9a-f]{16}:(laptop|desktop)/)
    .first()
    .waitFor();
  await opened.getByText('Workflow Execution Started').first().waitFor();
});

test('deletes a space only after a confirmation', async () => {
  const page = await openSpaces();
  await click(page, 'space-menu');
  await click(page, 'space-delete');
  await see(page, 'confirm-dialog', `Delete ${NAME}?`);
  await click(page, 'confirm-cancel');
  await see(page, 'space-name', NAME);
  await click(page, 'space-menu');
  await click(page, 'space-delete');
  await click(page, 'confirm-accept');
  await see(page, 'spaces-empty');
  expect((await fleet.test.call('GET', `/api/membridge/spaces/${CID}`)).status).toBe(404);
});
