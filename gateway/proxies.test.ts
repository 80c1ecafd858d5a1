import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../stack/ports.ts';
import type { Service } from '../stack/service.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { siteUrl, startCaddy, startNginx, type Site } from '../test/support/proxies.ts';
import { openCallNode } from '../test/gateway/call-node.ts';
import { openTunnelClient } from '../test/gateway/tunnel-client.ts';

let test: TestPlane;
let key: string;
const services: Service[] = [];
const urls = new Map<string, string>();

beforeAll(async () => {
  const env = { MEMBRIDGE_PUBLIC_URL: 'http://fleet.example.org/membridge', MEMBRIDGE_TRUST_PROXY: '1' };
  test = await startTestPlane({ env });
  key = (await enrolNode(test, 'outside')).agent_key;
  const site = async (path: string, takesPathOff = false): Promise<Site> => ({
    port: await freePort(),
    https: false,
    path,
    takesPathOff,
    target: new URL(test.plane.url).host,
  });
  const nginx = [await site(''), await site('/membridge'), await site('/membridge', true)];
  const caddy = [await site(''), await site('/membridge'), await site('/membridge', true)];
  services.push(await startNginx(nginx), await startCaddy(caddy));
  urls.set('no proxy', `${test.plane.url}/membridge`);
  for (const [at, which] of ['at the root', 'in a sub-path', 'that takes the sub-path off'].entries()) {
    urls.set(`nginx ${which}`, siteUrl(nginx[at] as Site));
    urls.set(`Caddy ${which}`, siteUrl(caddy[at] as Site));
  }
});
afterAll(async () => {
  for (const service of services) await service.stop();
  await test.stop();
});

const PROXIES = [
  'no proxy',
  'nginx at the root',
  'nginx in a sub-path',
  'nginx that takes the sub-path off',
  'Caddy at the root',
  'Caddy in a sub-path',
  'Caddy that takes the sub-path off',
];

it.each(PROXIES)('carries a tunnel through %s, with the lines of docs/install.md', async (proxy) => {
  const client = await openTunnelClient(urls.get(proxy) ?? '', key);
  expect(await client.call('GetSystemInfo', new Uint8Array())).toMatchObject({ status: 0 });
  client.close();
});

it.each(PROXIES)('carries a call to a node through %s', async (proxy) => {
  const node = await openCallNode(urls.get(proxy) ?? '', key);
  const answer = test.call('POST', '/api/runtime/workers/outside/calls/coverage', { body: {} });
  const { id } = await node.nextCall('coverage');
  node.send({ type: 'answer', id, text: '{"spaces":[]}' });
  expect(await answer).toMatchObject({ status: 200, body: { spaces: [] } });
  node.socket.terminate();
});
