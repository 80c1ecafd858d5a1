import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { STORE_OBJECTS_PATH } from '../../contract/nodes/agent-store.ts';
import { sendRaw } from '../../test/support/raw-request.ts';
import { limitBodyTime } from './body-time.ts';

let server: Server;
let url: string;
beforeAll(async () => {
  server = createServer((req, res) => {
    limitBodyTime(req, res, { bodyMs: 300, uploadMs: 1_000, restMs: 200 });
    if (req.url === '/refused') return void res.writeHead(401).end('no');
    req.resume();
    req.once('end', () => res.end('taken'));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

/** Sends a body in two pieces with a pause between. */
const send = async (method: string, path: string, pauseMs: number) =>
  await sendRaw(url, method, path, { pieces: [Buffer.from('a'), Buffer.from('b')], pauseMs });

it('closes the connection of a body that takes too long', async () => {
  await expect(send('POST', '/api/agent/heartbeat', 400)).rejects.toThrow(/hang up|ECONNRESET|EPIPE/);
});

it('accepts a body that takes a little less', async () => {
  expect((await send('POST', '/api/agent/heartbeat', 50)).status).toBe(200);
});

it('gives object uploads more time, but not unlimited', async () => {
  expect((await send('PUT', `${STORE_OBJECTS_PATH}key`, 400)).status).toBe(200);
  await expect(send('PUT', `${STORE_OBJECTS_PATH}key`, 1_200)).rejects.toThrow(/hang up|ECONNRESET|EPIPE/);
});

it('closes the connection soon when a refused body keeps arriving', async () => {
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  socket.write('PUT /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n');
  const trickle = setInterval(() => socket.write('x'), 20);
  const began = performance.now();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 /);
  await once(socket, 'close');
  clearInterval(trickle);
  expect(performance.now() - began).toBeLessThan(1_000);
});
