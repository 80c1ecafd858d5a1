import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { SHA256_HEADER, LEADERSHIP_EPOCH_HEADER } from '../../contract/nodes/agent-store.ts';
import {
  certificateKey,
  headKey,
  headPrefix,
  segmentPrefix,
  segmentsPrefix,
  spaceKey,
} from '../../memory/format/layout.ts';
import { legacyKeys } from '../../memory/legacy/objects.ts';
import { heartbeat, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { refusalCode, enrolStoreNode, segmentKeyOf, type StoreNode } from '../../test/store/node.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

const CID = canonicalId('shared');
let api: TestPlane;
let store: ObjectStore;
let me: StoreNode;
let other: StoreNode;

beforeAll(async () => {
  api = await startTestPlane();
  store = api.plane.deps.store;
  await api.call('POST', '/api/membridge/spaces', { body: { name: 'shared', projects: ['*'] } });
  me = await enrolStoreNode(api, 'me');
  other = await enrolStoreNode(api, 'other');
});
afterAll(async () => await api.stop());

test('stores a segment as it was sent, shows it to the space, and deletes it only for its node', async () => {
  const bytes = randomBytes(3_000_000);
  const key = segmentKeyOf(CID, 'me', 1, bytes);
  const stored = await me.put(key, bytes);
  expect([stored.status, refusalCode(stored)]).toEqual([200, 'undefined']);
  expect((await store.get(key))?.equals(bytes)).toBe(true);

  const read = await other.ask('GET', key);
  expect(read.status).toBe(200);
  expect(read.bytes.equals(bytes)).toBe(true);
  expect(read.headers['x-membridge-protocol']).toBe('1');
  const { etag } = JSON.parse(stored.bytes.toString()) as { etag: string };
  expect(read.headers.etag).toBe(`"${etag}"`);
  const head = await other.ask('HEAD', key);
  expect(head.headers).toMatchObject({ etag: `"${etag}"`, 'content-length': '3000000' });
  expect(head.bytes).toHaveLength(0);

  expect((await other.ask('DELETE', key)).status).toBe(403);
  expect((await me.ask('DELETE', key)).status).toBe(204);
  const gone = await other.ask('GET', key);
  expect([gone.status, refusalCode(gone)]).toEqual([404, 'not_found']);
  expect((await other.ask('HEAD', key)).status).toBe(404);
});

test('lists a prefix in key order, from the requested start', async () => {
  const keys: string[] = [];
  for (const seq of [1, 2, 3]) {
    const bytes = randomBytes(10 * seq);
    const key = segmentKeyOf(CID, 'other', seq, bytes);
    expect((await other.put(key, bytes)).status).toBe(200);
    keys.push(key);
  }
  const { status, page } = await me.list(segmentsPrefix(CID));
  expect(status).toBe(200);
  expect(page).toEqual({ objects: await store.list(segmentsPrefix(CID)), more: false });
  expect(page.objects.map(({ key, size }) => [key, size])).toEqual(
    keys.map((key, at) => [key, 10 * (at + 1)]),
  );
  const rest = await me.list(segmentPrefix(CID, 'other'), keys[0]);
  expect(rest.page.objects.map(({ key }) => key)).toEqual(keys.slice(1));
  expect((await me.list('projects/')).status).toBe(400);
  expect((await me.list(headPrefix(canonicalId('nowhere')))).status).toBe(403);
});

test('returns a long list in pages without a gap', async () => {
  const cid = canonicalId('long');
  await api.call('POST', '/api/membridge/spaces', { body: { name: 'long' } });
  const keys = Array.from({ length: 1_005 }, (_, at) => `${headPrefix(cid)}n${String(at).padStart(4, '0')}`);
  for (let at = 0; at < keys.length; at += 67) {
    await Promise.all(keys.slice(at, at + 67).map((key) => store.put(key, Buffer.from(key))));
  }
  const first = await me.list(headPrefix(cid));
  expect([first.page.objects.length, first.page.more]).toEqual([1_000, true]);
  const rest = await me.list(headPrefix(cid), first.page.objects.at(-1)?.key);
  expect(rest.page.more).toBe(false);
  expect([...first.page.objects, ...rest.page.objects].map(({ key }) => key)).toEqual(keys);
});

test('refuses an upload without size or digest, and one whose digest differs from its key', async () => {
  const bytes = randomBytes(100);
  const key = segmentKeyOf(CID, 'me', 2, bytes);
  const refused = await me.put(key, bytes, { [SHA256_HEADER]: 'none' });
  expect([refused.status, refused.bytes.toString()]).toEqual([400, expect.stringContaining(SHA256_HEADER)]);
  const otherBytes = randomBytes(100);
  expect((await me.put(key, otherBytes)).status).toBe(400);
  expect(await store.get(key)).toBeNull();
});

test('stores keys of a node only with its own certificate inside', async () => {
  const key = certificateKey(CID, 'me');
  const keys = (...certificates: unknown[]): Buffer =>
    Buffer.from(JSON.stringify({ format: 'membridge-keys/1', certificates }));
  const own = me.enrolled.certificate;
  for (const wrong of [
    Buffer.from('{}'),
    keys(),
    keys(own, other.enrolled.certificate),
    keys({ ...other.enrolled.certificate, node: 'me' }),
    keys({ ...own, signature: other.enrolled.certificate.signature }),
  ]) {
    const refused = await me.put(key, wrong);
    expect([refused.status, refusalCode(refused)], wrong.toString()).toEqual([400, 'bad_request']);
  }
  expect(await store.get(key)).toBeNull();
  expect((await me.put(key, keys(own))).status).toBe(200);
  expect((await store.get(key))?.equals(keys(own))).toBe(true);
});

test('lets only the primary write a mirror, in its present epoch', async () => {
  const { database, lock } = legacyKeys(CID);
  const bytes = randomBytes(1_000);
  const inEpoch = (epoch: number) => ({ [LEADERSHIP_EPOCH_HEADER]: String(epoch) });
  expect((await me.put(database, bytes, inEpoch(1))).status).toBe(403);
  const selected = await api.call('POST', `/api/membridge/projects/${CID}/leadership/select`, {
    body: { primary_node_id: 'me' },
  });
  expect(selected.status, JSON.stringify(selected.body)).toBe(200);
  const epoch = Number(selected.body['epoch']);
  expect((await me.put(database, bytes, inEpoch(epoch))).status).toBe(200);
  expect((await store.get(database))?.equals(bytes)).toBe(true);
  expect((await me.put(database, bytes, inEpoch(epoch - 1))).status).toBe(403);
  expect((await me.put(database, bytes)).status).toBe(403);
  expect((await other.put(database, bytes, inEpoch(epoch))).status).toBe(403);
  expect((await other.ask('GET', database)).status).toBe(403);
  expect((await me.put(lock, Buffer.from('{}'), inEpoch(epoch))).status).toBe(200);
});

test('refuses a node in the spaces that its owner excluded', async () => {
  const { facts, ...rest } = heartbeat('other');
  await api.call('POST', '/api/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': other.enrolled.agent_key },
    body: { ...rest, facts: { ...facts, spaces: ['something else'] } },
  });
  expect((await other.ask('GET', spaceKey(CID))).status).toBe(403);
  expect((await me.ask('GET', spaceKey(CID))).status).toBe(200);
});

test('requires a node’s key, and accepts no other', async () => {
  const key = headKey(CID, 'me');
  const path = `/api/agent/store/objects/${key}`;
  for (const headers of [{}, { 'X-Runtime-API-Key': 'runtime-key-for-tests' }]) {
    expect((await api.call('GET', path, { headers })).status).toBe(401);
  }
});

test('counts requests and bytes of each node', async () => {
  const bytes = randomBytes(1_234);
  await me.put(segmentKeyOf(CID, 'me', 9, bytes), bytes);
  const { body } = await api.call('GET', '/metrics');
  const text = String(body['text']);
  expect(text).toMatch(/membridge_agent_store_bytes_total\{node="me",direction="up"\} \d{4,}/);
  expect(text).toMatch(
    /membridge_agent_store_requests_total\{node="other",method="DELETE",outcome="forbidden"\} 1/,
  );
});
