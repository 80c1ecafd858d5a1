import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../contract/memory/canonical-id.ts';
import { PROTOCOL_HEADER } from '../contract/nodes/protocol.ts';
import { headKey, headPrefix } from '../memory/format/layout.ts';
import { startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { openCutLine, type CutLine } from '../test/support/cut-line.ts';
import { enrolStoreNode, segmentKeyOf, type StoreNode } from '../test/store/node.ts';
import { openControlPlaneStore } from './control-plane-store.ts';
import { openObjectStore, type ObjectStore } from './object-store.ts';
import { serverAt } from '../transport/server.ts';

const CID = canonicalId('shared');

describe('the store behind a control plane', () => {
  let test: TestPlane;
  let line: CutLine;
  let node: StoreNode;
  let store: ObjectStore;
  let direct: ObjectStore;
  beforeAll(async () => {
    test = await startTestPlane();
    line = await openCutLine(new URL(test.plane.url).host);
    await test.call('POST', '/api/membridge/spaces', { body: { name: 'shared', projects: ['*'] } });
    node = await enrolStoreNode(test, 'me');
    const access = { server: serverAt(`http://${line.address}`), agent_key: node.enrolled.agent_key };
    store = openControlPlaneStore(access, { deadlineMs: 2_000 });
    direct = openObjectStore(test.plane.deps.config.store);
  });
  afterAll(async () => {
    store.close();
    direct.close();
    line.stop();
    await test.stop();
  });

  it('returns stored objects, lists them as the store does, and counts its traffic', async () => {
    const bytes = randomBytes(500_000);
    const key = segmentKeyOf(CID, 'me', 1, bytes);
    store.takeTraffic();
    expect(await store.get(key)).toBeNull();
    await store.put(key, bytes);
    expect((await store.get(key))?.equals(bytes)).toBe(true);
    const prefix = key.slice(0, key.lastIndexOf('/') + 1);
    expect(await store.list(prefix)).toEqual(await direct.list(prefix));
    expect(await store.list(prefix, key)).toEqual([]);
    await store.remove(key);
    await store.remove(key);
    expect(store.takeTraffic()).toEqual({ requests: 7, bytesUp: 500_000, bytesDown: 500_000 });
    expect(await direct.get(key)).toBeNull();
  });

  it('joins the pages of a long list', async () => {
    const keys = Array.from(
      { length: 1_100 },
      (_, at) => `${headPrefix(CID)}n${String(at).padStart(4, '0')}`,
    );
    for (let at = 0; at < keys.length; at += 55) {
      await Promise.all(keys.slice(at, at + 55).map((key) => direct.put(key, Buffer.from(key))));
    }
    expect((await store.list(headPrefix(CID))).map(({ key }) => key)).toEqual(keys);
  });

  it('reports store_refused with the reason when the node lacks permission', async () => {
    await expect(store.put(headKey(CID, 'other'), Buffer.from('x'))).rejects.toMatchObject({
      code: 'store_refused',
      message: expect.stringMatching(/refused to put .*belongs to other, not to me/) as string,
    });
    const large = randomBytes(5 * 2 ** 20);
    await expect(store.put(headKey(CID, 'me'), large)).rejects.toMatchObject({ code: 'store_refused' });
    const stranger = openControlPlaneStore({ server: serverAt(test.plane.url), agent_key: 'no key' });
    await expect(stranger.get(headKey(CID, 'me'))).rejects.toMatchObject({ code: 'store_refused' });
    stranger.close();
  });

  it('reports store_unavailable while the control plane is away or silent, and works again afterwards', async () => {
    line.cut();
    await expect(store.get(headKey(CID, 'me'))).rejects.toMatchObject({ code: 'store_unavailable' });
    line.mend();
    await store.put(headKey(CID, 'me'), Buffer.from('head'));
    line.silence();
    const began = performance.now();
    await expect(store.get(headKey(CID, 'me'))).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(performance.now() - began).toBeLessThan(4_000);
    line.mend();
    expect((await store.get(headKey(CID, 'me')))?.toString()).toBe('head');
  });

  it('keeps the former object when the connection breaks during an upload', async () => {
    const key = headKey(CID, 'me');
    await store.put(key, Buffer.from('former'));
    const sending = store.put(key, randomBytes(4 * 2 ** 20));
    setTimeout(() => line.cut(), 2);
    await sending.catch((error: unknown) => expect(error).toMatchObject({ code: 'store_unavailable' }));
    line.mend();
    const held = await direct.get(key);
    expect([6, 4 * 2 ** 20]).toContain(held?.length);
  });
});

describe('a server that is not a control plane', () => {
  let server: Server | undefined;
  let store: ObjectStore;
  afterEach(() => {
    store.close();
    server?.close();
  });
  const play = async (answer: RequestListener): Promise<void> => {
    server = createServer(answer);
    await new Promise<void>((settle) => server?.listen(0, '127.0.0.1', settle));
    const { port } = server.address() as AddressInfo;
    store = openControlPlaneStore({ server: serverAt(`http://127.0.0.1:${port}`), agent_key: 'k' });
  };
  const unavailable = { code: 'store_unavailable' };

  it.each([
    ['the page of a network', 200, {}],
    ['a server without these paths', 404, {}],
    ['a control plane that does not serve these paths', 404, { [PROTOCOL_HEADER]: '1' }],
    ['a proxy whose server is away', 502, {}],
    ['a proxy that takes no large bodies', 413, {}],
  ])('is never taken for an object or its absence: %s', async (_what, status, headers) => {
    await play((_request, response) => void response.writeHead(status, headers).end('<html>'));
    const key = headKey(CID, 'me');
    const isRefusal = Object.keys(headers).length > 0;
    const expected = isRefusal ? { code: 'store_refused' } : unavailable;
    await expect(store.get(key)).rejects.toMatchObject(expected);
    await expect(store.list(headPrefix(CID))).rejects.toMatchObject(expected);
    await expect(store.put(key, Buffer.from('x'))).rejects.toMatchObject(expected);
    await expect(store.remove(key)).rejects.toMatchObject(expected);
  });

  it('is not trusted when it truncates an object or stores another one', async () => {
    await play((request, response) => {
      const headers = { [PROTOCOL_HEADER]: '1' };
      if (request.method === 'PUT') {
        request.resume();
        response.writeHead(200, headers).end('{"etag":"0"}');
      } else {
        response.writeHead(200, { ...headers, 'Content-Length': '10' });
        response.write('four');
        setTimeout(() => response.destroy(), 20);
      }
    });
    await expect(store.get(headKey(CID, 'me'))).rejects.toMatchObject(unavailable);
    await expect(store.put(headKey(CID, 'me'), Buffer.from('x'))).rejects.toMatchObject(unavailable);
  });
});

describe('a proxy that closes kept connections', () => {
  it('fails no request, and repeats none that had a connection of its own', async () => {
    const requests = new Map<Socket, number>();
    let received = 0;
    const server = createServer(({ socket }, response) => {
      received += 1;
      const nth = (requests.get(socket) ?? 0) + 1;
      requests.set(socket, nth);
      if (nth > 1) socket.destroy();
      else response.writeHead(200, { [PROTOCOL_HEADER]: '1' }).end('held');
    });
    await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle));
    const { port } = server.address() as AddressInfo;
    const store = openControlPlaneStore({ server: serverAt(`http://127.0.0.1:${port}`), agent_key: 'k' });
    try {
      const key = headKey(CID, 'me');
      // Leaves three kept connections behind.
      await Promise.all([store.get(key), store.get(key), store.get(key)]);
      expect((await store.get(key))?.toString()).toBe('held');
      expect(received).toBe(7);
    } finally {
      store.close();
      server.close();
    }
  });
});
