import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOfAgent, refusalOfServer } from '../../contract/nodes/protocol.ts';
import { NO_STORE_ACCESS } from '../../contract/nodes/nodes.ts';
import { readAgentConfig } from '../config.ts';
import { ControlPlaneError, askConnection } from './control-plane.ts';
import { refreshConnection } from './enrol.ts';
import { readState, type AgentState } from './state.ts';
import { chooseStoreRoute } from './store-route.ts';
import { serverAt } from '../../transport/server.ts';

let server: Server;
let url: string;
let answer: (response: ServerResponse) => void;
beforeAll(async () => {
  server = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

const connection = {
  temporal: { address: 'temporal:7233', namespace: 'default' },
  store: { endpoint: 'http://store', region: 'r', bucket: 'b', access_key: 'a', secret_key: 's' },
};
const says =
  (status: number, type: string, text: string, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void =>
    void response.writeHead(status, { 'Content-Type': type, ...headers }).end(text);
async function refused(): Promise<ControlPlaneError> {
  const error: unknown = await askConnection(serverAt(url), 'key').catch((reason: unknown) => reason);
  if (error instanceof ControlPlaneError) return error;
  throw new Error(`it was answered ${JSON.stringify(error)}`);
}

test('ignores fields that only a newer control plane sends', async () => {
  const newer = {
    ...connection,
    added: 1,
    store: { ...connection.store, tier: 'cold' },
    temporal: { ...connection.temporal, tls: { on: true } },
  };
  answer = says(200, 'application/json', JSON.stringify(newer), { 'X-MEMBRIDGE-PROTOCOL': '99' });
  expect(await askConnection(serverAt(url), 'key')).toEqual(connection);
});

test.each([
  [200, 'text/html', '<html>Sign in to this network</html>'],
  [401, 'text/html', '<html>Proxy authentication</html>'],
  [511, 'text/html', '<html>Network authentication required</html>'],
  [200, 'application/json', '<html>'],
  [200, 'text/plain', ''],
  [502, 'text/html', '<html>Bad gateway</html>'],
])('an answer %i of %s that is not JSON counts as none: %j', async (status, type, text) => {
  answer = says(status, type, text);
  const error = await refused();
  expect(error.status).toBe(0);
  expect(error.message).toContain(`${url} does not answer`);
  expect(error.message).toContain(String(status));
});

test('the agent refuses JSON from another server, and names the setting that holds the address', async () => {
  answer = says(200, 'application/json', '{"hello":"world"}');
  const error = await refused();
  expect([error.status, error.message]).toEqual([0, expect.stringContaining('MEMBRIDGE_SERVER_URL')]);
});

test('the agent treats an answer that breaks off as no answer', async () => {
  answer = (response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' });
    response.write('{"temporal":');
    setImmediate(() => response.destroy());
  };
  expect((await refused()).status).toBe(0);
});

test('the agent reports the status and the detail of a refusal', async () => {
  answer = says(401, 'application/problem+json', '{"detail":"the key is wrong"}');
  const error = await refused();
  expect([error.status, error.message]).toEqual([401, expect.stringContaining('the key is wrong')]);
});

test('the agent refuses a control plane whose protocol is too old, and says what to do', async () => {
  answer = says(200, 'application/json', JSON.stringify(connection), { 'X-MEMBRIDGE-PROTOCOL': '0' });
  const error = await refused();
  expect([error.status, error.message]).toEqual([
    0,
    expect.stringMatching(/speaks protocol 0.*Upgrade the control plane first/),
  ]);
});

test('each side refuses only a protocol that is too old for it', () => {
  expect([refusalOfAgent(2, 2), refusalOfAgent(3, 2), refusalOfServer(5, url, 5)]).toEqual([
    null,
    null,
    null,
  ]);
  expect(refusalOfAgent(1, 2)).toContain('Upgrade Membridge on this machine');
  expect(refusalOfServer(4, url, 5)).toContain(url);
});

test('the agent drops the keys of the store when it must go through the control plane, and uses the store directly otherwise', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-way-'));
  const config = readAgentConfig({ MEMBRIDGE_AGENT_DATA_DIR: folder });
  const certificate = {
    format: 'membridge-certificate/1' as const,
    node: 'n',
    key_id: 'k',
    public_key: 'p',
    issued_at: 1,
    signature: 's',
  };
  const own = { node_id: 'n', agent_key: 'own', certificate, control_public_key: 'c' };
  let state: AgentState = { server_url: url, private_key: 'p', enrolment: { ...own, ...connection } };
  const refresh = async (told: object): Promise<void> => {
    answer = says(200, 'application/json', JSON.stringify(told), { 'X-MEMBRIDGE-PROTOCOL': '1' });
    state = await refreshConnection(config, state, pino({ level: 'silent' }));
  };
  await refresh({ ...connection, store: NO_STORE_ACCESS, store_way: 'control-plane' });
  expect(chooseStoreRoute(config, state)).toEqual({ server: serverAt(url), agent_key: 'own' });
  expect(JSON.stringify(readState(folder))).not.toContain(connection.store.endpoint);
  await refresh(connection);
  expect(chooseStoreRoute(config, state)).toEqual(connection.store);
  rmSync(folder, { recursive: true });
});
