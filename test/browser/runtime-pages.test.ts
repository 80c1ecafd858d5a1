import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { TaskSettings } from '../../contract/tasks/tasks.ts';
import { fileOutput, recordPreviewOf, insertTestProposal } from '../git/proposals.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { enrolRunner, startTaskWorker, type TaskWorker } from './task-worker.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

const PATCH = `diff --git a/src/greet.ts b/src/greet.ts
--- a/src/greet.ts
+++ b/src/greet.ts
@@ -1,3 +1,3 @@
 export function greet(name: string) {
-  return 'Hello';
+  return \`Hello \${name}\`;
 }
`;
const NEW_FILE = `diff --git a/notes.md b/notes.md
new file mode 100644
--- /dev/null
+++ b/notes.md
@@ -0,0 +1,2 @@
+one
+two
`;
const COMMIT = 'a'.repeat(40);

let fleet: Fleet;
let visitor: Visitor;
let worker: TaskWorker;
let project: string;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  await enrolRunner(fleet.test, 'laptop');
  worker = startTaskWorker(fleet.test, 'elsewhere');
  const { body } = await fleet.test.call('POST', '/api/runtime/projects', {
    body: { name: 'garden', repo_url: 'https://git.example.org/team/garden.git' },
  });
  project = String(body['id']);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

async function open(path: string): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  await page.goto(`${fleet.url}${path}`);
  await see(page, 'live-state', 'Live');
  return page;
}
const address = (page: Page): string => decodeURIComponent(new URL(page.url()).search);

test('follows leases and runs on the overview, and drains a node after asking', async () => {
  const page = await open('/runtime/overview');
  await see(page, 'leases-empty');
  await see(page, 'runs-empty');
  await see(page, 'stat-nodes', '1 / 1');
  await see(page, 'task-node-laptop', '0 of 2 busy');
  await see(page, 'task-node-laptop', 'gpu');
  await see(page, 'slots-note', '1 node takes tasks, 2 slots');

  const { id } = await worker.make({ agent_slug: 'reviewer' });
  await worker.lease(id, 60);
  await see(page, `lease-row-${id}`, 'elsewhere');
  await see(page, `lease-expires-${id}`, /in 5\d s|in 1 min/);
  await see(page, 'stat-leases', '1');
  await worker.complete(id, { status: 'success', output: 'hello' });
  await see(page, 'leases-empty');
  await see(page, `run-row-${id}-1`, 'Completed');
  await see(page, 'stat-completed', '1');

  await click(page, 'drain-laptop');
  await see(page, 'confirm-dialog', 'gets no new tasks');
  await click(page, 'confirm-accept');
  await see(page, 'task-node-laptop', 'drained');
  await see(page, 'slots-note', '0 nodes take tasks');
  await click(page, 'drain-laptop');
  await see(page, 'slots-note', '1 node takes tasks');
});

test('finds proposals by status, shows their diffs, rejects one with a reason, and approves one', async () => {
  const { deps } = fleet.test.plane;
  const patch = await insertTestProposal(
    deps,
    project,
    JSON.stringify({ kind: 'patch', patch: PATCH, title: 'Greet by name', expected_version: COMMIT }),
  );
  const file = await insertTestProposal(
    deps,
    project,
    fileOutput('notes.md', 'one\ntwo\n', { title: 'Notes' }),
  );
  await recordPreviewOf(deps, patch, PATCH);
  await recordPreviewOf(deps, file, NEW_FILE);
  const page = await open('/runtime/proposals');
  await see(page, `proposal-row-${patch}`, 'Greet by name');
  await see(page, `proposal-row-${patch}`, 'garden');
  await see(page, `proposal-row-${file}`, 'the file notes.md');
  await see(page, `proposal-row-${file}`, 'within 2 d');
  await page.getByTestId('proposals-panel').getByText('Rejected', { exact: true }).click();
  await see(page, 'proposals-empty', 'None is rejected');
  expect(address(page)).toBe('?status=rejected');
  await page.goBack();
  await see(page, 'nav-proposals-waiting', '2');
  await click(page, `proposal-open-${file}`);
  await see(page, 'proposal-title', 'Notes');
  await see(page, 'diff', /notes\.md\s*new file\s*\+2/);
  await click(page, 'proposal-reject');
  await see(page, 'confirm-dialog', 'nobody can approve it');
  await page.getByTestId('reject-reason').fill('not here');
  await click(page, 'confirm-accept');
  await see(page, 'proposal-status', 'Rejected');
  await see(page, 'proposal-detail', 'not here');
  await see(page, 'proposal-decided', 'by page');
  await see(page, 'nav-proposals-waiting', '1');
  expect(await page.getByTestId('proposal-approve').count()).toBe(0);

  visitor.expectProblem(/status of 400/);
  await page.goto(`${fleet.url}/runtime/proposals/${patch}`);
  const row = (kind: string) => page.getByTestId('diff').locator(`tr[data-kind="${kind}"]`).innerText();
  expect((await row('removed')).split(/\s+/).slice(0, 3)).toEqual(['2', '−', 'return']);
  expect((await row('added')).trim().split(/\s+/).slice(0, 3)).toEqual(['2', '+', 'return']);
  await see(page, 'proposal-expected', 'aaaaaaaa');
  await click(page, 'proposal-approve');
  expect(await page.getByTestId('approve-version').inputValue()).toBe(COMMIT);
  await page.getByTestId('approve-version').fill('main');
  await click(page, 'approve-accept');
  await page.getByTestId('approve-dialog').getByText('Must be a commit').waitFor();
  await page.getByTestId('approve-version').fill('');
  await click(page, 'approve-accept');
  await page.getByTestId('approve-dialog').waitFor({ state: 'detached' });
  // No node has a clone of the project: the page shows the failure without a reload.
  await see(page, 'proposal-status', 'Failed');
  await see(page, 'proposal-approve', 'Approve again');
});

test('filters the audit log, a page at a time, and downloads it as a file', async () => {
  const { id } = await worker.make();
  await fleet.test.call('POST', `/api/runtime/llm-tasks/${id}/cancel`, { body: { reason: 'enough' } });
  for (let n = 0; n < 30; n += 1) await worker.make({ prompt: `entry ${n}` });
  for (let n = 0; n < 30; n += 1) await worker.make({ prompt: `entry ${n}` });
  const page = await open('/runtime/audit');
  const rows = page.getByTestId('audit-table').locator('tbody tr');
  await expect.poll(() => rows.count()).toBe(50);
  await click(page, 'audit-more');
  await expect.poll(() => rows.count()).toBeGreaterThan(50);
  await page.getByTestId('audit-correlation').fill(id);
  await expect.poll(() => rows.count()).toBe(2);
  expect(address(page)).toBe(`?correlation=${id}`);
  await rows.filter({ hasText: 'Task cancelled' }).filter({ hasText: 'enough' }).waitFor();
  await rows.getByRole('link', { name: 'Task cancelled' }).click();
  await expect.poll(() => rows.count()).toBe(1);
  expect(address(page)).toBe(`?correlation=${id}&action=task_cancelled`);
  await page.goBack();
  await expect.poll(() => rows.count()).toBe(2);

  await click(page, 'audit-export');
  const [csv] = await Promise.all([page.waitForEvent('download'), click(page, 'audit-export-csv')]);
  const lines = readFileSync(await csv.path(), 'utf8')
    .trim()
    .split('\n');
  expect(lines).toHaveLength(3);
  await click(page, 'audit-export');
  const [json] = await Promise.all([page.waitForEvent('download'), click(page, 'audit-export-jsonl')]);
  const entries = readFileSync(await json.path(), 'utf8')
    .trim()
    .split('\n');
  expect(entries.map((line) => (JSON.parse(line) as { action: string }).action)).toEqual([
    'task_created',
    'task_cancelled',
  ]);
  await click(page, 'audit-clear');
  await expect.poll(() => rows.count()).toBeGreaterThanOrEqual(50);
  await rows.filter({ hasText: 'Task created' }).first().getByRole('link').nth(1).click();
  await see(page, 'page-task');
});

test('sets cost ceilings and retention times, and shows refusals beside their fields', async () => {
  visitor.expectProblem(/status of 400/);
  const settings = async () =>
    (await fleet.test.call('GET', '/api/runtime/task-settings')).body as unknown as TaskSettings;
  const page = await open('/runtime/settings');
  await see(page, 'task-settings', 'Budget of a context');
  expect(await page.getByTestId('task-settings-save').isDisabled()).toBe(true);
  await page.getByTestId('setting-context_budget_usd').fill('12.5');
  await page.getByTestId('setting-artifact_days').fill('0');
  await click(page, 'task-settings-save');
  await see(page, 'task-settings-error', 'Correct the marked fields');
  await page.getByTestId('setting-artifact_days').fill('30');
  await click(page, 'task-settings-save');
  await see(page, 'toast-done', 'saved');
  expect(await settings()).toEqual({
    context_budget_usd: 12.5,
    project_budget_usd: null,
    artifact_days: 30,
    output_hours: 24,
  });
  await page.getByTestId('setting-context_budget_usd').fill('');
  await click(page, 'task-settings-save');
  await expect.poll(async () => (await settings()).context_budget_usd).toBeNull();
});

test('shows the webhook secret only on request, and renews it after asking', async () => {
  const page = await open('/runtime/settings');
  await see(page, 'webhook-panel', 'HMAC-SHA256');
  const kept = async () =>
    String((await fleet.test.call('GET', '/api/runtime/webhook-secret')).body['secret']);
  const first = await kept();
  expect(await page.content()).not.toContain(first);
  await click(page, 'webhook-show');
  await see(page, 'webhook-secret', first);
  await click(page, 'webhook-hide');
  await page.getByTestId('webhook-secret').waitFor({ state: 'detached' });
  expect(await page.content()).not.toContain(first);
  await click(page, 'webhook-rotate');
  await see(page, 'confirm-dialog', 'every receiver that checks signatures');
  await click(page, 'confirm-accept');
  await page.getByTestId('webhook-secret').filter({ hasNotText: first }).waitFor();
  await see(page, 'webhook-secret', await kept());
});
