import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { openCutLine } from '../../test/support/cut-line.ts';
import { openEngineTunnel, type EngineTunnel } from './engine-tunnel.ts';
import { serverAt } from '../../transport/server.ts';

let test: TestPlane;
let key: string;
const tunnels: EngineTunnel[] = [];
const servers: Server[] = [];

beforeAll(async () => {
  test = await startTestPlane();
  key = (await enrolNode(test, 'ada')).agent_key;
});
afterEach(() => {
  for (const tunnel of tunnels.splice(0)) tunnel.close();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});
afterAll(async () => await test.stop());

/** Opens a tunnel, and returns what it reports. */
async function open(
  serverUrl: string,
  agentKey = key,
): Promise<{ tunnel: EngineTunnel; reports: (string | null)[]; port: number }> {
  const reports: (string | null)[] = [];
  const report = (problem: string | null): void => void reports.push(problem);
  const tunnel = await openEngineTunnel({ server: serverAt(serverUrl), agentKey, report });
  tunnels.push(tunnel);
  return { tunnel, reports, port: Number(tunnel.address.split(':')[1]) };
}

/**
 * Connects to a tunnel as the SDK does, until the tunnel ends the connection. Returns how long that took, in
 * milliseconds.
 */
async function tryOnce(port: number): Promise<number> {
  const started = performance.now();
  const socket = connect(port, '127.0.0.1').resume();
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return performance.now() - started;
}

/** Serves HTTP, and answers upgrades as plain requests. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer({ shouldUpgradeCallback: () => false }, listener);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('an engine tunnel that does not open', () => {
  it('reports a wrong key', async () => {
    const { port, reports } = await open(test.plane.url, 'not a key of any node');
    await tryOnce(port);
    expect(reports).toEqual([
      expect.stringMatching(/refused the engine tunnel with 401: .*X-MEMBRIDGE-AGENT/),
    ]);
  });

  it('reports that nothing listens', async () => {
    const { port, reports } = await open('http://127.0.0.1:1');
    await tryOnce(port);
    expect(reports).toEqual([expect.stringMatching(/127\.0\.0\.1:1 does not answer/)]);
  });

  it('reports a proxy that removes Upgrade', async () => {
    const passOn = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
      const names = ['x-membridge-agent', 'x-membridge-tunnel-secret'];
      const headers = names.map((name): [string, string] => [name, String(req.headers[name])]);
      const answer = await fetch(`${test.plane.url}${req.url ?? ''}`, { headers });
      res.writeHead(answer.status, { 'Content-Type': 'application/problem+json' });
      res.end(await answer.text());
    };
    const proxy = await serve((req, res) => void passOn(req, res));
    const { port, reports } = await open(proxy);
    await tryOnce(port);
    expect(reports).toEqual([expect.stringMatching(/removes the header Upgrade/)]);
  });

  it('reports another server that answers', async () => {
    const portal = await serve((_req, res) => res.end('<html>Sign in to this network</html>'));
    const { port, reports } = await open(portal);
    await tryOnce(port);
    expect(reports).toEqual([expect.stringMatching(/answered 200 in place of a WebSocket/)]);
  });

  it('reports a control plane that is too old', async () => {
    const old = await serve((_req, res) => res.writeHead(404).end('{"detail":"There is no such path."}'));
    const { port, reports } = await open(old);
    await tryOnce(port);
    expect(reports).toEqual([expect.stringMatching(/has no engine tunnel.*MEMBRIDGE_AGENT_ENGINE=direct/)]);
  });

  it('opens again after a pause, and reports when it works', async () => {
    const line = await openCutLine(new URL(test.plane.url).host);
    line.cut();
    const { port, reports } = await open(`http://${line.address}`);
    await tryOnce(port);
    expect(await tryOnce(port)).toBeGreaterThan(450);
    expect(reports).toEqual([expect.stringMatching(/does not answer/)]);
    line.mend();
    const socket = connect(port, '127.0.0.1').resume();
    await expect.poll(() => reports.at(-1)).toBeNull();
    socket.destroy();
    line.stop();
  });
});

it('ends every connection when the tunnel closes', async () => {
  const { gateway } = test.plane.deps;
  await expect.poll(() => gateway.tunnels).toBe(0);
  const { port, tunnel, reports } = await open(test.plane.url);
  const ended = tryOnce(port);
  await expect.poll(() => gateway.tunnels).toBe(1);
  tunnel.close();
  await ended;
  await expect.poll(() => gateway.tunnels).toBe(0);
  expect(reports).toEqual([]);
});
