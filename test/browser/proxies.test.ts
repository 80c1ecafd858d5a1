import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../api/http/openapi.ts';
import { freePort } from '../../stack/ports.ts';
import type { Service } from '../../stack/service.ts';
import { enrolNode, RUNTIME_KEY } from '../support/control-plane.ts';
import { openCutLine, type CutLine } from '../support/cut-line.ts';
import { siteUrl, startCaddy, startNginx, type Site } from '../support/proxies.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { startTaskWorker, type TaskWorker } from './task-worker.ts';
import { click, see, setHidden, startVisitor, type Visitor } from './visitor.ts';

/** Longer than the 5 s plus 1 s of grace for which Node keeps an idle connection by default, in milliseconds. */
const IDLE_MS = 7_000;

/** The base path of each control plane: none, with http, with https. The last one also is a path of our own page. */
const [root, plain, secure] = ['', '/tools/membridge', '/membridge'];
/** One control plane for each address, because its base path and its cookie's https flag are settings. */
const fleets = new Map<string, { fleet: Fleet; worker: TaskWorker }>();
const services: Service[] = [];
const lines: CutLine[] = [];
let visitor: Visitor;

/** The cases for the whole page: the proxy, the scheme, the base path, and whether the proxy removes the path. */
const CASES = [
  ['nginx', 'http', root, false],
  ['nginx', 'http', plain, true],
  ['nginx', 'https', secure, false],
  ['caddy', 'https', root, false],
  ['caddy', 'https', secure, true],
] as const;
const NGINX_BY_HTTPS = ['nginx', 'https', root, false] as const;
const sites = new Map<string, Site>();
const keyOf = (proxy: string, scheme: string, path: string, takesPathOff: boolean): string =>
  [proxy, scheme, path, takesPathOff].join(' ');
const siteOf = (...key: Parameters<typeof keyOf>): Site => {
  const site = sites.get(keyOf(...key));
  if (site === undefined) throw new Error(`There is no site ${keyOf(...key)}.`);
  return site;
};
const fleetOf = (path: string): { fleet: Fleet; worker: TaskWorker } => {
  const found = fleets.get(path);
  if (found === undefined) throw new Error(`No control plane is at ${path}.`);
  return found;
};

/** How many connections each proxy opened for two requests with a pause between, by its name. */
let afterPause: Promise<Map<string, number>>;

beforeAll(async () => {
  visitor = await startVisitor();
  await startFleetAt(root, {});
  await startFleetAt(plain, { MEMBRIDGE_PUBLIC_URL: `http://fleet.example.org${plain}/` });
  await startFleetAt(secure, { MEMBRIDGE_PUBLIC_URL: `https://fleet.example.org${secure}` });
  const target = (path: string): string => new URL(fleetOf(path).fleet.url).host;
  for (const [proxy, scheme, path, takesPathOff] of [...CASES, NGINX_BY_HTTPS]) {
    const site = {
      port: await freePort(),
      https: scheme === 'https',
      path,
      takesPathOff,
      target: target(path),
    };
    sites.set(keyOf(proxy, scheme, path, takesPathOff), site);
  }
  const by = (proxy: string): Site[] =>
    [...sites].filter(([key]) => key.startsWith(proxy)).map(([, site]) => site);
  for (let n = 0; n < 2; n += 1) lines.push(await openCutLine(target(root)));
  const [behindNginx, behindCaddy] = lines.map(({ address }) => address);
  const kept = { https: false, path: '' } as const;
  const nginx = { ...kept, port: await freePort(), target: 'kept' };
  const caddy = { ...kept, port: await freePort(), target: behindCaddy ?? '' };
  services.push(
    // Everything is compressed where the proxy allows it, and connections of browsers are closed soon.
    await startNginx(
      [...by('nginx'), nginx],
      `gzip on; gzip_types *; gzip_proxied any; keepalive_timeout 3s;
       upstream kept { server ${behindNginx ?? ''}; keepalive 4; }`,
    ),
    await startCaddy([...by('caddy'), caddy], 'encode gzip'),
  );
  afterPause = askTwice([nginx, caddy]);
  // Its test waits for it.
  afterPause.catch(() => undefined);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  for (const service of services) await service.stop();
  for (const line of lines) line.stop();
  await Promise.all([...fleets.values()].map(async ({ fleet }) => await fleet.stop()));
});

async function startFleetAt(path: string, env: Record<string, string>): Promise<void> {
  const fleet = await startFleet({ MEMBRIDGE_TRUST_PROXY: '1', ...env });
  await enrolNode(fleet.test, 'worker');
  fleets.set(path, { fleet, worker: startTaskWorker(fleet.test, 'worker') });
}

/** Sends two requests through each proxy, with a pause. @returns how many connections each line saw */
async function askTwice(through: readonly Site[]): Promise<Map<string, number>> {
  const ask = async (): Promise<void> => {
    for (const site of through) {
      const answer = await fetch(`${siteUrl(site)}/health`);
      expect(answer.status).toBe(200);
      await answer.text();
    }
  };
  await ask();
  await sleep(IDLE_MS);
  await ask();
  return new Map([
    ['nginx', lines[0]?.opened ?? 0],
    ['caddy', lines[1]?.opened ?? 0],
  ]);
}

async function signIn(page: Page): Promise<void> {
  await see(page, 'page-signin');
  await page.getByTestId('signin-key').fill(RUNTIME_KEY);
  await click(page, 'signin-submit');
}

/** Opens the page of a running task and waits for the first line of its output. @returns the task's id */
async function watchTask(page: Page, address: string, worker: TaskWorker): Promise<string> {
  const { id } = await worker.make();
  await worker.lease(id);
  await worker.heartbeat(id);
  await worker.write(id, [{ stream: 'stdout', text: 'the first line\n' }]);
  await page.goto(`${address}/runtime/tasks/${id}`);
  await see(page, 'output', 'the first line');
  await see(page, 'output-state', 'Live');
  return id;
}

describe.each(CASES)('the page behind %s by %s at "%s", path removed: %s', (...key) => {
  const [proxy, , path] = key;

  test('signs in, updates live, streams, reloads at a deep link, and signs out', async () => {
    const { fleet, worker } = fleetOf(path);
    const site = siteOf(...key);
    const address = siteUrl(site);
    const page = await visitor.open(`${address}/nodes`, { ignoreHTTPSErrors: true });
    await signIn(page);
    await see(page, 'page-nodes');
    expect(page.url()).toBe(`${address}/nodes`);
    const [cookie, ...more] = await page.context().cookies();
    expect(more).toEqual([]);
    expect(cookie).toMatchObject({ path: path || '/', secure: site.https, httpOnly: true });
    await see(page, 'live-state', 'Live');
    const node = `new-${site.port}`;
    await enrolNode(fleet.test, node);
    await see(page, `node-status-${node}`, 'Online');

    const id = await watchTask(page, address, worker);
    await worker.write(id, [{ stream: 'stdout', text: 'the second line\n' }], 1);
    await see(page, 'output', 'the second line');
    await page.reload();
    await see(page, 'page-task');
    await see(page, 'output', 'the second line');
    await worker.complete(id, { status: 'success', output: 'done' });
    await see(page, 'result', 'done');
    expect(page.url()).toBe(`${address}/runtime/tasks/${id}`);

    if (proxy === 'nginx' && path !== root)
      await openLinks(page, address, fleet.test.plane.deps.config.engine.namespace);
    await page.goto(`${address}/`);
    await see(page, 'page-membridge');
    expect(page.url()).toBe(`${address}/membridge`);
    await click(page, 'account-menu');
    await click(page, 'sign-out');
    await see(page, 'page-signin');
    await page.goto(`${address}/membridge/projects`);
    await see(page, 'page-signin');
    expect(await page.context().cookies()).toEqual([]);
  });
});

/** Opens the description of the API, and Temporal's page with its hundred files: both must find all their files. */
async function openLinks(page: Page, address: string, namespace: string): Promise<void> {
  const absent: string[] = [];
  page.on('response', (response) => {
    if (response.status() === 404) absent.push(response.url());
  });
  const docs = await page.getByTestId('link-docs').getAttribute('href');
  await page.goto(new URL(docs ?? '', page.url()).href);
  expect(page.url()).toBe(`${address}/docs`);
  await page.getByText('/api/runtime/health', { exact: true }).first().waitFor();
  // Swagger UI 5.33 to 5.35 shows only the first of them when there are more than 131.
  const { paths } = openApiDocument() as { paths: Record<string, object> };
  const operations = Object.values(paths).flatMap((path) => Object.keys(path));
  await expect.poll(() => page.locator('.opblock').count()).toBe(operations.length);
  await page.goto(`${address}/temporal/namespaces/${namespace}/workflows`);
  await page
    .getByText(/\d+ Workflows?/)
    .first()
    .waitFor();
  expect(page.url()).toContain(`${address}/temporal/namespaces/${namespace}/workflows`);
  expect(absent).toEqual([]);
}

test('lets an agent join at an address with a path, with the command from the page', async () => {
  const { fleet } = fleetOf(plain);
  const address = siteUrl(siteOf('nginx', 'http', plain, true));
  const script = new URL('../../deploy/probe.mjs', import.meta.url).pathname;
  await promisify(execFile)(process.execPath, [script, 'server', address]);
  const page = await visitor.open(`${address}/signin#key=${RUNTIME_KEY}`);
  await see(page, 'page-membridge');
  await click(page, 'tab-nodes');
  await page.getByTestId('add-node-name').fill('laptop');
  await click(page, 'add-node-create');
  await see(page, 'add-node-command', `MEMBRIDGE_SERVER_URL=${address} `);
  const token = await page.getByTestId('add-node-token').innerText();
  await fleet.start(fleet.machine('laptop'), token, { MEMBRIDGE_SERVER_URL: address });
  await see(page, 'node-status-laptop', 'Online');
});

test('moves below its base path when a browser opens it without the proxy', async () => {
  const { fleet } = fleetOf(plain);
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'page-membridge');
  expect(page.url()).toBe(`${fleet.url}${plain}/membridge`);
});

test('loads a seventh tab behind nginx, beside three tabs with a task’s output', async () => {
  const { fleet, worker } = fleetOf(root);
  const address = siteUrl(siteOf('nginx', 'http', root, false));
  const first = await visitor.open(`${address}/signin#key=${RUNTIME_KEY}`);
  await see(first, 'live-state', 'Live');
  const tabs = [first];
  for (let n = 1; n < 6; n += 1) {
    await setHidden(tabs.at(-1) ?? first, true);
    const tab = await first.context().newPage();
    tabs.push(tab);
    if (n % 2 === 1) await watchTask(tab, address, worker);
    else {
      await tab.goto(`${address}/nodes`);
      await see(tab, 'live-state', 'Live');
    }
  }
  await setHidden(tabs.at(-1) ?? first, true);
  const seventh = await first.context().newPage();
  const id = await watchTask(seventh, address, worker);
  await worker.complete(id, { status: 'success', output: 'seen by the seventh' });
  await see(seventh, 'result', 'seen by the seventh');
  await click(seventh, 'tab-nodes');
  await enrolNode(fleet.test, 'late');
  await see(seventh, 'node-status-late', 'Online');
});

test('keeps a browser signed in both by https and by http on one host', async () => {
  const https = siteUrl(siteOf(...NGINX_BY_HTTPS));
  const http = siteUrl(siteOf('nginx', 'http', root, false));
  const page = await visitor.open(`${https}/signin#key=${RUNTIME_KEY}`, { ignoreHTTPSErrors: true });
  await see(page, 'page-membridge');
  await page.goto(`${http}/nodes`);
  await signIn(page);
  await see(page, 'page-nodes');
  expect(page.url()).toBe(`${http}/nodes`);
  await page.goto(`${https}/nodes`);
  await see(page, 'page-nodes');
});

test('lets nginx and Caddy reuse their connection to the control plane after a pause', async () => {
  expect(Object.fromEntries(await afterPause)).toEqual({ nginx: 1, caddy: 1 });
});
