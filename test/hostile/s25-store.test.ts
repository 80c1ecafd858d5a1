import { connect } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SHA256_HEADER, STORE_OBJECTS_PATH } from '../../contract/nodes/agent-store.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { leaseKey } from '../../contract/memory/leadership.ts';
import {
  ackKey,
  certificateKey,
  headKey,
  manifestKey,
  memoryPrefix,
  snapshotPartKey,
  spaceKey,
} from '../../memory/format/layout.ts';
import { legacyKeys } from '../../memory/legacy/objects.ts';
import { blobKey } from '../../storage/blobs.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { heartbeat, startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { sendRaw, type RawAnswer } from '../support/raw-request.ts';
import { refusalCode, enrolStoreNode, segmentKeyOf, sha256, type StoreNode } from '../store/node.ts';

const SHARED = canonicalId('shared');
const PRIVATE = canonicalId('private');
/** A mark in place of memories: no log may hold it. */
const MARK = 'a-memory-that-nobody-may-log';

let test: TestPlane;
let store: ObjectStore;
let hostile: StoreNode;
const logged: string[] = [];

beforeAll(async () => {
  const logger = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) });
  test = await startTestPlane({ logger });
  store = test.plane.deps.store;
  for (const name of ['shared', 'private']) {
    await test.call('POST', '/api/membridge/spaces', { body: { name, projects: ['*'] } });
  }
  hostile = await enrolStoreNode(test, 'hostile');
  const { facts, ...rest } = heartbeat('hostile');
  await test.call('POST', '/api/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': hostile.enrolled.agent_key },
    body: { ...rest, facts: { ...facts, spaces: ['shared'] } },
  });
});
afterAll(async () => await test.stop());

/** Lists everything in the bucket, with each content's digest. */
const everything = async () => await store.list('');
const send = async (
  path: string,
  options: Parameters<typeof sendRaw>[3] & { method?: string } = {},
): Promise<RawAnswer> => await sendRaw(test.plane.url, options.method ?? 'PUT', path, options);
const path = (key: string): string => `${STORE_OBJECTS_PATH}${key}`;

describe('S25: a node that asks the store for what is not its own', () => {
  const hash = '0123456789abcdef';
  const foreign = (cid: string, node: string): string[] => [
    headKey(cid, node),
    certificateKey(cid, node),
    ackKey(cid, node),
    segmentKeyOf(cid, node, 1, Buffer.from(MARK)),
    snapshotPartKey(cid, { node, id: `0123456789ab-${hash}` }, 1),
    manifestKey(cid, { node, id: `0123456789ab-${hash}` }),
  ];
  const ofNobody = (cid: string): string[] => [
    spaceKey(cid),
    leaseKey(cid),
    ...Object.values(legacyKeys(cid)),
  ];

  it('changes no object of another node, space or control plane', async () => {
    const keys = [
      ...foreign(SHARED, 'honest'),
      ...foreign(PRIVATE, 'honest'),
      ...foreign(PRIVATE, 'hostile'),
      ...ofNobody(SHARED),
      ...ofNobody(PRIVATE),
      blobKey(sha256(Buffer.from(MARK))),
    ];
    for (const key of keys) if (!key.endsWith('space.json')) await store.put(key, Buffer.from('as it was'));
    const before = await everything();
    for (const key of keys) {
      const put = await hostile.put(key, Buffer.from(MARK));
      const removed = await hostile.ask('DELETE', key);
      expect([key, put.status, removed.status]).toEqual([key, 403, 403]);
    }
    expect(await everything()).toEqual(before);
  });

  it('reads no object of an excluded space, no mirror and no blob', async () => {
    const keys = [
      ...foreign(PRIVATE, 'honest'),
      ...ofNobody(PRIVATE),
      ...Object.values(legacyKeys(SHARED)),
      blobKey(sha256(Buffer.from(MARK))),
    ];
    for (const key of keys) {
      const read = await hostile.ask('GET', key);
      expect([key, read.status, refusalCode(read)]).toEqual([key, 403, 'forbidden']);
      expect((await hostile.ask('HEAD', key)).status).toBe(403);
    }
    expect((await hostile.list(memoryPrefix(PRIVATE))).status).toBe(403);
    expect((await hostile.list('')).status).toBe(400);
  });

  it('cannot smuggle a path', async () => {
    const own = headKey(SHARED, 'hostile');
    const victim = headKey(SHARED, 'honest');
    const before = await everything();
    const bytes = Buffer.from(MARK);
    const headers = hostile.upload(bytes);
    for (const key of [
      `${memoryPrefix(SHARED)}heads/hostile/../honest`,
      `${memoryPrefix(SHARED)}heads/hostile/%2e%2e/honest`,
      `${memoryPrefix(SHARED)}heads/hostile%2f..%2fhonest`,
      `${memoryPrefix(SHARED)}heads%2Fhonest`,
      `${memoryPrefix(SHARED)}heads%252Fhonest`,
      `${memoryPrefix(SHARED)}heads//hostile`,
      `${memoryPrefix(SHARED)}heads/./hostile`,
      `${own}%00`,
      `${own}/`,
      `${own};x`,
      `${own}\\..\\honest`,
      `/${own}`,
      `./${own}`,
      `../objects/${own}`,
      victim.replace('heads', '%68eads'),
    ]) {
      const answer = await send(path(key), { headers, pieces: [bytes] });
      expect([key, answer.status]).toEqual([key, 400]);
    }
    // A query and a fragment are no part of a key, so this is the node's own head.
    expect((await send(`${path(own)}?x=/../honest`, { headers, pieces: [bytes] })).status).toBe(200);
    await hostile.put(own, bytes);
    const after = (await everything()).filter(({ key }) => key !== own);
    expect(after).toEqual(before);
  });

  it('cannot smuggle a second request behind a contradictory length', async () => {
    const key = headKey(SHARED, 'hostile');
    const lines = [
      `PUT ${path(key)} HTTP/1.1`,
      'Host: 127.0.0.1',
      `X-MEMBRIDGE-AGENT: ${hostile.enrolled.agent_key}`,
      `${SHA256_HEADER}: ${sha256(Buffer.from('x'))}`,
      'Content-Length: 1',
      'Transfer-Encoding: chunked',
      '',
      '1\r\nx\r\n0\r\n\r\n',
    ];
    const { hostname, port } = new URL(test.plane.url);
    const answered = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(Number(port), hostname, () => socket.write(lines.join('\r\n')));
      socket.on('data', (piece) => (text += piece.toString()));
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
      setTimeout(() => socket.end(), 1_000);
    });
    expect(answered).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('S25: the log of the control plane', () => {
  it('holds no body and no key of a node', () => {
    expect(logged.length).toBeGreaterThan(20);
    for (const line of logged) {
      expect(line).not.toContain(MARK);
      expect(line).not.toContain(hostile.enrolled.agent_key);
    }
  });
});
