import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ADMIN_KEY, startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

/** A remote control plane, and a runtime-only process whose page the browser opens. */
let control: TestPlane;
let fleet: Fleet;
let visitor: Visitor;
beforeAll(async () => {
  [control, fleet, visitor] = await Promise.all([
    startTestPlane({ env: { MEMBRIDGE_ROLES: 'control' } }),
    startFleet({ MEMBRIDGE_ROLES: 'runtime', MEMBRIDGE_ADMIN_KEY: '' }),
    startVisitor(),
  ]);
  const admin = { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY };
  await control.call('POST', '/projects', { headers: admin, body: { name: 'far away' } });
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
  await control.stop();
});

async function openSettings(): Promise<Page> {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'tab-runtime');
  await click(page, 'nav-settings');
  await see(page, 'proxy-form');
  return page;
}

test('sets and tests the control plane, shows its spaces, and keeps a saved key when the address changes', async () => {
  // The pages opened before ask a control plane that is not configured.
  visitor.expectProblem(/status of 502/);
  const page = await openSettings();
  await see(page, 'proxy-status', 'No control plane is set');
  expect(await page.getByTestId('proxy-save').isDisabled()).toBe(true);
  await page.getByLabel('Server URL').fill('plane.example');
  expect(await page.getByTestId('proxy-test').isDisabled()).toBe(true);
  visitor.expectProblem(/status of 400/);
  await click(page, 'proxy-save');
  await see(page, 'proxy-error', 'must be an http(s) URL');

  await page.getByLabel('Server URL').fill(control.plane.url);
  await page.getByLabel('Admin key', { exact: true }).fill('not-the-admin-key');
  await click(page, 'proxy-save');
  await see(page, 'toast-done', 'saved');
  await see(page, 'proxy-last-test', 'never');
  await click(page, 'proxy-test');
  await see(page, 'proxy-test-result', 'does not take the admin key');
  await see(page, 'proxy-status', 'Not connected');
  await see(page, 'proxy-last-test', 'does not take the admin key');

  await page.getByLabel('Admin key', { exact: true }).fill(ADMIN_KEY);
  await page.keyboard.press('Enter');
  await see(page, 'proxy-form', 'admi****ests is set');
  expect(await page.getByTestId('proxy-key').inputValue()).toBe('');
  await click(page, 'proxy-test');
  await see(page, 'proxy-test-result', 'projects: 1, nodes: 0');
  await see(page, 'proxy-status', 'Connected');
  await see(page, 'proxy-circuit', 'Closed');
  await see(page, 'proxy-last-test', 'it succeeded');

  await page.getByLabel('Server URL').fill(`${control.plane.url}/`);
  await click(page, 'proxy-save');
  await see(page, 'proxy-last-test', 'never');
  await see(page, 'proxy-form', 'admi****ests is set');
  expect(await page.content()).not.toContain(ADMIN_KEY);

  await click(page, 'nav-overview');
  await see(page, 'about-control-plane', 'connected');
  await click(page, 'tab-membridge');
  await see(page, 'space-name', 'far away');
});

test('shows a space of the remote control plane without a reload, because the page asks again', async () => {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'space-name', 'far away');
  await control.call('POST', '/projects', {
    headers: { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY },
    body: { name: 'made later' },
  });
  await page.getByText('made later').first().waitFor();
});

test('breaks no accessibility rule in the settings, in dark or in light', async () => {
  const page = await openSettings();
  await click(page, 'proxy-test');
  await see(page, 'proxy-test-result', 'It answers');
  for (const scheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.locator(`html[data-mantine-color-scheme="${scheme}"]`).waitFor();
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)).toEqual(
      [],
    );
  }
});
