import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readRunning, readState } from '../../agent/control-plane/state.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { Machine } from '../../demo/machines.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

const NAME = 'work';

let fleet: Fleet;
let visitor: Visitor;
let laptop: Machine;
let desktop: Machine;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
  await fleet.test.call('POST', '/api/membridge/spaces', { body: { name: NAME, projects: ['*'] } });
  laptop = fleet.machine('laptop');
  desktop = fleet.machine('desktop');
  await Promise.all([fleet.start(laptop), fleet.start(desktop)]);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

async function openSpace(): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'space-name');
  await see(page, 'space-in-step', '2 of 2 in step');
  return page;
}

/** Returns the space as a machine's agent holds it. */
async function heldBy(machine: Machine): Promise<SpaceConfig | undefined> {
  const dataDir = join(machine.home, '.membridge');
  const response = await fetch(`${readRunning(dataDir)?.url}/status`, {
    headers: { 'X-MEMBRIDGE-AGENT': readState(dataDir)?.enrolment.agent_key ?? '' },
  });
  const { spaces } = (await response.json()) as { spaces: SpaceConfig[] };
  return spaces[0];
}

const remember = (machine: Machine, project: string, title: string): void => {
  const session = machine.db.prepare('SELECT memory_session_id FROM sdk_sessions LIMIT 1').pluck().get();
  const memorySessionId = session as string;
  machine.writer.observation({ memorySessionId, project, title, narrative: null, createdAt: Date.now() });
};
const projectOf = (machine: Machine, title: string): unknown =>
  machine.db.prepare('SELECT project FROM observations WHERE title = ?').pluck().get(title);

test('saves exclusion, redaction and encryption, sends them to agents, and applies them immediately', async () => {
  const page = await openSpace();
  await see(page, 'settings-excluded', '–');
  await see(page, 'settings-redact', 'Removed before sending');
  await click(page, 'space-settings-open');
  await page.getByTestId('edit-space-excluded').fill('diary\nletters, private');
  await page.getByRole('switch', { name: 'Encrypt' }).check();
  await click(page, 'edit-space-save');
  await see(page, 'toast-done', 'Settings of work were saved');
  await see(page, 'settings-excluded', 'diary, letters, private');
  await see(page, 'settings-encrypted', 'For the enrolled nodes only');
  await page.reload();
  await see(page, 'settings-excluded', 'diary, letters, private');

  const expected = {
    excluded: ['diary', 'letters, private'],
    encrypted: true,
    members: ['desktop', 'laptop'],
  };
  for (const machine of [laptop, desktop]) {
    await expect.poll(() => heldBy(machine), { timeout: 20_000 }).toMatchObject(expected);
  }
  remember(laptop, 'diary', 'Stays here');
  remember(laptop, 'garden', 'Goes out');
  await expect.poll(() => projectOf(desktop, 'Goes out'), { timeout: 30_000 }).toBe('garden');
  expect(projectOf(desktop, 'Stays here')).toBeUndefined();
});

test('saves trust and project names of one node, sends them to its agent, and applies them', async () => {
  const page = await openSpace();
  await click(page, 'member-settings-desktop');
  await page.getByTestId('trust-laptop').getByText('Hold').click();
  await click(page, 'name-add');
  await page.getByTestId('name-local-0').fill('yard');
  await see(page, 'names-problem', 'both names');
  await page.getByTestId('name-space-0').fill('garden');
  await click(page, 'edit-node-save');
  await see(page, 'member-different-desktop', 'holds laptop · 1 project name');
  await page.reload();
  await see(page, 'member-different-desktop', 'holds laptop · 1 project name');
  await expect
    .poll(() => heldBy(desktop), { timeout: 20_000 })
    .toMatchObject({ trust: { laptop: 'hold' }, names: { yard: 'garden' } });
  expect(await heldBy(laptop)).not.toHaveProperty('trust');

  // In the other direction nothing is held, and laptop sees the name of the space.
  remember(desktop, 'yard', 'From the yard');
  await expect.poll(() => projectOf(laptop, 'From the yard'), { timeout: 30_000 }).toBe('garden');
  remember(laptop, 'garden', 'Held back');
  await see(page, 'member-push-at-laptop', 'ago');
  await click(page, 'member-sync-laptop');
  await page.getByText('Sync requested on laptop').waitFor();
  await click(page, 'member-sync-desktop');
  await page.getByText('Sync requested on desktop').waitFor();
  await see(page, 'jobs-table', 'by hand');

  await click(page, 'member-settings-desktop');
  await see(page, 'node-settings-dialog', 'desktop in work');
  expect(await page.getByTestId('name-local-0').inputValue()).toBe('yard');
  expect(projectOf(desktop, 'Held back')).toBeUndefined();
  await page.getByTestId('trust-laptop').getByText('Accept').click();
  await click(page, 'edit-node-save');
  await see(page, 'member-different-desktop', /^1 project name$/);
  await expect.poll(() => projectOf(desktop, 'Held back'), { timeout: 30_000 }).toBe('yard');
});

test('keeps the memory, settings and page of a renamed space', async () => {
  const page = await openSpace();
  await page.goto(`${fleet.url}/membridge?space=${canonicalId(NAME)}`);
  await click(page, 'space-settings-open');
  await page.getByTestId('edit-space-name').fill('studio');
  await click(page, 'edit-space-save');
  await see(page, 'space-name', 'studio');
  await see(page, 'space-cid', canonicalId('studio'));
  await see(page, 'settings-aliases', canonicalId(NAME));
  await see(page, 'settings-excluded', 'diary');
  await see(page, 'jobs-table', 'Done');
  await see(page, 'space-in-step', '2 of 2 in step');
  await expect
    .poll(() => heldBy(laptop), { timeout: 20_000 })
    .toMatchObject({ cid: canonicalId('studio'), aliases: [canonicalId(NAME)] });
  remember(desktop, 'yard', 'After the rename');
  await expect.poll(() => projectOf(laptop, 'After the rename'), { timeout: 30_000 }).toBe('garden');
  expect(new Set([laptop, desktop].map((machine) => countOf(machine))).size).toBe(2);
  // A stored address of somebody still leads there.
  await page.goto(`${fleet.url}/membridge?space=${canonicalId(NAME)}`);
  await see(page, 'space-name', 'studio');
});

/** Counts memories; laptop has one more: the one of the excluded project. */
const countOf = ({ db }: Machine): unknown => db.prepare('SELECT count(*) FROM observations').pluck().get();
