import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startFleet, type Fleet } from './fleet.ts';
import { inspect } from './inspect.ts';
import { showTasks, type ShownTasks } from './task-views.ts';
import { enrolRunner } from './task-worker.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

let fleet: Fleet;
let visitor: Visitor;
let tasks: ShownTasks;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  await enrolRunner(fleet.test, 'laptop', { labels: [] });
  await enrolRunner(fleet.test, 'desktop', { max_concurrency: 4, labels: ['home', 'linux'] });
  const website = { name: 'website', repo_url: 'https://git.example.org/team/website.git' };
  const { body } = await fleet.test.call('POST', '/api/runtime/projects', { body: website });
  tasks = await showTasks(fleet, String(body['id']));
  const morning = { name: 'morning', cron: '0 8 * * *', task: { prompt: 'Say what changed over night.' } };
  await fleet.test.call('POST', '/api/runtime/task-schedules', { body: morning });
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

/** The views of tasks: how to open each, and what shows that it is complete. */
const VIEWS: Record<string, (page: Page) => Promise<void>> = {
  tasks: async (page) => {
    await click(page, 'tab-runtime');
    await see(page, `task-status-${tasks.running}`, 'Running');
    await see(page, 'status-all-count', '6');
  },
  'tasks-filtered': async (page) => {
    await page.goto(`${fleet.url}/runtime/tasks?agent=reviewer&status=completed`);
    await see(page, `task-status-${tasks.completed}`, 'Completed');
    await see(page, 'tasks-filters');
  },
  'tasks-none': async (page) => {
    await page.goto(`${fleet.url}/runtime/tasks?search=nothing+like+that`);
    await see(page, 'tasks-no-match');
  },
  'new-task': async (page) => {
    await click(page, 'tab-runtime');
    await click(page, 'new-task-open');
    await page.getByTestId('task-prompt').fill('Review what changed since Monday.');
    await click(page, 'task-options-toggle');
    await see(page, 'task-webhook');
  },
  'new-task-refused': async (page) => {
    await click(page, 'tab-runtime');
    await click(page, 'new-task-open');
    await page.getByTestId('task-type').getByText('A proposal').click();
    await click(page, 'task-submit');
    await see(page, 'task-error', 'Correct the marked fields');
  },
  'cancel-task': async (page) => {
    await click(page, 'tab-runtime');
    await click(page, `task-cancel-${tasks.running}`);
    await see(page, 'confirm-dialog', 'Let it run');
  },
  task: async (page) => {
    await page.goto(`${fleet.url}/runtime/tasks/${tasks.running}`);
    await see(page, 'output', 'Writing a test for it');
    await see(page, 'lease-clock', 'On laptop');
    await see(page, 'step-task_started');
  },
  'task-completed': async (page) => {
    await page.goto(`${fleet.url}/runtime/tasks/${tasks.completed}`);
    await see(page, 'result', 'first_paint_ms');
    await see(page, 'artifacts-table', 'result.json');
    await see(page, 'step-task_completed');
  },
  overview: async (page) => {
    await page.goto(`${fleet.url}/runtime/overview`);
    await see(page, 'leases-table', 'laptop');
    await see(page, 'runs-table', 'Completed');
    await see(page, 'task-node-desktop', 'of 4 busy');
    await see(page, 'part-temporal', 'Works');
  },
  drain: async (page) => {
    await page.goto(`${fleet.url}/runtime/overview`);
    await click(page, 'drain-desktop');
    await see(page, 'confirm-dialog', 'Drain desktop?');
  },
  proposals: async (page) => {
    await page.goto(`${fleet.url}/runtime/proposals`);
    await see(page, `proposal-status-${tasks.proposal}`, 'Pending');
  },
  proposal: async (page) => {
    await page.goto(`${fleet.url}/runtime/proposals/${tasks.proposal}`);
    await see(page, 'diff', 'SHIPPING_CENTS');
  },
  'approve-proposal': async (page) => {
    await page.goto(`${fleet.url}/runtime/proposals/${tasks.proposal}`);
    await click(page, 'proposal-approve');
    await see(page, 'approve-version');
  },
  audit: async (page) => {
    await page.goto(`${fleet.url}/runtime/audit`);
    await see(page, 'audit-table', 'Proposal rejected');
  },
  'audit-export': async (page) => {
    await page.goto(`${fleet.url}/runtime/audit?entity=llm_task`);
    await click(page, 'audit-export');
    await see(page, 'audit-export-csv');
  },
  'task-settings': async (page) => {
    await page.goto(`${fleet.url}/runtime/settings`);
    await see(page, 'task-settings', 'Budget of a context');
    await see(page, 'schedule-row-morning', 'next in');
    await click(page, 'webhook-show');
    await see(page, 'webhook-secret');
  },
  'new-schedule': async (page) => {
    await page.goto(`${fleet.url}/runtime/settings`);
    await click(page, 'new-schedule-open');
    await see(page, 'schedule-reading', 'At 03:00');
  },
};
/** The views whose pictures are in the docs. */
const PICTURED = new Set(['tasks', 'task', 'new-task', 'overview', 'proposal', 'audit']);

test(
  'breaks no accessibility rule in any view of tasks, in dark or in light',
  { timeout: 300_000 },
  async () => {
    const page = await visitor.open(fleet.signInLink);
    const found: string[] = [];
    for (const [view, show] of Object.entries(VIEWS)) {
      await see(page, 'live-state', 'Live');
      await page.goto(`${fleet.url}/membridge`);
      await show(page);
      found.push(...(await inspect(page, view, PICTURED.has(view))));
    }
    expect(found).toEqual([]);
  },
);

test.each([390, 1600])('keeps every view of tasks within a window of %i pixels', async (width) => {
  const page = await visitor.open(fleet.signInLink, { viewport: { width, height: 844 } });
  const wider: string[] = [];
  for (const [view, show] of Object.entries(VIEWS)) {
    await see(page, 'live-state', 'Live');
    await page.goto(`${fleet.url}/membridge`);
    await show(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (over > 0) wider.push(`${view}: ${over} pixels`);
  }
  expect(wider).toEqual([]);
});
