import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { enrolNode, RUNTIME_KEY } from '../support/control-plane.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { showTasks } from './task-views.ts';
import { see, startVisitor, type Visitor } from './visitor.ts';

let fleet: Fleet;
let visitor: Visitor;
let task: string;
let proposal: string;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  await fleet.test.call('POST', '/api/membridge/spaces', { body: { name: 'everything' } });
  for (const node of ['laptop', 'desktop']) await enrolNode(fleet.test, node);
  const project = { name: 'garden', repo_url: 'https://git.example.org/garden', tags: ['web'] };
  const made = await fleet.test.call('POST', '/api/runtime/projects', { body: project });
  const { running, proposal: shown } = await showTasks(fleet, String(made.body['id']));
  [task, proposal] = [running, shown];
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

/**
 * Steps through a page with Tab until the focus leaves it.
 * @returns the visible controls that it never reached. One radio button of each group is enough; the arrow keys reach
 * the others
 */
async function unreached(page: Page): Promise<string[]> {
  const total = await page.evaluate(() => {
    const selector = 'a[href], button, input, select, textarea, [tabindex]:not([tabindex="-1"])';
    const seen = [...document.querySelectorAll<HTMLElement>(selector)].filter(
      (control) =>
        control.checkVisibility() &&
        !control.matches(':disabled, [type=hidden]') &&
        control.tabIndex >= 0 &&
        (!control.matches('[type=radio]') || control.matches(':checked')),
    );
    const left = new Set(seen);
    document.addEventListener('focusin', ({ target }) => left.delete(target as HTMLElement));
    Object.assign(window, { left });
    (document.activeElement as HTMLElement | null)?.blur();
    return seen.length;
  });
  expect(total).toBeGreaterThan(1);
  // A control that a live update removed need not be reached; a new one costs more steps.
  const remaining = (): Promise<string[]> =>
    page.evaluate(() => {
      const { left } = window as unknown as { left: Set<HTMLElement> };
      const there = [...left].filter((control) => control.isConnected && !control.matches(':disabled'));
      return there.map((control) => control.outerHTML.slice(0, 160));
    });
  for (let step = 0; step < 3 * total + 10; step += 1) {
    await page.keyboard.press('Tab');
    if (step >= total && (await remaining()).length === 0) break;
  }
  return await remaining();
}

test('reaches every control of every page with Tab', async () => {
  const signIn = await visitor.open(`${fleet.url}/signin`);
  await see(signIn, 'page-signin');
  expect(await unreached(signIn)).toEqual([]);
  const page = await visitor.open(fleet.signInLink);
  for (const [path, shown] of [
    ['/membridge', 'member-row-laptop'],
    ['/membridge/projects', 'projects-table'],
    [`/membridge/projects/${canonicalId('garden')}`, 'clone-row-laptop'],
    ['/nodes', 'node-row-laptop'],
    ['/runtime', 'tasks-table'],
    [`/runtime/tasks/${task}`, 'timeline'],
    ['/runtime/overview', 'part-temporal'],
    ['/runtime/proposals', 'proposals-table'],
    [`/runtime/proposals/${proposal}`, 'diff'],
    ['/runtime/audit', 'audit-table'],
    ['/runtime/settings', 'task-settings'],
  ] as const) {
    await see(page, 'live-state', 'Live');
    await page.goto(`${fleet.url}${path}`);
    await see(page, shown);
    expect(await unreached(page)).toEqual([]);
  }
});

/** Returns the test id of the focused element. */
const focused = (page: Page) =>
  page.evaluate(() => document.activeElement?.getAttribute('data-testid') ?? null);

/** Steps with Tab to the element with a test id. */
async function tabTo(page: Page, testId: string): Promise<void> {
  const reached = () =>
    page.evaluate((id) => document.activeElement?.closest(`[data-testid="${id}"]`) !== null, testId);
  for (let step = 0; step < 60; step += 1) {
    if (await reached()) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`60 steps with Tab did not lead to ${testId}.`);
}

test('makes and deletes a space without a mouse, and never loses the focus', async () => {
  const page = await visitor.open(`${fleet.url}/signin`);
  await see(page, 'page-signin');
  await page.keyboard.type(RUNTIME_KEY);
  await page.keyboard.press('Enter');
  await see(page, 'space-name', 'everything');
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the content');
  await page.keyboard.press('Enter');

  await tabTo(page, 'new-space-open');
  await page.keyboard.press('Enter');
  await see(page, 'new-space-dialog');
  await page.keyboard.press('Escape');
  await page.getByTestId('new-space-dialog').waitFor({ state: 'detached' });
  await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe('New space');

  await page.keyboard.press('Enter');
  await see(page, 'new-space-dialog');
  await tabTo(page, 'new-space-name');
  await page.keyboard.type('by-hand');
  await page.keyboard.press('Enter');
  await see(page, 'space-name', 'by-hand');

  await tabTo(page, 'space-menu');
  await page.keyboard.press('Enter');
  // An open menu takes the focus to its first item.
  await expect.poll(() => focused(page)).toBe('space-delete');
  await page.keyboard.press('Enter');
  await see(page, 'confirm-dialog', 'Delete by-hand?');
  // The harmless answer has the focus.
  await tabTo(page, 'confirm-cancel');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await see(page, 'space-name', 'everything');
});

test('adds a project, propagates to chosen nodes, and answers the delete question without a mouse', async () => {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  await page.goto(`${fleet.url}/membridge/projects`);
  await see(page, 'projects-table');
  await tabTo(page, 'add-project-open');
  await page.keyboard.press('Enter');
  await see(page, 'add-project-dialog');
  await tabTo(page, 'project-repo');
  await page.keyboard.type('https://git.example.org/team/by-keys.git');
  await page.keyboard.press('Enter');
  await see(page, 'added-project');
  await tabTo(page, 'added-open');
  await page.keyboard.press('Enter');
  await see(page, 'project-name', 'by-keys');

  await tabTo(page, 'clone-choose-desktop');
  await page.keyboard.press('Space');
  await see(page, 'matrix-chosen', '1 chosen');
  // A disabled button can be focused, says why it is disabled, and does nothing.
  await tabTo(page, 'project-clone');
  await page.getByText('It has no primary node').waitFor();
  await page.keyboard.press('Enter');
  await see(page, 'clone-status-desktop', 'Not here');
  await tabTo(page, 'project-propagate');
  await page.keyboard.press('Enter');
  await see(page, 'clone-status-desktop', 'Pending');
  await see(page, 'clone-status-laptop', 'Not here');

  await tabTo(page, 'project-menu');
  await page.keyboard.press('Enter');
  await expect.poll(() => focused(page)).toBe('project-edit');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await expect.poll(() => focused(page)).toBe('project-delete');
  await page.keyboard.press('Enter');
  await see(page, 'confirm-dialog', 'Delete by-keys?');
  await tabTo(page, 'confirm-cancel');
  await page.keyboard.press('Enter');
  await page.getByTestId('confirm-dialog').waitFor({ state: 'detached' });
  await see(page, 'project-name', 'by-keys');
});

test('closes a dialog with Esc, and returns the focus to the button or menu that opened it', async () => {
  const page = await visitor.open(fleet.signInLink);
  const closeByEsc = async (dialog: string, opener: string): Promise<void> => {
    await see(page, dialog);
    await page.keyboard.press('Escape');
    await page.getByTestId(dialog).waitFor({ state: 'detached' });
    await expect.poll(() => focused(page)).toBe(opener);
  };
  await see(page, 'space-name', 'everything');
  for (const [opener, dialog] of [
    ['space-settings-open', 'space-settings-dialog'],
    ['promote-open', 'promote-dialog'],
  ] as const) {
    await tabTo(page, opener);
    await page.keyboard.press('Enter');
    await closeByEsc(dialog, opener);
  }
  await page.goto(`${fleet.url}/membridge/projects/${canonicalId('garden')}`);
  await see(page, 'project-name', 'garden');
  await tabTo(page, 'project-settings-open');
  await page.keyboard.press('Enter');
  await closeByEsc('edit-project-dialog', 'project-settings-open');
  for (const [entry, dialog] of [
    ['project-edit', 'edit-project-dialog'],
    ['project-credential', 'credential-dialog'],
    ['project-delete', 'confirm-dialog'],
  ] as const) {
    await tabTo(page, 'project-menu');
    await page.keyboard.press('Enter');
    await expect.poll(() => focused(page)).toBe('project-edit');
    for (let step = 0; step < 3 && (await focused(page)) !== entry; step += 1)
      await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await closeByEsc(dialog, 'project-menu');
  }
});

test('makes, finds and cancels a task without a mouse', async () => {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  await page.goto(`${fleet.url}/runtime/tasks`);
  await see(page, 'tasks-table');
  await tabTo(page, 'new-task-open');
  await page.keyboard.press('Enter');
  await see(page, 'task-form');
  await tabTo(page, 'task-prompt');
  await page.keyboard.type('Made by hand');
  await tabTo(page, 'task-auto');
  await page.keyboard.press('Space');
  await tabTo(page, 'task-submit');
  await page.keyboard.press('Enter');
  await see(page, 'task-title', 'Made by hand');
  await see(page, 'task-waiting', 'Waits to be dispatched or leased');
  await tabTo(page, 'task-cancel-head');
  await page.keyboard.press('Enter');
  await see(page, 'confirm-dialog', 'Cancel this task?');
  // The harmless answer has the focus.
  await expect.poll(() => focused(page)).toBe('confirm-cancel');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await see(page, 'task-status', 'Cancelled');

  await tabTo(page, 'nav-tasks');
  await page.keyboard.press('Enter');
  await tabTo(page, 'status-cancelled');
  await page.keyboard.press('Enter');
  await see(page, 'tasks-table', 'Made by hand');
  await tabTo(page, 'tasks-search');
  await page.keyboard.type('by hand');
  await expect.poll(() => new URL(page.url()).search).toBe('?status=cancelled&search=by+hand');
});
