import { once } from 'node:events';
import { request } from 'node:http';
import type { ClientHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { ENGINE_TUNNEL_PATH, TUNNEL_SECRET_HEADER } from '../contract/nodes/engine-tunnel.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { frame, openSocket, openTunnelClient, type TunnelClient } from '../test/gateway/tunnel-client.ts';
import { MAX_MESSAGE_BYTES } from './frame.ts';

const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;

let test: TestPlane;
let key: string;
let client: TunnelClient;

beforeAll(async () => {
  test = await startTestPlane();
  key = (await enrolNode(test, 'ada')).agent_key;
  client = await openTunnelClient(test.plane.url, key);
});
afterAll(async () => {
  client.close();
  await test.stop();
});

/** The type of HTTP/2's settings frame. */
const SETTINGS = 4;

/** Frames of HTTP/2 with any type, flags and stream, whose length may differ from that of their content. */
const http2Frames = fc.array(
  fc
    .record({
      length: fc.option(fc.nat(2 ** 24 - 1)),
      type: fc.nat(12),
      flags: fc.nat(255),
      stream: fc.nat(9),
      content: fc.uint8Array({ maxLength: 64 }),
    })
    .map(({ length, type, flags, stream, content }) => {
      const header = Buffer.alloc(9);
      header.writeUIntBE(length ?? content.length, 0, 3);
      header.writeUInt8(type, 3);
      header.writeUInt8(flags, 4);
      header.writeUInt32BE(stream, 5);
      return Buffer.concat([header, content]);
    }),
  { maxLength: 12 },
);

/** Waits until something closes; ignores its errors. */
async function closed(thing: WebSocket | ClientHttp2Stream): Promise<void> {
  await new Promise<void>((resolve) => {
    thing.on('error', () => undefined);
    thing.once('close', () => resolve());
  });
}

/** Returns the HTTP status and the text with which a socket is refused. */
async function refusal(headers: Record<string, string>): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const upgrade = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const req = request(`${test.plane.url}${ENGINE_TUNNEL_PATH}`, { headers: { ...upgrade, ...headers } });
  req.on('error', reject).on('upgrade', (_res, socket) => {
    socket.destroy();
    reject(new Error('the socket was opened'));
  });
  req.on('response', (res) => {
    void res
      .setEncoding('utf8')
      .toArray()
      .then((text) => resolve({ status: res.statusCode ?? 0, text: text.join('') }), reject);
  });
  req.end();
  return await promise;
}

describe('a tunnel', () => {
  it('is refused without a node’s key, without a secret, and without a WebSocket', async () => {
    const secret = { [TUNNEL_SECRET_HEADER]: 'x'.repeat(43) };
    expect(await refusal(secret)).toMatchObject({ status: 401 });
    expect(await refusal({ ...secret, 'X-MEMBRIDGE-AGENT': 'wrong' })).toMatchObject({ status: 401 });
    const byKey = { 'X-MEMBRIDGE-AGENT': key };
    expect(await refusal(byKey)).toMatchObject({
      status: 400,
      text: expect.stringContaining('secret') as string,
    });
    expect(await refusal({ ...byKey, [TUNNEL_SECRET_HEADER]: 'short' })).toMatchObject({ status: 400 });
    expect(await refusal({ ...byKey, ...secret, 'Sec-WebSocket-Version': '1' })).toMatchObject({
      status: 400,
    });
    const stripped = await test.call('GET', ENGINE_TUNNEL_PATH, { headers: { ...byKey, ...secret } });
    expect(stripped.status).toBe(400);
    expect(stripped.body['detail']).toMatch(/proxy .* removes the header Upgrade/);
  });

  it('is refused for a node that has 64 of them', async () => {
    const node = (await enrolNode(test, 'greedy')).agent_key;
    const sockets = Array.from({ length: 64 }, () => openSocket(test.plane.url, node));
    await Promise.all(sockets.map((socket) => once(socket, 'open')));
    const headers = { 'X-MEMBRIDGE-AGENT': node, [TUNNEL_SECRET_HEADER]: 'x'.repeat(43) };
    expect(await refusal(headers)).toMatchObject({ status: 429 });
    for (const socket of sockets) socket.terminate();
    await expect.poll(() => test.plane.deps.gateway.tunnels).toBe(1);
  });

  it.each<[string, Buffer | string]>([
    ['bytes that are no HTTP/2', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['text', 'hello'],
    ['a frame before the preface', Buffer.alloc(64, 0xff)],
  ])('ends at %s', async (_what, bytes) => {
    const socket = openSocket(test.plane.url, key);
    await once(socket, 'open');
    socket.send(bytes);
    await closed(socket);
  });

  it('ends at or survives any bytes after a proper start, and does not affect others', async () => {
    const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(9)]);
    preface.writeUInt8(SETTINGS, preface.length - 6);
    await fc.assert(
      fc.asyncProperty(http2Frames, async (frames) => {
        const socket = openSocket(test.plane.url, key);
        await once(socket, 'open');
        socket.on('error', () => undefined);
        for (const bytes of [preface, ...frames]) socket.send(bytes, () => undefined);
        await sleep(5);
        socket.terminate();
      }),
      { numRuns: 200 },
    );
    expect(await client.call('GetSystemInfo', new Uint8Array())).toMatchObject({ status: 0 });
  });

  it('ends at a WebSocket message of more than 1 MiB', async () => {
    const socket = openSocket(test.plane.url, key);
    await once(socket, 'open');
    socket.send(Buffer.alloc(1_048_577));
    await closed(socket);
  });

  it('ends after 10 seconds without a call of its agent, and an incomplete call ends after 30', async () => {
    const started = performance.now();
    const socket = openSocket(test.plane.url, key);
    await once(socket, 'open');
    const stranger = await openTunnelClient(test.plane.url, key);
    await stranger.call('GetSystemInfo', new Uint8Array(), { authorization: 'Bearer of somebody else' });
    const half = client.begin('GetSystemInfo');
    half.write(Buffer.from([0, 0]));
    const halfEnds = closed(half);
    await Promise.all([closed(socket), closed(stranger.socket)]);
    expect(performance.now() - started).toBeLessThan(15_000);
    await halfEnds;
    expect(performance.now() - started).toBeLessThan(40_000);
    expect(await client.call('GetSystemInfo', new Uint8Array())).toMatchObject({ status: 0 });
  });
});

describe('a call', () => {
  const gzip = { 'grpc-encoding': 'gzip' };
  const bytes = Buffer.from([1, 2, 3]);

  it.each<[string, Buffer, Record<string, string>, number]>([
    ['announces more than 4 MiB', frame(bytes, false, MAX_MESSAGE_BYTES + 1), {}, RESOURCE_EXHAUSTED],
    ['has more than 4 MiB', frame(Buffer.alloc(MAX_MESSAGE_BYTES + 1)), {}, RESOURCE_EXHAUSTED],
    ['has 8 MB', Buffer.alloc(8_000_000), {}, RESOURCE_EXHAUSTED],
    ['is a gzip bomb', frame(gzipSync(Buffer.alloc(2 ** 28)), true), gzip, RESOURCE_EXHAUSTED],
    ['is cut short', frame(bytes, false, 4), {}, INVALID_ARGUMENT],
    ['has no frame', Buffer.alloc(0), {}, INVALID_ARGUMENT],
    ['has two frames', Buffer.concat([frame(bytes), frame(bytes)]), {}, INVALID_ARGUMENT],
    ['is compressed by something else', frame(bytes, true), { 'grpc-encoding': 'br' }, INVALID_ARGUMENT],
    ['is no gzip', frame(bytes, true), gzip, INVALID_ARGUMENT],
  ])('is refused when it %s, without harm to the next one', async (_what, body, headers, status) => {
    expect(await client.send('GetSystemInfo', body, headers)).toMatchObject({ status });
    expect(await client.call('GetSystemInfo', new Uint8Array())).toMatchObject({ status: 0 });
  });

  it('leaves nothing in memory when it is refused', async () => {
    // Twenty times 4 MiB are more than the calls of a node may hold.
    for (let times = 0; times < 20; times += 1) {
      const end = await client.send('GetSystemInfo', Buffer.alloc(8_000_000));
      expect([times, end.status, end.message]).toEqual([
        times,
        RESOURCE_EXHAUSTED,
        expect.stringMatching(/^grpc: /),
      ]);
    }
    expect(await client.call('GetSystemInfo', new Uint8Array())).toMatchObject({ status: 0 });
  });

  it('is served when it is compressed', async () => {
    const body = frame(gzipSync(new Uint8Array()), true);
    expect(await client.send('GetSystemInfo', body, gzip)).toMatchObject({ status: 0 });
  });
});
