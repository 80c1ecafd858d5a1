import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  freshDatabase,
  planeEnvironment,
  startTestPlane,
  type TestPlane,
} from '../test/support/control-plane.ts';
import { openCutLine, type CutLine } from '../test/support/cut-line.ts';
import { freshNamespace } from '../test/support/namespace.ts';
import { startTunnelNode, type TunnelNode } from '../test/gateway/tunnel-node.ts';

const held = new Map<string, { begun: () => void; release: Promise<void> }>();

/** An activity that runs, with heartbeats, until a test lets it end. */
async function hold(name: unknown): Promise<string> {
  const { begun, release } = held.get(String(name)) ?? { begun: () => undefined, release: Promise.resolve() };
  begun();
  const beat = setInterval(() => Context.current().heartbeat(), 200);
  await release.finally(() => clearInterval(beat));
  return `held ${String(name)}`;
}

/** Prepares one run of `hold`. */
function prepare(name: string): { begun: Promise<void>; release(): void } {
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  held.set(name, { begun: () => begun.resolve(), release: release.promise });
  return { begun: begun.promise, release: () => release.resolve() };
}

let database: { url: string; drop(): Promise<void> };
let env: Record<string, string>;
let test: TestPlane;
let toTemporal: CutLine;
let toPlane: CutLine;
let node: TunnelNode;

const hostOf = (url: string): string => new URL(url).host;
const startPlane = async (): Promise<TestPlane> => await startTestPlane({ databaseUrl: database.url, env });

beforeAll(async () => {
  const parts = inject('parts');
  database = await freshDatabase(parts.databaseUrl);
  toTemporal = await openCutLine(parts.temporal.address);
  env = {
    ...planeEnvironment(database.url, parts),
    TEMPORAL_NAMESPACE: await freshNamespace(parts.temporal.address),
    TEMPORAL_ADDRESS: toTemporal.address,
  };
  test = await startPlane();
  toPlane = await openCutLine(hostOf(test.plane.url));
  node = await startTunnelNode(test, 'cut', {
    activities: { hold },
    serverUrl: `http://${toPlane.address}`,
  });
});

afterAll(async () => {
  await node.stop();
  await test.stop();
  toPlane.stop();
  toTemporal.stop();
  await database.drop();
});

describe('an activity behind the tunnel', () => {
  it('completes although the tunnel is cut while it runs', async () => {
    const run = prepare('cut');
    const handle = await node.start('hold', 'cut');
    await run.begun;
    toPlane.cut();
    await sleep(1_000);
    run.release();
    await sleep(500);
    toPlane.mend();
    expect(await handle.result()).toBe('held cut');
    expect(node.reports.at(0)).toMatch(/closed the engine tunnel|does not answer/);
    expect(node.reports.at(-1)).toBeNull();
  });

  it('starts after the tunnel was cut during a poll', async () => {
    await expect.poll(() => node.isPolling()).toBe(true);
    toPlane.cut();
    const handle = await node.start('hold', 'after a poll');
    await sleep(1_500);
    toPlane.mend();
    expect(await handle.result()).toBe('held after a poll');
  });

  it('completes although Temporal cannot be reached for a while', async () => {
    const run = prepare('temporal');
    const handle = await node.start('hold', 'temporal');
    await run.begun;
    toTemporal.cut();
    run.release();
    await sleep(2_000);
    toTemporal.mend();
    expect(await handle.result()).toBe('held temporal');
  });

  it('completes although the control plane restarts while it runs', async () => {
    const run = prepare('restart');
    const handle = await node.start('hold', 'restart');
    await run.begun;
    const former = test;
    toPlane.cut();
    await former.stop();
    test = await startPlane();
    toPlane.turnTo(hostOf(test.plane.url));
    toPlane.mend();
    run.release();
    const { client } = test.plane.deps.engine;
    expect(await client.workflow.getHandle(handle.workflowId).result()).toBe('held restart');
  });
});
