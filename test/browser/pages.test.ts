import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

/** With MEMBRIDGE_SCREENSHOTS=1 the pictures of the docs are taken on the way. */
const pictures = process.env['MEMBRIDGE_SCREENSHOTS'] === '1';
const folder = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'docs', 'screenshots');
/** Pictures show a fleet of a believable size; for the rules of accessibility a small one does. */
const scale = pictures ? 60 : 1;

let fleet: Fleet;
let visitor: Visitor;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  await fleet.test.call('POST', '/api/membridge/spaces', { body: { name: 'everything' } });
  const website = { name: 'website', projects: ['website', 'garden'] };
  await fleet.test.call('POST', '/api/membridge/spaces', { body: website });
  const laptop = fleet.machine('laptop', { observations: 36 * scale });
  const desktop = fleet.machine('desktop', { observations: 24 * scale });
  const server = fleet.machine('server', { observations: 12 * scale, release: '12.7.5' });
  const bare = fleet.machine('build-01');
  bare.db.close();
  rmSync(dirname(bare.databasePath), { recursive: true });
  for (const machine of [server, bare]) await fleet.start(machine);
  await Promise.all([laptop, desktop].map((machine) => fleet.start(machine)));
  await inStep();
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

/** Waits until every node that has a database is in step in both spaces. */
async function inStep(): Promise<void> {
  const states = async () => {
    const { body } = await fleet.test.call('GET', '/api/membridge/spaces');
    const spaces = body as unknown as { nodes: { node_id: string; status: string }[] }[];
    return spaces.flatMap(({ nodes }) => nodes).filter(({ node_id }) => node_id !== 'build-01');
  };
  await expect
    .poll(states, { timeout: 90_000 })
    .toSatisfy(
      (nodes: { status: string }[]) =>
        nodes.length === 6 && nodes.every(({ status }) => status === 'in-step'),
    );
}

/** What can be seen of the page: how to get there, and what shows that it is all there. */
const VIEWS: Record<string, (page: Page) => Promise<void>> = {
  membridge: async (page) => {
    await click(page, 'tab-membridge');
    await see(page, 'space-name', 'everything');
    await see(page, 'jobs-table', 'Done');
    await see(page, 'member-status-laptop', 'In step');
  },
  'new-space': async (page) => {
    await click(page, 'tab-membridge');
    await click(page, 'new-space-open');
    await page.getByTestId('new-space-name').fill('billing');
    await page.getByText('Named projects').click();
    await page.getByTestId('new-space-projects').fill('billing\nbilling-api');
  },
  'delete-space': async (page) => {
    await click(page, 'tab-membridge');
    await click(page, 'space-menu');
    await click(page, 'space-delete');
    await see(page, 'confirm-dialog');
  },
  menu: async (page) => {
    await click(page, 'account-menu');
    await see(page, 'sign-out');
  },
  nodes: async (page) => {
    await click(page, 'tab-nodes');
    await see(page, 'node-status-laptop', 'Online');
    await see(page, 'node-row-build-01', 'No claude-mem database');
  },
  'add-node': async (page) => {
    await click(page, 'tab-nodes');
    await page.getByTestId('add-node-name').fill('build-02');
    await click(page, 'add-node-create');
    await see(page, 'add-node-token');
    await page.getByTestId('add-node').scrollIntoViewIfNeeded();
  },
  node: async (page) => {
    await click(page, 'tab-nodes');
    await click(page, 'node-open-laptop');
    await see(page, 'node-drawer', 'Observations');
  },
  runtime: async (page) => {
    await click(page, 'tab-runtime');
    await see(page, 'runtime-status', 'All parts work');
    await see(page, 'stat-nodes', '/ 4');
  },
};
/** The views whose pictures stand in the docs. */
const PICTURED = new Set(['membridge', 'new-space', 'nodes', 'add-node', 'node', 'runtime', 'signin']);

const schemes = ['dark', 'light'] as const;

test.each(schemes.flatMap((scheme) => Object.keys(VIEWS).map((view) => [view, scheme] as const)))(
  'the view %s breaks no rule of accessibility in %s',
  async (view, colorScheme) => {
    const page = await visitor.open(fleet.signInLink, { colorScheme });
    await see(page, 'live-state', 'Live');
    await VIEWS[view]?.(page);
    await inspect(page, view, colorScheme);
  },
);

test.each(schemes)(
  'the pages without a session break no rule of accessibility in %s',
  async (colorScheme) => {
    visitor.expectProblem(/status of 404/);
    visitor.expectProblem(/status of 401/);
    const page = await visitor.open(`${fleet.url}/signin`, { colorScheme });
    await see(page, 'page-signin');
    await inspect(page, 'signin', colorScheme);
    await page.getByTestId('signin-key').fill('wrong');
    await click(page, 'signin-submit');
    await see(page, 'signin-error');
    await inspect(page, 'signin-refused', colorScheme);
    await page.goto(`${fleet.url}/nowhere`);
    await see(page, 'page-not-found');
    await inspect(page, 'not-found', colorScheme);
  },
);

/** Runs axe on what is shown, and takes its picture when that is asked for. */
async function inspect(page: Page, view: string, scheme: string): Promise<void> {
  if (pictures && PICTURED.has(view)) {
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: join(folder, `${view}-${scheme}.png`) });
  }
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect(found).toEqual([]);
}
