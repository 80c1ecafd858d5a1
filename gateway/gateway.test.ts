import { randomBytes } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { startTunnelNode, type TunnelNode } from '../test/gateway/tunnel-node.ts';

let test: TestPlane;
let node: TunnelNode;

/** The activities of a node in these tests. */
const activities = {
  echo: async (input: unknown) => await Promise.resolve(input),
  large: async () => await Promise.resolve(randomBytes(1_200_000).toString('hex')),
  /** Sends heartbeats until it is cancelled. */
  untilCancelled: async () => {
    for (;;) {
      Context.current().heartbeat('beating');
      await Context.current().sleep(100);
    }
  },
};

beforeAll(async () => {
  test = await startTestPlane();
  node = await startTunnelNode(test, 'inside', { activities });
});

afterAll(async () => {
  await node.stop();
  await test.stop();
});

describe('a worker behind the tunnel', () => {
  it('runs activities', async () => {
    const handle = await node.start('echo', { garden: 'rose' });
    expect(await handle.result()).toEqual({ garden: 'rose' });
  });

  it('passes heartbeats on, and learns that its activity is cancelled', async () => {
    const handle = await node.start('untilCancelled');
    await expect
      .poll(
        async () => (await handle.describe()).raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.length,
      )
      .toBe(1);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(/cancelled/i);
  });

  it('carries an input and a result of 1.5 MB', async () => {
    const text = 'rose '.repeat(300_000);
    const handle = await node.start('echo', text);
    expect(await handle.result()).toBe(text);
  });

  it('fails an activity whose result is too large for Temporal, and runs the next one', async () => {
    const handle = await node.start('large');
    await expect(handle.result()).rejects.toMatchObject({
      cause: { cause: { message: 'Complete result exceeds size limit.' } },
    });
    expect(await (await node.start('echo', 1)).result()).toBe(1);
  });
});
