import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Task } from '../../contract/tasks/tasks.ts';
import { enrolNode } from '../support/control-plane.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { startTaskWorker, type TaskWorker } from './task-worker.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

let fleet: Fleet;
let visitor: Visitor;
let worker: TaskWorker;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  // It is online, and has no program for tasks.
  await enrolNode(fleet.test, 'laptop');
  worker = startTaskWorker(fleet.test, 'laptop');
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

const list = async (query = ''): Promise<Task[]> =>
  (await fleet.test.call('GET', `/api/runtime/llm-tasks${query}`)).body as unknown as Task[];

async function openTasks(query = ''): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  await page.goto(`${fleet.url}/runtime/tasks${query}`);
  await see(page, 'tasks-panel');
  await see(page, 'live-state', 'Live');
  return page;
}
async function openTask(id: string): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  await page.goto(`${fleet.url}/runtime/tasks/${id}`);
  await see(page, 'task-id', id);
  await see(page, 'live-state', 'Live');
  return page;
}
const address = (page: Page): string => decodeURIComponent(new URL(page.url()).search);

test('makes a task with the form, shows problems beside their fields, and ignores a double click', async () => {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'tab-runtime');
  await see(page, 'tasks-empty', 'No task yet');
  expect(new URL(page.url()).pathname).toBe('/runtime/tasks');
  await click(page, 'new-task-open');
  await see(page, 'task-will-wait', 'No node that runs tasks is online');
  await click(page, 'task-options-toggle');
  await page.getByTestId('task-timeout').fill('4000');
  await page.getByTestId('task-webhook').fill('example.org');
  await page.getByTestId('task-type').getByText('A proposal').click();
  await click(page, 'task-submit');
  const form = page.getByTestId('task-form');
  for (const problem of [
    'Is missing',
    'Must be at most 3600',
    'Must be an http(s) address',
    'A proposal needs the project',
  ]) {
    await form.getByText(problem).first().waitFor();
  }
  await see(page, 'task-error', 'Correct the marked fields');
  await expect
    .poll(() => page.evaluate(() => document.activeElement?.getAttribute('data-testid')))
    .toBe('task-prompt');
  expect(await list()).toEqual([]);

  await page.getByTestId('task-prompt').fill('Review <b>this</b>\nand say what is wrong.');
  await page.getByTestId('task-agent').fill('reviewer');
  await page.getByTestId('task-type').getByText('A result').click();
  await page.getByTestId('task-timeout').fill('60');
  await page.getByTestId('task-webhook').fill('');
  // A form that was closed by mistake keeps the typed text.
  await page.keyboard.press('Escape');
  await form.waitFor({ state: 'detached' });
  await click(page, 'new-task-open');
  expect(await page.getByTestId('task-agent').inputValue()).toBe('reviewer');
  await click(page, 'task-options-toggle');
  await page.getByTestId('task-hints').fill('README.md\nsrc/main.ts');
  await page.getByTestId('task-tags').fill('nightly');
  await page.keyboard.press('Enter');
  expect(await page.getByTestId('task-submit').innerText()).toBe('Create and dispatch');
  await page.getByTestId('task-submit').dblclick();
  await see(page, 'task-title', 'Review <b>this</b>');
  const [made, ...more] = await list();
  expect(more).toEqual([]);
  expect(made).toMatchObject({
    agent_slug: 'reviewer',
    context_hints: ['README.md', 'src/main.ts'],
    dispatched: true,
    tags: ['nightly'],
    created_by: 'page',
    policy: { timeout_sec: 60 },
  });
  expect(new URL(page.url()).pathname).toBe(`/runtime/tasks/${made?.id}`);
  await see(page, 'task-status', 'Queued');
  await see(page, 'task-waiting', 'No node');
  await see(page, 'prompt', 'Review <b>this</b>\nand say what is wrong.');
  await see(page, 'fact-policy', '60 s, no budget');
  await see(page, 'fact-tags', 'nightly');
  await see(page, 'fact-context', `ctx_${made?.id.slice(5)}`);
  await see(page, 'step-task_created');
  await page.getByTestId('task-history').waitFor();
});

test('makes a task once when its answer was lost, and reports that the changed form is another task', async () => {
  visitor.expectProblem(/status of 409|Failed to load resource/);
  const page = await openTasks();
  await click(page, 'new-task-open');
  await page.getByTestId('task-prompt').fill('Lost on the way');
  await page.getByTestId('task-auto').uncheck();
  expect(await page.getByTestId('task-submit').innerText()).toBe('Create task');
  // The request arrives, and its answer does not.
  await page.route('**/api/runtime/llm-tasks', async (route) => {
    if (route.request().method() !== 'POST') return await route.continue();
    await route.fetch();
    return await route.abort();
  });
  await click(page, 'task-submit');
  await see(page, 'task-error', 'does not answer');
  await page.unroute('**/api/runtime/llm-tasks');
  await page.getByTestId('task-prompt').fill('Another');
  await click(page, 'task-submit');
  const [lost] = await list('?search=Lost');
  await see(page, 'task-made-before', String(lost?.id));
  await click(page, 'task-submit');
  await see(page, 'task-title', 'Another');
  expect(await list('?search=Lost')).toHaveLength(1);
  await see(page, 'task-waiting', 'Waits to be dispatched or leased');
});

test('stores filters in the address, also with Back, and follows changes in the list', async () => {
  const shop = await worker.make({ prompt: 'Count the shop', agent_slug: 'counter', tags: ['shop'] });
  const page = await openTasks();
  await see(page, `task-prompt-${shop.id}`, 'Count the shop');
  await see(page, `task-status-${shop.id}`, 'Queued');
  await see(page, `task-row-${shop.id}`, 'not dispatched');
  await see(page, `task-attempts-${shop.id}`, '0/3');
  const made = await worker.make({ prompt: 'Came later', agent_slug: 'other' });
  await see(page, `task-row-${made.id}`, 'Came later');

  await page.getByTestId('tasks-search').fill('the shop');
  await page.getByTestId(`task-row-${made.id}`).waitFor({ state: 'detached' });
  await expect.poll(() => address(page)).toBe('?search=the+shop');
  await click(page, 'status-queued');
  await click(page, 'tasks-filters-toggle');
  await page.getByTestId('tasks-tag').fill('shop');
  await expect.poll(() => address(page)).toBe('?search=the+shop&status=queued&tag=shop');
  await see(page, `task-row-${shop.id}`);
  await page.reload();
  await see(page, `task-row-${shop.id}`);
  expect(await page.getByTestId('tasks-search').inputValue()).toBe('the shop');
  expect(await page.getByTestId('tasks-tag').inputValue()).toBe('shop');

  // A task that no longer matches leaves the list automatically.
  await worker.lease(shop.id);
  await see(page, 'tasks-no-match');
  await click(page, 'status-leased');
  await see(page, `task-worker-${shop.id}`, 'laptop');
  await see(page, 'status-leased-count', '1');
  await page.goBack();
  await see(page, 'tasks-no-match');
  await page.goBack();
  await see(page, `task-row-${shop.id}`);
  expect(address(page)).toBe('?search=the+shop');
  await worker.heartbeat(shop.id);
  await see(page, `task-status-${shop.id}`, 'Running');

  await click(page, `task-cancel-${shop.id}`);
  await see(page, 'confirm-dialog', 'Its program ends, with all processes that it started');
  await page.getByTestId('confirm-cancel').filter({ hasText: 'Let it run' }).click();
  await page.getByTestId('confirm-dialog').waitFor({ state: 'detached' });
  await see(page, `task-status-${shop.id}`, 'Running');
  await click(page, `task-cancel-${shop.id}`);
  await page.getByTestId('cancel-reason').fill('not needed');
  await click(page, 'confirm-accept');
  await see(page, `task-status-${shop.id}`, /Cancelled|Cancelling/);
});

test('loads further pages of a long list on request', async () => {
  const bodies = Array.from({ length: 55 }, (_, n) => ({ prompt: `One of many, ${n}`, context_id: 'many' }));
  const { status } = await fleet.test.call('POST', '/api/runtime/llm-tasks/batch', {
    body: { tasks: bodies },
  });
  expect(status).toBe(201);
  const page = await openTasks('?context=many');
  const rows = page.getByTestId('tasks-table').locator('tbody tr');
  await expect.poll(() => rows.count()).toBe(50);
  expect(await page.getByTestId('tasks-context').inputValue()).toBe('many');
  await click(page, 'tasks-more');
  await expect.poll(() => rows.count()).toBe(55);
  await page.getByTestId('tasks-more').waitFor({ state: 'detached' });
  await click(page, 'tasks-clear');
  await expect.poll(() => address(page)).toBe('');
});

test('follows lease, output and result on a task page, and downloads its artifacts', async () => {
  const { id } = await worker.make({ prompt: 'Write some JSON', desired_format: 'json', tags: ['figures'] });
  const page = await openTask(id);
  await see(page, 'task-status', 'Queued');
  await worker.lease(id, 40);
  await see(page, 'task-status', 'Leased');
  await see(page, 'lease-clock', 'On laptop');
  await see(page, 'lease-expires', /in 3\d s/);
  await see(page, 'attempt-status-1', 'Active');
  await worker.heartbeat(id);
  await see(page, 'task-status', 'Running');
  await see(page, 'output-none', 'No output yet');

  await worker.write(id, [
    { stream: 'stdout', text: '\u001B[1mbegins\u001B[0m\n10 %\r' },
    { stream: 'stderr', text: 'watch out\n' },
    { stream: 'stdout', text: '100 %\n<img src=x onerror=alert(1)>\n' },
  ]);
  await see(page, 'output', /begins\s*100 %\s*err\s*watch out\s*<img src=x/);
  await see(page, 'output-state', 'Live');

  // A person who scrolls up stays there.
  const many = Array.from({ length: 400 }, (_, n) => `line ${n}\n`).join('');
  await worker.write(id, [{ stream: 'stdout', text: many }], 3);
  const box = page.getByTestId('output');
  await see(page, 'output', 'line 399');
  const fromEnd = () => box.evaluate((at) => at.scrollHeight - at.scrollTop - at.clientHeight);
  await expect.poll(fromEnd).toBeLessThan(3);
  await box.evaluate((at) => (at.scrollTop = 0));
  await page.getByTestId('output-follow').waitFor();
  await worker.write(id, [{ stream: 'stdout', text: 'the last\n' }], 4);
  await see(page, 'output', 'the last');
  expect(await box.evaluate((at) => at.scrollTop)).toBe(0);
  await click(page, 'output-follow');
  await expect.poll(fromEnd).toBeLessThan(3);

  // More lines than are drawn.
  const lines = Array.from({ length: 3_000 }, (_, n) => `far ${n}\n`).join('');
  await worker.write(id, [{ stream: 'stdout', text: lines }], 5);
  await see(page, 'output-cut', '405 earlier lines are not shown');

  await worker.complete(id, {
    status: 'success',
    output: '{"answer":42,"why":"it is"}',
    metrics: { duration_ms: 1_940, tokens_used: 1_204, cost_usd: 0.0123 },
    artifact_tags: ['checked'],
  });
  await see(page, 'task-status', 'Completed');
  await see(page, 'result', '{\n  "answer": 42,\n  "why": "it is"\n}');
  await see(page, 'attempt-1', /Completed.*1\.9 s.*1,204.*\$0\.0123/s);
  await see(page, 'output-state', 'Ended');
  await page.getByTestId('lease-clock').waitFor({ state: 'detached' });
  await see(page, 'artifact-result.json', /LLM_RESULT.*27 B.*figures.*checked/s);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    click(page, 'artifact-download-result.json'),
  ]);
  expect(download.suggestedFilename()).toBe(`${id}-result.json`);
  expect(readFileSync(await download.path(), 'utf8')).toBe('{"answer":42,"why":"it is"}');
  for (const step of ['task_created', 'task_leased', 'task_started', 'task_completed']) {
    await see(page, `step-${step}`);
  }
  expect(await page.getByTestId('task-cancel-head').count()).toBe(0);
});

test('says why a task failed, requeues it, and keeps the output of each attempt', async () => {
  const { id } = await worker.make({ prompt: 'Will fail first' });
  const page = await openTask(id);
  await worker.lease(id);
  await worker.heartbeat(id);
  await worker.write(id, [{ stream: 'stderr', text: 'no disk\n' }]);
  await see(page, 'output', 'no disk');
  await worker.complete(id, { status: 'error', error_message: 'The disk is full.' });
  await see(page, 'task-status', 'Failed');
  await see(page, 'task-error', 'The disk is full.');
  await see(page, 'attempt-reason-1', 'The disk is full.');
  await click(page, 'task-requeue-head');
  await see(page, 'task-status', 'Queued');
  await see(page, 'step-task_requeued');
  await click(page, 'task-dispatch-head');
  await see(page, 'task-waiting', 'No node');
  await page.getByTestId('task-dispatch-head').waitFor({ state: 'detached' });
  await worker.lease(id);
  await worker.heartbeat(id);
  await worker.write(id, [{ stream: 'stdout', text: 'second try\n' }]);
  await see(page, 'output', 'second try');
  await click(page, 'output-attempt');
  await page.getByRole('option', { name: 'Attempt 1' }).click();
  await see(page, 'output', 'no disk');
  await see(page, 'output-state', 'Ended');
  await worker.complete(id, { status: 'success', output: 'done' });
  await see(page, 'result', 'done');
  await see(page, 'attempt-status-2', 'Completed');
  await see(page, 'attempt-status-1', 'Failed');
});

test('cancels a task without a worker immediately, and reports an unknown task', async () => {
  visitor.expectProblem(/status of 404/);
  const { id } = await worker.make({ prompt: 'Never mind' });
  const page = await openTask(id);
  await click(page, 'task-cancel-head');
  await see(page, 'confirm-dialog', 'it is cancelled immediately');
  await click(page, 'confirm-accept');
  await see(page, 'task-status', 'Cancelled');
  await see(page, 'step-task_cancelled');
  await page.goto(`${fleet.url}/runtime/tasks/task_0000000000000000`);
  await see(page, 'task-missing', 'task_0000000000000000');
});
