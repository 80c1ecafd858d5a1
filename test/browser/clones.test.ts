import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Machine } from '../../demo/machines.ts';
import { startGitServers, TOKEN, type GitServers } from '../git/servers.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

/** A pause between the pieces of a pack, long enough to see a clone in progress. */
const SLOWLY = { kind: 'slow', everyMs: 250 } as const;
const BIG = 6_000_000;

let fleet: Fleet;
let visitor: Visitor;
let servers: GitServers;
let laptop: Machine;
let desktop: Machine;
beforeAll(async () => {
  [fleet, visitor, servers] = await Promise.all([startFleet(), startVisitor(), startGitServers()]);
  laptop = fleet.machine('laptop');
  desktop = fleet.machine('desktop');
  await Promise.all([fleet.start(laptop), fleet.start(desktop)]);
});
afterEach(async () => {
  servers.open.trouble = { kind: 'none' };
  await visitor.check();
});
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
  await servers.stop();
});

const cloneOf = (machine: Machine, ...path: string[]): string => join(machine.home, 'projects', ...path);

/** Adds a project with the form; `private` with a token. Leaves the page at the question of what to do with it. */
async function add(address: string, token?: string): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'nav-projects');
  await see(page, 'live-state', 'Live');
  await click(page, 'add-project-open');
  await page.getByTestId('project-repo').fill(address);
  if (token !== undefined) {
    await page.getByText('Needs a token or key').click();
    await page.getByTestId('credential-token').fill(token);
  }
  await click(page, 'add-project-submit');
  await see(page, 'added-project');
  return page;
}

test('clones a repository with its progress, propagates and compares it, and keeps work in a clone', async () => {
  const repository = servers.create('garden', { bytes: BIG });
  servers.open.trouble = SLOWLY;
  const page = await add(`${servers.open.url}/garden.git`);
  await click(page, 'added-node');
  await page.getByRole('option', { name: 'laptop' }).click();
  await click(page, 'added-clone');
  await see(page, 'clone-progress-laptop', /receiving objects · \d+ % · [\d.]+ [kM]B/);
  const progress = async () => await page.getByTestId('clone-progress-laptop').innerText();
  const seen = await progress();
  await expect.poll(progress, { timeout: 20_000 }).not.toBe(seen);
  servers.open.trouble = { kind: 'none' };
  await see(page, 'clone-status-laptop', 'Cloned');
  const commit = repository.push({ first: 'one' }).slice(0, 8);
  await see(page, 'clone-drift-laptop', 'Up to date');
  await see(page, 'clone-disk-laptop', '…/projects/garden');
  await page.getByTitle(cloneOf(laptop, 'garden'), { exact: true }).waitFor();
  expect(existsSync(cloneOf(laptop, 'garden', 'README.md'))).toBe(true);

  await click(page, 'project-fetch');
  await see(page, 'clone-drift-laptop', '1 commit behind');
  await click(page, 'project-propagate');
  await see(page, 'project-status', 'Synced');
  for (const node of ['laptop', 'desktop']) {
    await see(page, `clone-commit-${node}`, commit);
    await see(page, `clone-drift-${node}`, 'Up to date');
  }
  await see(page, 'matrix-have', '2 of 2 have it');

  writeFileSync(cloneOf(desktop, 'garden', 'first'), 'work of mine');
  repository.push({ first: 'two' });
  await click(page, 'clone-run-desktop');
  await see(page, 'clone-drift-desktop', /1 changed file\s*1 commit behind/);
  await see(page, 'clone-status-desktop', 'Cloned');
  await see(page, 'clone-detail-desktop', 'left as it is');
  expect(readFileSync(cloneOf(desktop, 'garden', 'first'), 'utf8')).toBe('work of mine');
});

test('clones a private repository with its token, and reports a missing token', async () => {
  servers.create('secret');
  const page = await add(`${servers.closed.url}/secret.git`);
  await click(page, 'added-propagate');
  await see(page, 'clone-status-laptop', 'Failed');
  await see(page, 'clone-error-laptop', 'git_auth_failed');
  await see(page, 'project-status', 'Failed');
  await click(page, 'project-menu');
  await click(page, 'project-credential');
  await page.getByTestId('credential-token').fill(TOKEN);
  await click(page, 'credential-save');
  await see(page, 'fact-credential', 'Token of git');
  await click(page, 'project-propagate');
  await see(page, 'project-status', 'Synced');
  expect(existsSync(cloneOf(desktop, 'secret', 'README.md'))).toBe(true);
  expect(await page.content()).not.toContain(TOKEN);
});

test('ends a cancelled clone immediately, and leaves nothing behind', async () => {
  servers.create('cancelled', { bytes: BIG });
  servers.open.trouble = SLOWLY;
  const page = await add(`${servers.open.url}/cancelled.git`);
  await click(page, 'added-propagate');
  await see(page, 'clone-progress-laptop', 'receiving objects');
  await see(page, 'clone-progress-desktop', 'receiving objects');
  await click(page, 'clone-cancel-laptop');
  await see(page, 'clone-status-laptop', 'Cancelled');
  expect(readdirSync(cloneOf(laptop)).filter((name) => name.includes('cancelled'))).toEqual([]);
  await see(page, 'clone-status-desktop', 'Cloning');
  await click(page, 'project-cancel');
  await see(page, 'clone-status-desktop', 'Cancelled');
  await see(page, 'project-status', 'Cancelled');
  expect(readdirSync(cloneOf(desktop)).filter((name) => name.includes('cancelled'))).toEqual([]);
});

test('reports an unknown branch in words, and keeps the folder free for the right one', async () => {
  servers.create('branches');
  const page = await add(`${servers.open.url}/branches.git`);
  await click(page, 'added-open');
  await click(page, 'project-settings-open');
  await page.getByTestId('project-branch').fill('no-such-branch');
  await click(page, 'edit-project-save');
  await see(page, 'fact-branch', 'no-such-branch');
  await click(page, 'clone-run-laptop');
  await see(page, 'clone-status-laptop', 'Failed');
  await see(page, 'clone-error-laptop', 'no-such-branch');
  await click(page, 'project-settings-open');
  await page.getByTestId('project-branch').fill('main');
  await click(page, 'edit-project-save');
  await see(page, 'fact-branch', 'main');
  await click(page, 'clone-run-laptop');
  await see(page, 'clone-status-laptop', 'Cloned');
  await see(page, 'clone-commit-laptop', 'main');
});
