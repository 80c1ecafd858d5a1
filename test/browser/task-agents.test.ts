import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { taskSettings } from '../../demo/tasks.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

const root = join(import.meta.dirname, '..', '..');

let fleet: Fleet;
let visitor: Visitor;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  await fleet.start(fleet.machine('laptop'), undefined, taskSettings(root, 'laptop'));
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

/** Makes a task with the form; leaves the browser on its page. */
async function make(prompt: string): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'tab-runtime');
  await see(page, 'live-state', 'Live');
  await click(page, 'new-task-open');
  await page.getByTestId('task-prompt').fill(prompt);
  // A node that runs tasks is online, so nothing warns.
  await expect.poll(() => page.getByTestId('task-will-wait').count()).toBe(0);
  await click(page, 'task-submit');
  await see(page, 'task-status');
  return page;
}

test('shows the live output of a task on an agent, and then its result', async () => {
  const words = Array.from({ length: 40 }, (_, n) => `word${n}`);
  const page = await make(words.join(' '));
  await see(page, 'task-status', 'Running');
  await see(page, 'lease-clock', 'On laptop');
  await see(page, 'output', 'word3');
  // The task is still running: the last word has not been written.
  expect(await page.getByTestId('output').innerText()).not.toContain('word39');
  await see(page, 'output', 'word39');
  await see(page, 'task-status', 'Completed');
  await see(page, 'result', 'word39');
  await see(page, 'attempt-1', 'given to its agent');
  await see(page, 'attempt-status-1', 'Completed');
  await see(page, 'artifacts-table', 'LOG');
  await see(page, 'step-task_completed');
});

test('ends a task on an agent, with its program, when it is cancelled', async () => {
  const page = await make('a long story '.repeat(200));
  await see(page, 'output', 'a long');
  await click(page, 'task-cancel-head');
  await see(page, 'confirm-dialog', 'is on laptop');
  await click(page, 'confirm-accept');
  await see(page, 'task-status', 'Cancelled');
  await see(page, 'output-state', 'Ended');
  await page.getByTestId('lease-clock').waitFor({ state: 'detached' });
});
