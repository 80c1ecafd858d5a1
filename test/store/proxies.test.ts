import { createHash, randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { headPrefix } from '../../memory/format/layout.ts';
import { openControlPlaneStore } from '../../storage/control-plane-store.ts';
import { freePort } from '../../stack/ports.ts';
import { startTestPlane } from '../support/control-plane.ts';
import { siteUrl, startCaddy, startNginx } from '../support/proxies.ts';
import { enrolStoreNode, segmentKeyOf } from './node.ts';
import { serverAt } from '../../transport/server.ts';

const CID = canonicalId('shared');
const closers: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

describe.each([
  ['nginx', startNginx, '', false],
  ['nginx', startNginx, '/membridge', false],
  ['nginx', startNginx, '/membridge', true],
  ['caddy', startCaddy, '/membridge', false],
] as const)('an agent behind %s', (_name, startProxy, path, takesPathOff) => {
  it(`reads, writes and lists objects below "${path}"${takesPathOff ? ', which the proxy takes off' : ''}`, async () => {
    const port = await freePort();
    const env = { MEMBRIDGE_PUBLIC_URL: `http://localhost:${port}${path}` };
    const test = await startTestPlane({ env });
    closers.push(() => test.stop());
    const target = new URL(test.plane.url).host;
    const site = { port, https: false, path, takesPathOff, target };
    const proxy = await startProxy([site]);
    closers.push(() => proxy.stop());
    await test.call('POST', '/api/membridge/spaces', { body: { name: 'shared', projects: ['*'] } });
    const node = await enrolStoreNode(test, 'me');
    const store = openControlPlaneStore({
      server: serverAt(siteUrl(site)),
      agent_key: node.enrolled.agent_key,
    });
    closers.push(() => store.close());

    const bytes = randomBytes(20_000_000);
    const key = segmentKeyOf(CID, 'me', 1, bytes);
    expect(await store.get(key)).toBeNull();
    await store.put(key, bytes);
    expect((await store.get(key))?.equals(bytes)).toBe(true);
    const etag = createHash('md5').update(bytes).digest('hex');
    expect(await store.list(key)).toMatchObject([{ key, size: bytes.length, etag }]);
    const foreign = segmentKeyOf(CID, 'other', 1, bytes);
    await expect(store.put(foreign, bytes)).rejects.toMatchObject({
      code: 'store_refused',
      message: expect.stringContaining('belongs to other') as string,
    });
    expect(await store.list(headPrefix(CID))).toEqual([]);
  });
});
