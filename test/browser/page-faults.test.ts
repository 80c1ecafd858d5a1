import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Task } from '../../contract/tasks/tasks.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

const built = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'dist', 'web');
/** A copy of the built page, from which a test may remove files. */
const webDir = mkdtempSync(join(tmpdir(), 'membridge-web-'));
const UNREACHABLE = /ERR_INTERNET_DISCONNECTED/;

let fleet: Fleet;
let visitor: Visitor;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet({ MEMBRIDGE_WEB_DIR: webDir }), startVisitor()]);
  cpSync(built, webDir, { recursive: true });
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
  rmSync(webDir, { recursive: true, force: true });
});

const tasks = async (): Promise<Task[]> =>
  (await fleet.test.call('GET', '/api/runtime/llm-tasks')).body as unknown as Task[];

async function open(tab: string): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await click(page, tab);
  await see(page, 'live-state', 'Live');
  return page;
}

/** Removes the file of a page, in every form, from the server's folder. @returns a function that restores it */
function hide(name: string): () => void {
  const assets = join(webDir, 'assets');
  const files = readdirSync(assets).filter((file) => file.startsWith(`${name}-`) && file.includes('.js'));
  expect(files.length).toBe(3);
  for (const file of files) renameSync(join(assets, file), join(webDir, `hidden-${file}`));
  return () => {
    for (const file of files) renameSync(join(webDir, `hidden-${file}`), join(assets, file));
  };
}

test('fails immediately in the form of a new task while offline, and creates no task later', async () => {
  visitor.expectProblem(UNREACHABLE);
  const page = await open('tab-runtime');
  await click(page, 'new-task-open');
  await page.getByTestId('task-prompt').fill('Sent while offline');
  await page.context().setOffline(true);
  // The light does not wait until the dead connection is noticed.
  await see(page, 'live-state', 'Reconnecting');
  await click(page, 'task-submit');
  await see(page, 'task-error', 'This browser is offline');
  await page.keyboard.press('Escape');
  await page.context().setOffline(false);
  await see(page, 'live-state', 'Live');
  await page.waitForLoadState('networkidle').catch(() => undefined);
  expect(await tasks()).toEqual([]);
  // The typed text is still there, and can be sent now.
  await click(page, 'new-task-open');
  await click(page, 'task-submit');
  await see(page, 'task-id');
  expect((await tasks()).map(({ prompt }) => prompt)).toEqual(['Sent while offline']);
});

test('says in the form of a new task that it waits, and cancels the request with Esc', async () => {
  const page = await open('tab-runtime');
  const gone = page.waitForEvent('requestfailed', (request) => request.method() === 'POST');
  // A network that accepts a request and does not forward it.
  await page.route('**/api/runtime/llm-tasks', (route) =>
    route.request().method() === 'POST' ? undefined : route.continue(),
  );
  await click(page, 'new-task-open');
  await page.getByTestId('task-prompt').fill('Taken back');
  await click(page, 'task-submit');
  await see(page, 'task-slow', 'has not answered yet');
  await page.keyboard.press('Escape');
  expect((await gone).failure()?.errorText).toMatch(/ERR_ABORTED/);
  expect((await tasks()).map(({ prompt }) => prompt)).not.toContain('Taken back');
});

test('reloads once when a page file is missing after an upgrade, and opens the page once it exists', async () => {
  visitor.expectProblem(/status of 404/);
  const page = await open('tab-runtime');
  const restore = hide('OverviewPage');
  await click(page, 'nav-overview');
  await see(page, 'toast-done', 'The page was reloaded');
  await see(page, 'page-missing', 'could not load its file');
  await see(page, 'top-bar');
  await click(page, 'tab-nodes');
  await see(page, 'page-nodes');
  await click(page, 'tab-runtime');
  restore();
  await click(page, 'nav-overview');
  await see(page, 'page-runtime');
});

test('reports a page that cannot be loaded offline inside the shell, and opens it afterwards', async () => {
  visitor.expectProblem(UNREACHABLE);
  const page = await open('tab-runtime');
  await page.context().setOffline(true);
  await see(page, 'live-state', 'Reconnecting');
  await click(page, 'nav-audit');
  await see(page, 'page-missing', 'could not load its file');
  await see(page, 'top-bar');
  await page.context().setOffline(false);
  await click(page, 'failure-retry');
  await see(page, 'page-audit');
});

test('shows an unknown status as it is, and keeps the other rows', async () => {
  const ids: string[] = [];
  for (const prompt of ['known', 'unknown']) {
    const made = await fleet.test.call('POST', '/api/runtime/llm-tasks', {
      body: { context_id: 'ctx', agent_slug: 'default', prompt },
    });
    expect(made.status).toBe(201);
    ids.push(String(made.body['id']));
  }
  const [known, unknown] = ids;
  await fleet.test.plane.deps.db.pool.query(`update llm_tasks set status = 'paused' where id = $1`, [
    unknown,
  ]);
  const page = await open('tab-runtime');
  await see(page, `task-status-${unknown}`, 'paused');
  await see(page, `task-status-${known}`, 'Queued');
});

test('shows a long output from its end immediately, and can show it from the beginning', async () => {
  const made = await fleet.test.call('POST', '/api/runtime/llm-tasks', {
    body: { context_id: 'ctx', agent_slug: 'default', prompt: 'write much' },
  });
  const id = String(made.body['id']);
  const { pool } = fleet.test.plane.deps.db;
  await pool.query(`update llm_tasks set status = 'completed', epoch = 1, finished_at = $2 where id = $1`, [
    id,
    Date.now(),
  ]);
  await pool.query(
    `insert into task_output (task_id, epoch, seq, stream, at, text)
     select $1, 1, n, 'stdout', $2::bigint,
       (select string_agg('line ' || n * 100 + k || E'\\n', '' order by k) from generate_series(0, 99) k)
     from generate_series(0, 999) n`,
    [id, Date.now()],
  );
  const page = await open('tab-runtime');
  await page.goto(`${fleet.url}/runtime/tasks/${id}`);
  await see(page, 'output', 'line 99999');
  await see(page, 'output-cut', 'Earlier lines are not shown');
  const first = page.getByTestId('output').locator('> div').first();
  expect(await first.innerText()).toMatch(/^line 9[67]\d{3}$/);
  await click(page, 'output-beginning');
  await expect.poll(() => first.innerText(), { timeout: 20_000 }).toBe('line 0');
  await click(page, 'output-more');
  await see(page, 'output', /line 3999$/);
  await click(page, 'output-end');
  await see(page, 'output', 'line 99999');
});

test('says that it loads until the first answer arrives', async () => {
  const page = await open('tab-runtime');
  const answer = Promise.withResolvers<undefined>();
  await page.route('**/api/session', async (route) => {
    await answer.promise;
    await route.continue();
  });
  await page.reload({ waitUntil: 'commit' });
  await page.getByText('Loading Membridge…').waitFor();
  answer.resolve(undefined);
  await see(page, 'tasks-panel');
});
