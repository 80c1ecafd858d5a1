import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { SpaceSummary } from '../../contract/memory/memory.ts';
import { waitUntil } from '../../demo/fleet.ts';
import type { Machine } from '../../demo/machines.ts';
import { startGitServers, type GitServers } from '../git/servers.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { inspect, pictures } from './inspect.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

/** Pictures show a fleet of a realistic size; for the accessibility rules a small one is enough. */
const scale = pictures ? 60 : 1;

let fleet: Fleet;
let visitor: Visitor;
let server: Machine;
let gits: GitServers;
/** The ids of the projects by their names. */
const projects: Record<string, string> = {};
beforeAll(async () => {
  [fleet, visitor, gits] = await Promise.all([startFleet(), startVisitor(), startGitServers()]);
  const everything = { name: 'everything', projects: ['*'] };
  await fleet.test.call('POST', '/api/membridge/spaces', { body: everything });
  const website = { name: 'website', projects: ['website', 'garden'] };
  await fleet.test.call('POST', '/api/membridge/spaces', { body: website });
  const laptop = fleet.machine('laptop', { observations: 36 * scale });
  const desktop = fleet.machine('desktop', { observations: 24 * scale });
  server = fleet.machine('server', { observations: 12 * scale, release: '12.7.5' });
  // One node is not well: without a database, or in the pictures, where red would be too much, away.
  const unwell = fleet.machine('build-01', { observations: 6 * scale });
  if (!pictures) {
    unwell.db.close();
    rmSync(dirname(unwell.databasePath), { recursive: true });
  }
  const agents = await Promise.all([unwell, server].map((machine) => fleet.start(machine)));
  await Promise.all([laptop, desktop].map((machine) => fleet.start(machine)));
  await inStep();
  if (pictures) {
    await agents[0]?.kill();
    for (let n = 1; n <= 12; n += 1) await remember(n % 2 === 0 ? laptop : desktop, n);
    await waitUntil(
      'the node that was ended is offline',
      40,
      async () => (await nodeStatus('build-01')) === 'offline',
    );
  }
  await cloneProjects(desktop, unwell);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
  await gits.stop();
});

/** Waits until every node that has a database is in step in both spaces. */
async function inStep(): Promise<void> {
  await waitUntil('three nodes are in step in both spaces', 90, async () => {
    const { body } = await fleet.test.call('GET', '/api/membridge/spaces');
    const spaces = body as unknown as SpaceSummary[];
    return spaces.length === 2 && spaces.every(({ members }) => members['in-step'] === 3);
  });
}

async function nodeStatus(id: string): Promise<unknown> {
  return (await fleet.test.call('GET', `/api/runtime/workers/${id}`)).body['status'];
}

async function addProject(name: string, body: Record<string, unknown>): Promise<string> {
  const repo_url = `${gits.open.url}/${name}.git`;
  const made = await fleet.test.call('POST', '/api/runtime/projects', { body: { name, repo_url, ...body } });
  const id = String(made.body['id']);
  projects[name] = id;
  return id;
}
const ask = (id: string, what: string, body: Record<string, unknown> = {}) =>
  fleet.test.call('POST', `/api/runtime/projects/${id}/${what}`, { body });

/** Makes a project in every status that its page knows: up to date, with local work, in progress, waiting or refused. */
async function cloneProjects(desktop: Machine, unwell: Machine): Promise<void> {
  const website = gits.create('website', { bytes: 9_000_000, commits: 4 });
  for (const name of ['billing', 'dotfiles']) gits.create(name, { commits: 2 });
  const schedules = { memory_schedule: { cron: '0 3 * * *' }, fetch_schedule: { cron: '0 */6 * * *' } };
  const id = await addProject('website', {
    primary_node_id: 'laptop',
    branch: 'main',
    tags: ['web', 'customers'],
    new_nodes: true,
    ...schedules,
  });
  const billing = await addProject('billing', { primary_node_id: 'server', tags: ['customers', 'money'] });
  await addProject('dotfiles', {});
  await ask(billing, 'propagate', { nodes: ['laptop', 'desktop', 'server'] });
  await ask(id, 'propagate', { nodes: ['laptop', 'desktop'] });
  const clone = join(desktop.home, 'projects', 'website');
  writeFileSync(join(clone, 'README.md'), 'Work on the way.');
  website.push({ 'index.html': '<h1>Welcome</h1>' });
  await ask(id, 'clone', { node_id: 'laptop' });
  await ask(id, 'fetch', {});
  if (!pictures) {
    // Another folder is already at the clone's target path.
    mkdirSync(join(unwell.home, 'projects', 'website'), { recursive: true });
    writeFileSync(join(unwell.home, 'projects', 'website', 'diary'), 'Mine.');
  }
  // Slow enough to be in progress in every view, also on a busy machine.
  gits.open.trouble = { kind: 'slow', everyMs: 3_000 };
  await ask(id, 'propagate', { nodes: ['server', 'build-01'], wait: false });
  const select = { primary_node_id: 'laptop', lease_seconds: 28_800 };
  const { body } = await fleet.test.call('GET', '/api/membridge/spaces');
  const everything = (body as unknown as SpaceSummary[]).find(({ name }) => name === 'everything');
  const path = `/api/membridge/projects/${everything?.canonical_id}/leadership/select`;
  await fleet.test.call('POST', path, { body: { ...select, primary_node_id: 'desktop' } });
  await fleet.test.call('POST', path, { body: select });
}

/** Writes some memories on a machine, as its claude-mem would, and waits until another one has them. */
async function remember(machine: Machine, n: number): Promise<void> {
  const session = machine.db.prepare('SELECT memory_session_id, project FROM sdk_sessions LIMIT 1 OFFSET ?');
  const { memory_session_id: memorySessionId, project } = session.get(n) as Record<string, string>;
  for (let k = 0; k <= (n * 7) % 5; k += 1) {
    const title = `Finding ${n}.${k}`;
    const found = {
      type: 'discovery',
      title,
      narrative: `Seen on ${machine.id}.`,
      createdAt: Date.now() + k,
    };
    machine.writer.observation({
      memorySessionId: String(memorySessionId),
      project: String(project),
      ...found,
    });
  }
  await waitUntil(
    `finding ${n} is known on the server`,
    30,
    () => server.db.prepare('SELECT 1 FROM observations WHERE title = ?').get(`Finding ${n}.0`) !== undefined,
  );
}

/** The views of the page: how to open each, and what shows that it is complete. */
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
  'space-settings': async (page) => {
    await click(page, 'tab-membridge');
    await click(page, 'space-settings-open');
    await see(page, 'space-settings-dialog', 'Never sent');
  },
  'node-settings': async (page) => {
    await click(page, 'tab-membridge');
    await click(page, 'member-settings-laptop');
    await page.getByTestId('trust-desktop').getByText('Hold').click();
    await click(page, 'name-add');
    await page.getByTestId('name-local-0').fill('site');
    await page.getByTestId('name-space-0').fill('website');
  },
  menu: async (page) => {
    await click(page, 'account-menu');
    await see(page, 'sign-out');
  },
  nodes: async (page) => {
    await click(page, 'tab-nodes');
    await see(page, 'node-status-laptop', 'Online');
    await see(page, 'node-row-build-01', pictures ? 'Offline' : 'No claude-mem database');
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
    await click(page, 'nav-overview');
    await see(page, 'runtime-status', 'All parts work');
    await see(page, 'stat-nodes', '/ 4');
  },
  projects: async (page) => {
    await click(page, 'tab-membridge');
    await click(page, 'nav-projects');
    await see(page, `project-status-${projects.website}`, 'Propagating');
  },
  'add-project': async (page) => {
    await page.goto(`${fleet.url}/membridge/projects`);
    await click(page, 'add-project-open');
    await page.getByTestId('project-repo').fill('git@git.example.org:team/billing.git');
    await page.getByText('Needs a token or key').click();
    await see(page, 'credential-key');
  },
  'add-project-options': async (page) => {
    await page.goto(`${fleet.url}/membridge/projects`);
    await click(page, 'add-project-open');
    await page.getByTestId('project-repo').fill('https://me:secret@git.example.org/team/billing.git');
    await click(page, 'add-project-submit');
    await see(page, 'secret-in-address');
    await click(page, 'project-options-toggle');
  },
  project: async (page) => {
    await page.goto(`${fleet.url}/membridge/projects/${projects.website}`);
    await see(page, 'project-name', 'website');
    await see(page, 'clone-progress-server', '%');
    await see(page, 'clone-drift-desktop', '1 changed file');
    await see(page, 'clone-status-build-01', pictures ? 'Pending' : 'Failed');
    await see(page, 'schedule-fetch-due', 'next in');
    await see(page, 'leadership-primary', 'laptop');
  },
  'project-schedule': async (page) => {
    await page.goto(`${fleet.url}/membridge/projects/${projects.website}`);
    await click(page, 'schedule-fetch-change');
    await see(page, 'schedule-reading', 'Every 6 hours');
  },
  'project-menu': async (page) => {
    await page.goto(`${fleet.url}/membridge/projects/${projects.website}`);
    await click(page, 'project-menu');
    await see(page, 'project-delete');
  },
  'project-propagate': async (page) => {
    await page.goto(`${fleet.url}/membridge/projects/${projects.website}`);
    await click(page, 'propagate-advanced');
    await see(page, 'propagate-concurrency');
  },
  'project-delete': async (page) => {
    await page.goto(`${fleet.url}/membridge/projects/${projects.website}`);
    await click(page, 'project-menu');
    await click(page, 'project-delete');
    await see(page, 'confirm-dialog', 'Delete website?');
  },
  leadership: async (page) => {
    await click(page, 'tab-membridge');
    await see(page, 'leadership-primary', 'laptop');
    await see(page, 'leadership-expires', 'in ');
    await page.getByTestId('leadership-card').scrollIntoViewIfNeeded();
  },
  promote: async (page) => {
    await click(page, 'tab-membridge');
    await click(page, 'promote-open');
    await see(page, 'promote-consequence', 'epoch');
  },
  'runtime-settings': async (page) => {
    await click(page, 'tab-runtime');
    await click(page, 'nav-settings');
    await see(page, 'proxy-not-in-use', 'its own control plane');
  },
};
/** The views whose pictures are in the docs. */
const PICTURED = new Set([
  'membridge',
  'new-space',
  'space-settings',
  'node-settings',
  'nodes',
  'add-node',
  'node',
  'runtime',
  'signin',
  'projects',
  'project',
  'add-project',
  'leadership',
  'promote',
]);

test('breaks no accessibility rule in any view, in dark or in light', { timeout: 300_000 }, async () => {
  // An address with a secret in it.
  visitor.expectProblem(/status of 400/);
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  const found: string[] = [];
  for (const [view, show] of Object.entries(VIEWS)) {
    await page.goto(`${fleet.url}/membridge`);
    await see(page, 'live-state', 'Live');
    await show(page);
    found.push(...(await inspect(page, view, PICTURED.has(view))));
  }
  expect(found).toEqual([]);
});

test.each([390, 1600])('keeps every view within a window of %i pixels', async (width) => {
  // An address with a secret in it.
  visitor.expectProblem(/status of 400/);
  const page = await visitor.open(fleet.signInLink, { viewport: { width, height: 844 } });
  await see(page, 'live-state', 'Live');
  const wider: string[] = [];
  for (const [view, show] of Object.entries(VIEWS)) {
    await page.goto(`${fleet.url}/membridge`);
    await see(page, 'live-state', 'Live');
    await show(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (over > 0) wider.push(`${view}: ${over} pixels`);
  }
  expect(wider).toEqual([]);
});

test('breaks no accessibility rule on pages without a session, in dark or in light', async () => {
  visitor.expectProblem(/status of 404/);
  visitor.expectProblem(/status of 401/);
  const page = await visitor.open(`${fleet.url}/signin`);
  await see(page, 'page-signin');
  const found = await inspect(page, 'signin', true);
  await page.getByTestId('signin-key').fill('wrong');
  await click(page, 'signin-submit');
  await see(page, 'signin-error');
  found.push(...(await inspect(page, 'signin-refused', false)));
  await page.goto(`${fleet.url}/nowhere`);
  await see(page, 'page-not-found');
  found.push(...(await inspect(page, 'not-found', false)));
  expect(found).toEqual([]);
});
