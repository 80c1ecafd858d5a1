import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { WebSocket } from 'ws';
import { poolQueue } from '../contract/names.ts';
import {
  enrolNode,
  freshDatabase,
  heartbeat,
  planeEnvironment,
  startTestPlane,
  type TestPlane,
} from '../test/support/control-plane.ts';
import { freshNamespace } from '../test/support/namespace.ts';
import {
  openSocket,
  openTunnelClient,
  pollRequest,
  type TunnelClient,
} from '../test/gateway/tunnel-client.ts';

const REVOKED = 4_401;
const LOST_A_POOL = 4_403;
const PERMISSION_DENIED = 7;

let database: { url: string; drop(): Promise<void> };
let planes: TestPlane[];
let first: TestPlane;
let second: TestPlane;

/** Two control planes of one installation. */
beforeAll(async () => {
  const parts = inject('parts');
  database = await freshDatabase(parts.databaseUrl);
  const env = {
    ...planeEnvironment(database.url, parts),
    TEMPORAL_NAMESPACE: await freshNamespace(parts.temporal.address),
  };
  planes = [];
  for (const _ of ['first', 'second']) planes.push(await startTestPlane({ databaseUrl: database.url, env }));
  [first, second] = planes as [TestPlane, TestPlane];
});
afterAll(async () => {
  for (const plane of planes) await plane.stop();
  await database.drop();
});

/** Waits for a socket's end, 5 s at most, and returns the code. */
async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, 'close', { signal: AbortSignal.timeout(5_000) })) as [number];
  return code;
}

const info = async (client: TunnelClient): Promise<number | null> =>
  (await client.call('GetSystemInfo', new Uint8Array())).status;

describe('open tunnels', () => {
  it('close in every control plane when their node is removed', async () => {
    const { agent_key: key } = await enrolNode(first, 'gone');
    const clients = [
      await openTunnelClient(first.plane.url, key),
      await openTunnelClient(second.plane.url, key),
    ];
    expect(await Promise.all(clients.map(info))).toEqual([0, 0]);
    const codes = Promise.all(clients.map(({ socket }) => closeCode(socket)));
    expect((await first.call('DELETE', '/api/runtime/workers/gone')).status).toBe(200);
    expect(await codes).toEqual([REVOKED, REVOKED]);
    const again = openSocket(second.plane.url, key);
    const [error] = (await once(again, 'error')) as [Error];
    expect(error.message).toContain('401');
  });

  it('close when their node gets another key, and the new key opens one', async () => {
    const { agent_key: former } = await enrolNode(first, 'rekeyed');
    const old = await openTunnelClient(second.plane.url, former);
    const code = closeCode(old.socket);
    const { agent_key: key } = await enrolNode(first, 'rekeyed');
    expect(await code).toBe(REVOKED);
    const client = await openTunnelClient(second.plane.url, key);
    expect(await info(client)).toBe(0);
    client.close();
  });

  it('stay open when another node is removed', async () => {
    const { agent_key: key } = await enrolNode(first, 'stays');
    await enrolNode(first, 'other');
    const client = await openTunnelClient(first.plane.url, key);
    await first.call('DELETE', '/api/runtime/workers/other');
    expect(await info(client)).toBe(0);
    client.close();
  });

  it('let their node poll a pool exactly as long as it asks for it and a person allows it', async () => {
    const { agent_key: key } = await enrolNode(first, 'labelled');
    const client = await openTunnelClient(second.plane.url, key);
    const { namespace } = second.plane.deps.engine.address;
    const request = pollRequest(namespace, 'labelled', poolQueue('gpu'));
    const poll = async (): Promise<number | null> =>
      (await client.call('PollActivityTaskQueue', request, { 'grpc-timeout': '500m' })).status;
    const report = async (labels: string[]): Promise<void> => {
      const body = heartbeat('labelled');
      const capabilities = { ...body.facts.capabilities, labels };
      await first.call('POST', '/api/agent/heartbeat', {
        headers: { 'X-MEMBRIDGE-AGENT': key },
        body: { ...body, facts: { ...body.facts, capabilities } },
      });
    };
    const allow = async (pools: string[]): Promise<void> => {
      const answer = await first.call('PUT', '/api/runtime/workers/labelled/pools', { body: { pools } });
      expect(answer.status).toBe(200);
    };
    await report(['gpu']);
    expect(await poll()).toBe(PERMISSION_DENIED);
    await allow(['gpu']);
    await expect.poll(poll).not.toBe(PERMISSION_DENIED);
    const open = client.call('PollActivityTaskQueue', request);
    const code = closeCode(client.socket);
    await allow([]);
    expect(await code).toBe(LOST_A_POOL);
    await open.catch(() => undefined);
    const again = await openTunnelClient(second.plane.url, key);
    const polled = await again.call('PollActivityTaskQueue', request, { 'grpc-timeout': '500m' });
    expect(polled.status).toBe(PERMISSION_DENIED);
    again.close();
  });
});
