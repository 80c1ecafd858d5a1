import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { pino } from 'pino';
import { startControlPlane, type ControlPlane } from '../../api/control-plane.ts';
import { enrolNode, RUNTIME_KEY } from '../support/control-plane.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { startTaskWorker } from './task-worker.ts';
import { see, setHidden, startVisitor, type Visitor } from './visitor.ts';

/** A connection between browser and control plane that a test can cut. */
class Wire {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #cut = false;
  target = 0;

  constructor() {
    this.#server = createServer((near) => {
      if (this.#cut) {
        near.destroy();
        return;
      }
      const far = connect(this.target, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => void this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#cut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const wire = new Wire();
let fleet: Fleet;
let visitor: Visitor;
let address: string;
let restarted: ControlPlane | undefined;
beforeAll(async () => {
  [fleet, visitor, address] = await Promise.all([startFleet(), startVisitor(), wire.listen()]);
  wire.target = Number(new URL(fleet.url).port);
});
afterEach(async () => {
  wire.mend();
  await visitor.check();
});
afterAll(async () => {
  await visitor.close();
  await wire.close();
  await restarted?.stop();
  await fleet.stop();
});

async function openNodes(): Promise<Page> {
  const page = await visitor.open(`${address}/signin#key=${RUNTIME_KEY}`);
  await see(page, 'live-state', 'Live');
  await page.getByTestId('tab-nodes').click();
  await see(page, 'page-nodes');
  return page;
}

test('reports a lost connection with the age of the data, then is live again without a gap', async () => {
  visitor.expectProblem(/ERR_(CONNECTION|SOCKET|EMPTY|INCOMPLETE)/);
  const page = await openNodes();
  await enrolNode(fleet.test, 'before-the-cut');
  await see(page, 'node-status-before-the-cut', 'Online');
  const lists: string[] = [];
  page.on('request', (request) => {
    if (/\/(workers|spaces)$/.test(request.url())) lists.push(request.url());
  });

  wire.cut();
  await see(page, 'live-state', 'Reconnecting');
  await see(page, 'live-age', /data .+ old/);
  await enrolNode(fleet.test, 'during-the-cut');
  await fleet.test.call('DELETE', '/api/runtime/workers/before-the-cut');
  await fleet.test.call('POST', '/api/membridge/spaces', { body: { name: 'made-meanwhile' } });
  wire.mend();

  await see(page, 'live-state', 'Live');
  await see(page, 'node-status-during-the-cut', 'Online');
  await page.getByTestId('node-row-before-the-cut').waitFor({ state: 'detached' });
  await page.getByTestId('tab-membridge').click();
  await see(page, 'space-name', 'made-meanwhile');
  // The replay of events brought it: the list of nodes was not loaded again.
  expect(lists.filter((url) => url.endsWith('/workers'))).toEqual([]);
});

test('continues the output of a task after a lost connection, without a gap or a repetition', async () => {
  visitor.expectProblem(/ERR_(CONNECTION|SOCKET|EMPTY|INCOMPLETE)/);
  const worker = startTaskWorker(fleet.test, 'worker');
  const { id } = await worker.make();
  await worker.lease(id);
  await worker.heartbeat(id);
  await worker.write(id, [{ stream: 'stdout', text: 'before the cut\n' }]);
  const page = await openNodes();
  await page.goto(`${address}/runtime/tasks/${id}`);
  await see(page, 'output', 'before the cut');
  await see(page, 'output-state', 'Live');
  wire.cut();
  await see(page, 'output-state', 'Reconnecting');
  await worker.write(id, [{ stream: 'stderr', text: 'during the cut\n' }], 1);
  await worker.complete(id, { status: 'success', output: 'done meanwhile' });
  wire.mend();
  await see(page, 'output', 'during the cut');
  await see(page, 'task-status', 'Completed');
  await see(page, 'result', 'done meanwhile');
  await see(page, 'output-state', 'Ended');
  await expect
    .poll(() => page.getByTestId('output').locator('> div').allInnerTexts())
    .toEqual(['before the cut', expect.stringMatching(/err\s+during the cut/i)]);
});

test('works in a seventh tab, and catches up in a background tab when somebody returns to it', async () => {
  // Chromium counts streams that end on purpose as failed requests.
  const first = await openNodes();
  const context = first.context();
  const others: Page[] = [];
  for (let n = 0; n < 5; n += 1) {
    await setHidden(others.at(-1) ?? first, true);
    const tab = await context.newPage();
    await tab.goto(`${address}/nodes`);
    await see(tab, 'page-nodes');
    others.push(tab);
  }
  await setHidden(others.at(-1) ?? first, true);
  const seventh = await context.newPage();
  await seventh.goto(`${address}/nodes`);
  await see(seventh, 'live-state', 'Live');
  await enrolNode(fleet.test, 'behind-the-back');
  await see(seventh, 'node-status-behind-the-back', 'Online');
  await setHidden(first, false);
  await see(first, 'node-status-behind-the-back', 'Online');
  await fleet.test.call('DELETE', '/api/runtime/workers/behind-the-back');
});

test('stays signed in and is live again after the control plane restarts', async () => {
  visitor.expectProblem(/ERR_(CONNECTION|SOCKET|EMPTY|INCOMPLETE)/);
  const page = await openNodes();
  await see(page, 'node-status-during-the-cut');
  const { config } = fleet.test.plane.deps;
  await fleet.test.plane.stop();
  // Another program may get its port now: a server of another test must not answer the page.
  wire.cut();
  await see(page, 'live-state', 'Reconnecting');
  await page.waitForEvent('requestfailed');

  restarted = await startControlPlane(config, pino({ level: 'silent' }));
  const { url } = restarted;
  const removed = await fetch(`${url}/api/runtime/workers/during-the-cut`, {
    method: 'DELETE',
    headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
  });
  expect(removed.status).toBe(200);
  wire.target = Number(new URL(url).port);
  wire.mend();
  await see(page, 'live-state', 'Live');
  await see(page, 'nodes-empty');
});
