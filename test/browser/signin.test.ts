import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { RUNTIME_KEY } from '../support/control-plane.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

let fleet: Fleet;
let visitor: Visitor;
/** A name under which a browser does not trust plain HTTP, unlike localhost. */
const PLAIN = 'plain.test';
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor({ loopback: [PLAIN] })]);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

test('signs in with the link, and removes the key from the address and the history', async () => {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'page-membridge');
  await see(page, 'live-state', 'Live');
  expect(page.url()).toBe(`${fleet.url}/membridge`);
  await page.goBack();
  expect(page.url()).not.toContain(RUNTIME_KEY);
});

test('refuses a wrong key in words, accepts the right one, and opens the requested page', async () => {
  visitor.expectProblem(/status of 401/);
  const page = await visitor.open(`${fleet.url}/nodes`);
  await see(page, 'page-signin');
  await page.getByTestId('signin-key').fill('not the key');
  await click(page, 'signin-submit');
  await see(page, 'signin-error', 'not the API key');
  await page.getByTestId('signin-key').fill(RUNTIME_KEY);
  await page.keyboard.press('Enter');
  await see(page, 'page-nodes');
  await see(page, 'nodes-empty');
  expect(new URL(page.url()).pathname).toBe('/nodes');
});

test('says what to do when the browser does not store the cookie', async () => {
  // Chromium reports for a plain address that it ignores headers which need a trustworthy one.
  visitor.expectProblem(/Cross-Origin-Opener-Policy|Origin-Agent-Cluster/);
  const behindProxy = await startFleet({ MEMBRIDGE_PUBLIC_URL: 'https://fleet.example.org' });
  try {
    const { port } = new URL(behindProxy.url);
    const page = await visitor.open(`http://${PLAIN}:${port}/signin`);
    await page.getByTestId('signin-key').fill(RUNTIME_KEY);
    await click(page, 'signin-submit');
    await see(page, 'signin-error', 'did not store the sign-in cookie');
    await see(page, 'signin-error', 'https address');
  } finally {
    await behindProxy.stop();
  }
});

test('keeps a browser signed in at two servers on one host', async () => {
  const second = await startFleet();
  try {
    const page = await visitor.open(fleet.signInLink);
    await see(page, 'page-membridge');
    await page.goto(second.signInLink);
    await see(page, 'page-membridge');
    await page.goto(`${fleet.url}/nodes`);
    await see(page, 'page-nodes');
  } finally {
    await second.stop();
  }
});

test('ends the session in every tab when somebody signs out', async () => {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  await click(page, 'account-menu');
  await click(page, 'sign-out');
  await see(page, 'page-signin');
  await page.goto(`${fleet.url}/runtime`);
  await see(page, 'page-signin');
});

test('shows under Runtime that every part works, and which control plane this is', async () => {
  const page = await visitor.open(fleet.signInLink);
  await click(page, 'tab-runtime');
  await click(page, 'nav-overview');
  await see(page, 'runtime-status', 'All parts work');
  for (const part of ['postgresql', 'temporal', 'object-store'])
    await see(page, `part-${part}-state`, 'Works');
  await see(page, 'about-version', /\d+\.\d+\.\d+/);
  await see(page, 'stat-nodes', '0 / 0');
});

test('follows the system’s theme until somebody switches it, and remembers that', async () => {
  const page = await visitor.open(fleet.signInLink, { colorScheme: 'dark' });
  const html = page.locator('html');
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await see(page, 'live-state', 'Live');
  expect(await html.getAttribute('data-mantine-color-scheme')).toBe('dark');
  const dark = await background();
  await click(page, 'theme-toggle');
  await expect.poll(() => html.getAttribute('data-mantine-color-scheme')).toBe('light');
  await expect.poll(background).not.toBe(dark);
  await page.reload();
  await see(page, 'live-state', 'Live');
  expect(await html.getAttribute('data-mantine-color-scheme')).toBe('light');
  await click(page, 'account-menu');
  await click(page, 'theme-system');
  await expect.poll(() => html.getAttribute('data-mantine-color-scheme')).toBe('dark');
});

test('shows the page’s own 404 for an unknown address, to browsers only', async () => {
  visitor.expectProblem(/status of 404/);
  const page = await visitor.open(`${fleet.url}/no/such/page`);
  await see(page, 'page-not-found', '/no/such/page');
  await click(page, 'not-found-home');
  await see(page, 'page-signin');

  const ask = async (path: string, accept: string) => {
    const response = await fetch(`${fleet.url}${path}`, { headers: { accept } });
    await response.text();
    return `${response.status} ${response.headers.get('content-type')?.split(';')[0]}`;
  };
  const browsers = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  expect(await ask('/no/such/page', browsers)).toBe('404 text/html');
  expect(await ask('/no/such/page', '*/*')).toBe('404 application/problem+json');
  expect(await ask('/api/nothing', browsers)).toBe('404 application/problem+json');
  expect(await ask('/projects/a/b/c/d', browsers)).toBe('404 application/problem+json');
});
