import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { openCutLine, type CutLine } from '../test/support/cut-line.ts';
import { endWhenSilent } from './end-when-silent.ts';

const EVERY_MS = 50;
let server: WebSocketServer;
let line: CutLine;

afterEach(() => {
  line.stop();
  server.close();
});

/** Opens a WebSocket through a relay. */
async function open(): Promise<WebSocket> {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  line = await openCutLine(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const socket = new WebSocket(`ws://${line.address}`);
  await once(socket, 'open');
  return socket;
}

it('leaves a WebSocket open whose peer answers pings', async () => {
  const socket = await open();
  endWhenSilent(socket, EVERY_MS);
  await sleep(10 * EVERY_MS);
  expect(socket.readyState).toBe(WebSocket.OPEN);
});

it('ends a WebSocket whose peer went silent without closing it', async () => {
  const socket = await open();
  endWhenSilent(socket, EVERY_MS);
  line.silence();
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(1_006);
});
