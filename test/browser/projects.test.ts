import { generateKeyPairSync } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { ManagedProject, ProjectSummary } from '../../contract/projects/projects.ts';
import { enrolNode } from '../support/control-plane.ts';
import { CLONED } from '../git/held-clones.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { startReportingNode, type ReportingNode } from './held-fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

const SSH_KEY = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  format: 'pem',
  type: 'pkcs1',
}) as string;
const TOKEN = 'ghp_ATOKENTHATNOBODYMAYSEE0123456789';
const REPO = 'https://git.example.org/team/garden.git';
/** The browser's log line about an answer that refuses a field. */
const REFUSED = /status of 400/;

let fleet: Fleet;
let visitor: Visitor;
let laptop: ReportingNode;
let desktop: ReportingNode;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  laptop = await startReportingNode(fleet.test, 'laptop');
  desktop = await startReportingNode(fleet.test, 'desktop');
  // Enrolled, and never seen since.
  await enrolNode(fleet.test, 'build-01', false);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await Promise.all([laptop.stop(), desktop.stop()]);
  await fleet.stop();
});

async function openProjects(): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'nav-projects');
  await see(page, 'page-projects');
  await see(page, 'live-state', 'Live');
  return page;
}

/** Makes a project with the API, and opens its page. */
async function openProject(body: Record<string, unknown>): Promise<{ page: Page; id: string }> {
  const made = await fleet.test.call('POST', '/api/runtime/projects', { body: { repo_url: REPO, ...body } });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  const page = await openProjects();
  const id = String(made.body['id']);
  await click(page, `project-open-${id}`);
  await see(page, 'project-name', String(body['name']));
  expect(new URL(page.url()).pathname).toBe(`/membridge/projects/${id}`);
  return { page, id };
}

const get = async (id: string): Promise<ManagedProject> =>
  (await fleet.test.call('GET', `/api/runtime/projects/${id}`)).body as unknown as ManagedProject;
const list = async (): Promise<ProjectSummary[]> =>
  (await fleet.test.call('GET', '/api/runtime/projects')).body as unknown as ProjectSummary[];

test('shows problems beside their fields, and moves a token from the address to the credential', async () => {
  visitor.expectProblem(REFUSED);
  const page = await openProjects();
  await see(page, 'projects-empty');
  await click(page, 'add-project-open');
  await page.getByTestId('project-repo').fill('ftp://git.example.org/garden');
  await page.getByTestId('project-name-field').fill('-garden');
  await click(page, 'project-options-toggle');
  await page.getByTestId('project-branch').fill('no..such');
  await click(page, 'add-project-submit');
  const form = page.getByTestId('add-project-form');
  await form.getByText('Must be https://host/path, ssh://user@host/path or user@host:path').waitFor();
  await form.getByText('Must be letters, digits').waitFor();
  await form.getByText('Must be a branch name that git accepts').waitFor();
  await see(page, 'add-project-error', 'Correct the marked fields');
  // The first refused field has the focus.
  await expect
    .poll(() => page.evaluate(() => document.activeElement?.getAttribute('data-testid')))
    .toBe('project-repo');

  // A problem disappears with its cause; those of other fields stay.
  await page.getByTestId('project-branch').fill('');
  await form.getByText('Must be a branch name that git accepts').waitFor({ state: 'detached' });
  await form.getByText('Must be letters, digits').waitFor();
  await page.getByTestId('project-name-field').fill('');
  await page.getByTestId('project-repo').fill(`https://me:${TOKEN}@git.example.org/team/shop.git`);
  await expect.poll(() => page.getByTestId('project-name-field').inputValue()).toBe('shop');
  await click(page, 'add-project-submit');
  await form.getByText('Must not carry a user name, password or token').waitFor();
  await click(page, 'secret-move');
  expect(await page.getByTestId('project-repo').inputValue()).toBe('https://git.example.org/team/shop.git');
  expect(await page.getByTestId('credential-token').inputValue()).toBe(TOKEN);
  await click(page, 'add-project-submit');
  await see(page, 'add-project-dialog', 'shop was added');
  const [made] = await list();
  expect(made?.credential).toMatchObject({ kind: 'token', username: 'me', hint: '…6789' });

  await click(page, 'added-open');
  await see(page, 'project-name', 'shop');
  await see(page, 'project-status', 'Pending');
  await see(page, 'project-cid', canonicalId('shop'));
  await see(page, 'fact-credential', 'Token of me …6789');
  await see(page, 'clone-status-laptop', 'Not here');
  expect(await page.content()).not.toContain(TOKEN);
});

test('shows the progress and the result of a clone that starts right after adding', async () => {
  const page = await openProjects();
  await click(page, 'add-project-open');
  await page.getByTestId('project-repo').fill('https://git.example.org/team/yard.git');
  await click(page, 'add-project-submit');
  await click(page, 'added-node');
  await page.getByRole('option', { name: 'laptop' }).click();
  await click(page, 'added-clone');
  await see(page, 'project-name', 'yard');
  await see(page, 'clone-status-laptop', 'Cloning');
  await see(page, 'clone-progress-laptop', 'receiving objects · 42 % · 1.0 kB');
  await see(page, 'project-status', 'Cloning');
  await see(page, 'fact-primary', 'laptop');
  laptop.held.end({
    ...CLONED,
    drift: { behind: 2, ahead: 0, dirty: 1 },
    outcome: 'kept',
    detail: 'left alone',
  });
  await see(page, 'clone-status-laptop', 'Cloned');
  await see(page, 'clone-commit-laptop', /aaaaaaaa\s*main/);
  await see(page, 'clone-drift-laptop', /1 changed file\s*2 commits behind\s*asked/);
  await see(page, 'clone-disk-laptop', /1.2 kB\s*\/srv\/garden/);
  await see(page, 'clone-detail-laptop', 'left alone');
  await see(page, 'clone-synced-laptop', /now|ago/);
  await see(page, 'clone-run-laptop', 'Update');
  await see(page, 'matrix-have', '1 of 3 have it');
  laptop.held.hold();
  const [opened] = await Promise.all([
    page.context().waitForEvent('page'),
    click(page, 'clone-history-laptop'),
  ]);
  await opened
    .getByText(/clone:proj_[0-9a-f]+:laptop/)
    .first()
    .waitFor();
});

test('propagates to the chosen nodes, says why one waits, and shows an error in full', async () => {
  const { page, id } = await openProject({ name: 'propagated', primary_node_id: 'laptop' });
  laptop.held.end(CLONED);
  const long = `The git server refused the credentials. ${'It said a great deal about it. '.repeat(9)}The end.`;
  desktop.held.end(ApplicationFailure.nonRetryable(long, 'git_auth_failed'));
  await click(page, 'clone-choose-laptop');
  await click(page, 'clone-choose-desktop');
  await see(page, 'matrix-chosen', '2 chosen');
  await click(page, 'propagate-advanced');
  await page.getByTestId('propagate-concurrency').fill('2');
  await page.keyboard.press('Escape');
  await see(page, 'project-propagate', 'Propagate to 2 nodes');
  await click(page, 'project-propagate');
  await see(page, 'clone-status-laptop', 'Cloned');
  await see(page, 'clone-status-desktop', 'Failed');
  await see(page, 'project-status', 'Partial');
  await see(page, 'clone-status-build-01', 'Not here');
  const error = page.getByTestId('clone-error-desktop');
  expect(await error.getByText('git_auth_failed').isVisible()).toBe(false);
  await error.locator('summary').click();
  await error.getByText('git_auth_failed').waitFor();
  await error
    .getByText(/The end\.$/)
    .last()
    .waitFor();

  desktop.held.hold();
  desktop.held.end(CLONED);
  await click(page, 'matrix-select-all');
  await click(page, 'matrix-select-all');
  await click(page, 'project-propagate');
  await see(page, 'clone-status-desktop', 'Cloned');
  await see(page, 'clone-detail-build-01', /build-01/);
  await see(page, 'clone-status-build-01', 'Pending');
  await see(page, 'matrix-propagation', /propagating|waiting for offline nodes/);
  await click(page, 'nav-projects');
  await see(page, `project-nodes-${id}`, '2 of 3');
  await see(page, `project-drift-${id}`, 'up to date');
  await page.goBack();
  await click(page, 'project-cancel');
  await see(page, 'clone-status-build-01', 'Cancelled');
  await page.getByTestId('project-cancel').waitFor({ state: 'detached' });
  for (const { held } of [laptop, desktop]) held.hold();
});

test('cancels one running clone with its button, and fetches in existing clones', async () => {
  const { page, id } = await openProject({ name: 'cancelled', primary_node_id: 'laptop' });
  // A disabled button says why, and does nothing.
  expect(await page.getByTestId('project-fetch').getAttribute('aria-disabled')).toBe('true');
  await page.getByTestId('project-fetch').hover();
  await page.getByText('No node has a clone yet').waitFor();
  await page.getByTestId('project-fetch').click({ force: true });
  await click(page, 'project-clone');
  await see(page, 'clone-progress-laptop', '42 %');
  await click(page, 'clone-run-desktop');
  await see(page, 'clone-progress-desktop', '42 %');
  const before = laptop.held.cancelled;
  await click(page, 'clone-cancel-laptop');
  await see(page, 'clone-status-laptop', 'Cancelled');
  expect(laptop.held.cancelled).toBe(before + 1);
  await see(page, 'clone-status-desktop', 'Cloning');
  desktop.held.end(CLONED);
  await see(page, 'clone-status-desktop', 'Cloned');
  await see(page, 'clone-run-laptop', 'Clone here');

  const fetched = desktop.held.begun.fetch;
  desktop.held.hold();
  desktop.held.end({ ...CLONED, outcome: 'fetched', drift: { behind: 7, ahead: 0, dirty: 0 } });
  await click(page, 'project-fetch');
  await see(page, 'toast-done', '1 clone asked');
  await see(page, 'clone-drift-desktop', '7 commits behind');
  expect(desktop.held.begun.fetch).toBe(fetched + 1);
  expect((await get(id)).nodes.find(({ node_id }) => node_id === 'laptop')?.clone_status).toBe('cancelled');
  desktop.held.hold();
});

test('resets a clone with local work after the page says what would move', async () => {
  const { page, id } = await openProject({ name: 'rewritten', primary_node_id: 'laptop' });
  const why =
    'left as it is: the remote rewrote its history: 2 commits of main are no longer in it, none made here';
  laptop.held.end({
    ...CLONED,
    outcome: 'kept',
    drift: { behind: 3, ahead: 2, dirty: 1 },
    detail: why,
  });
  await click(page, 'project-clone');
  await click(page, 'clone-reset-laptop');
  await see(page, 'clone-reset-why-laptop', 'the remote rewrote its history');
  await see(page, 'clone-reset-moves-laptop', '2 commits of main that the remote lacks, up to aaaaaaaa');
  await see(page, 'clone-reset-moves-laptop', '1 changed or untracked file');
  const before = laptop.held.begun.reset;
  await click(page, 'confirm-cancel');
  expect(laptop.held.begun.reset).toBe(before);
  laptop.held.hold();
  await click(page, 'clone-reset-laptop');
  await click(page, 'confirm-accept');
  await see(page, 'clone-progress-laptop', '42 %');
  expect(laptop.held.begun.reset).toBe(before + 1);
  const detail =
    'made as the remote: main equals the remote; the former contents are on branch kept/20261129-200000';
  laptop.held.end({ ...CLONED, outcome: 'updated', detail });
  await see(page, 'clone-drift-laptop', 'up to date');
  expect((await get(id)).nodes[0]?.detail).toBe(detail);
  expect(await page.getByTestId('clone-reset-laptop').count()).toBe(0);
  laptop.held.hold();
});

test('shows the address and secret of a push webhook once', async () => {
  const { page, id } = await openProject({ name: 'hooked' });
  await see(page, 'fact-push-webhook', 'none: clones do not learn of pushes');
  await click(page, 'push-webhook-make');
  await see(page, 'push-webhook-address', `/api/runtime/projects/${id}/push`);
  const secret = (await page.getByTestId('push-webhook-secret').textContent()) ?? '';
  expect(secret.length).toBeGreaterThan(40);
  // The address is long: it must wrap, and not push its copy button out of the dialog.
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 900 });
    const over = await page
      .getByTestId('push-webhook-dialog')
      .evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth);
    expect([width, over]).toEqual([width, 0]);
  }
  await click(page, 'push-webhook-close');
  await see(page, 'fact-push-webhook', 'secret made');
  expect(await page.content()).not.toContain(secret);
  const call = await fetch(`${fleet.test.plane.url}/api/runtime/projects/${id}/push`, {
    method: 'POST',
    headers: { 'X-Gitlab-Token': secret },
  });
  expect([call.status, await call.json()]).toEqual([202, { status: 'ignored' }]);
  await click(page, 'push-webhook-remove');
  await see(page, 'fact-push-webhook', 'none');
});

test('finds projects by name, address and tag, and follows changes of others', async () => {
  const page = await openProjects();
  const make = async (name: string, tags: string[]) => {
    const body = { name, tags, repo_url: `https://git.example.org/found/${name}` };
    return String((await fleet.test.call('POST', '/api/runtime/projects', { body })).body['id']);
  };
  const [shop, blog] = [await make('shopfront', ['web', 'money']), await make('weblog', ['web'])];
  await see(page, `project-row-${shop}`, 'shopfront');
  await see(page, `project-row-${blog}`, 'not cloned yet');
  await page.getByTestId('projects-filter').fill('found shop');
  await page.getByTestId(`project-row-${blog}`).waitFor({ state: 'detached' });
  await page.getByTestId('projects-filter').fill('nothing at all');
  await see(page, 'projects-no-match', 'nothing at all');
  await page.getByTestId('projects-filter').fill('');
  await page.locator('label', { hasText: 'money' }).first().click();
  await page.getByTestId(`project-row-${blog}`).waitFor({ state: 'detached' });
  await see(page, `project-row-${shop}`);
  expect(new URL(page.url()).search).toBe('?tag=money');
  await fleet.test.call('DELETE', `/api/runtime/projects/${shop}`);
  await page.getByTestId(`project-row-${shop}`).waitFor({ state: 'detached' });
});

test('changes settings one by one, and keeps the page’s address and the old id after a rename', async () => {
  visitor.expectProblem(REFUSED);
  const { page, id } = await openProject({ name: 'before', tags: ['old'] });
  await click(page, 'project-settings-open');
  await page.getByTestId('project-depth').fill('20');
  await page.getByTestId('project-path').fill('../outside');
  await click(page, 'edit-project-save');
  await page.getByTestId('edit-project-dialog').getByText('Must ').first().waitFor();
  await page.getByTestId('project-path').fill('work/garden');
  await page.getByTestId('project-name-field').fill('after');
  await click(page, 'project-primary');
  await page.getByRole('option', { name: 'desktop' }).click();
  await page.getByRole('switch', { name: 'New nodes join' }).check();
  await click(page, 'edit-project-save');
  await see(page, 'project-name', 'after');
  await see(page, 'fact-history', 'the last 20 commits');
  await see(page, 'fact-path', 'work/garden');
  await see(page, 'fact-primary', 'desktop');
  await see(page, 'fact-new-nodes', 'get a clone');
  await see(page, 'fact-aliases', canonicalId('before'));
  expect(await get(id)).toMatchObject({ name: 'after', depth: 20, tags: ['old'], new_nodes: true });
  await page.goto(`${fleet.url}/membridge/projects/${canonicalId('before')}`);
  await see(page, 'project-name', 'after');
  await fleet.test.call('PATCH', `/api/runtime/projects/${id}`, { body: { new_nodes: false } });
});

test('sets an ssh credential, shows its fingerprint, and removes it', async () => {
  visitor.expectProblem(REFUSED);
  const { page, id } = await openProject({ name: 'by-ssh', repo_url: 'git@git.example.org:team/by-ssh.git' });
  await click(page, 'project-menu');
  await click(page, 'project-credential');
  await page
    .getByTestId('credential-key')
    .fill('-----BEGIN PRIVATE KEY-----\nnot a key at all\n-----END PRIVATE KEY-----');
  await click(page, 'credential-save');
  await page.getByTestId('credential-dialog').getByText('Is not a private key that ssh reads').waitFor();
  await page.getByTestId('credential-key').fill(SSH_KEY);
  await page.getByTestId('credential-hosts').fill('git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA');
  await click(page, 'credential-save');
  await see(page, 'fact-credential', /ssh key SHA256:/);
  expect(await get(id)).toMatchObject({
    credential: { kind: 'ssh-key' },
    known_hosts: 'git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA\n',
  });
  await click(page, 'project-menu');
  await click(page, 'project-credential');
  await see(page, 'credential-present', 'SHA256:');
  await click(page, 'credential-forget');
  await see(page, 'fact-credential', 'none');
});

test('turns schedules on, describes and changes them, shows the next run, and turns them off', async () => {
  visitor.expectProblem(REFUSED);
  const { page, id } = await openProject({ name: 'scheduled' });
  await page.getByRole('switch', { name: 'Fetch' }).click();
  await see(page, 'schedule-fetch-words', 'Every 6 hours');
  await see(page, 'schedule-fetch-due', /next in \d/);
  await click(page, 'schedule-fetch-change');
  await page.getByTestId('schedule-presets').getByText('Nightly').click();
  await see(page, 'schedule-reading', 'At 03:00 (UTC)');
  await page.getByTestId('schedule-cron').fill('30 7 * *');
  await see(page, 'schedule-reading', 'Needs five fields');
  await click(page, 'schedule-save');
  await page.getByTestId('schedule-dialog').getByText('Must be a cron expression of five fields').waitFor();
  await page.getByTestId('schedule-cron').fill('30 7 * * MON-FRI');
  await see(page, 'schedule-reading', 'At 07:30, on Monday to Friday (UTC)');
  await click(page, 'schedule-save');
  await see(page, 'schedule-fetch-words', 'At 07:30, on Monday to Friday');
  await see(page, 'schedule-fetch-due', /next in \d/);
  expect((await get(id)).fetch_schedule?.cron).toBe('30 7 * * MON-FRI');
  await page.getByRole('switch', { name: 'Fetch' }).click();
  await page.getByTestId('schedule-fetch-words').waitFor({ state: 'detached' });
  expect((await get(id)).fetch_schedule).toBeNull();
  await page.getByRole('switch', { name: 'Sync memory' }).click();
  await see(page, 'schedule-memory-words', 'Every hour');
  await see(page, 'schedule-memory-no-space');
});

test('deletes a project only after a confirmation that says what stays', async () => {
  const { page, id } = await openProject({ name: 'going', primary_node_id: 'laptop' });
  laptop.held.end(CLONED);
  await click(page, 'project-clone');
  await see(page, 'clone-status-laptop', 'Cloned');
  await click(page, 'project-menu');
  await click(page, 'project-delete');
  await see(page, 'confirm-dialog', 'The clones on 1 node stay where they are');
  await click(page, 'confirm-cancel');
  await see(page, 'project-name', 'going');
  await click(page, 'project-menu');
  await click(page, 'project-delete');
  await click(page, 'confirm-accept');
  await see(page, 'page-projects');
  await see(page, 'toast-done', 'going was deleted');
  expect((await fleet.test.call('GET', `/api/runtime/projects/${id}`)).status).toBe(404);
  await page.goto(`${fleet.url}/membridge/projects/${id}`);
  await see(page, 'project-missing');
  laptop.held.hold();
});

test('says what a project lacks where it is needed', async () => {
  const { page } = await openProject({ name: 'no-primary' });
  expect(await page.getByTestId('project-clone').getAttribute('aria-disabled')).toBe('true');
  await page.getByTestId('project-clone').hover();
  await page.getByText('It has no primary node: choose one under Edit').waitFor();
  expect(await page.getByTestId('project-memory-push').getAttribute('aria-disabled')).toBe('true');
  await see(page, 'project-memory-none', 'create one named no-primary');
});
