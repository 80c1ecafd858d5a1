import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SHA256_HEADER, STORE_OBJECTS_PATH } from '../../contract/nodes/agent-store.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { headKey, spaceKey } from '../../memory/format/layout.ts';
import type { ListedObject, ObjectStore } from '../../storage/object-store.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { sendRaw, type RawAnswer } from '../support/raw-request.ts';
import { refusalCode, enrolStoreNode, segmentKeyOf, sha256, type StoreNode } from '../store/node.ts';

const SHARED = canonicalId('shared');
const AT_ONCE = 4;
const IDLE_MS = 700;

let test: TestPlane;
let store: ObjectStore;
let hostile: StoreNode;
let honest: StoreNode;

beforeAll(async () => {
  test = await startTestPlane({ transferLimits: { atOnce: AT_ONCE, idleMs: IDLE_MS } });
  store = test.plane.deps.store;
  await test.call('POST', '/api/membridge/spaces', { body: { name: 'shared', projects: ['*'] } });
  hostile = await enrolStoreNode(test, 'hostile');
  honest = await enrolStoreNode(test, 'honest');
});
afterAll(async () => await test.stop());

const path = (key: string): string => `${STORE_OBJECTS_PATH}${key}`;
/** Lists everything in the bucket, each object with an ETag of its content. */
const everything = async (): Promise<ListedObject[]> => await store.list('');
const send = async (to: string, options: Parameters<typeof sendRaw>[3]): Promise<RawAnswer> =>
  await sendRaw(test.plane.url, 'PUT', to, options);

describe('S25: a node that sends something else than it announced', () => {
  it('is refused a body that is too large before it sends it', async () => {
    const key = headKey(SHARED, 'hostile');
    const headers = { ...hostile.upload(Buffer.alloc(0)), 'Content-Length': String(5 * 2 ** 20) };
    const answer = await send(path(key), { headers, pieces: [Buffer.from('x')], pauseMs: 200 });
    expect([answer.status, refusalCode(answer)]).toEqual([413, 'too_large']);
  });

  it('is refused an endless body, and loses its connection', async () => {
    const piece = randomBytes(65_536);
    let sent = 0;
    const endless = function* (): Generator<Buffer> {
      for (;;) {
        sent += piece.length;
        yield piece;
      }
    };
    const key = headKey(SHARED, 'hostile');
    const { 'Content-Length': _length, ...headers } = hostile.upload(piece);
    const answer = await send(path(key), { headers, pieces: endless(), pauseMs: 1 });
    expect([answer.status, refusalCode(answer)]).toEqual([400, 'bad_request']);
    expect(sent).toBeLessThan(50 * 2 ** 20);
  });

  it('stores nothing under another digest, and does not change the former object', async () => {
    const key = headKey(SHARED, 'hostile');
    const former = Buffer.from('the former head');
    expect((await hostile.put(key, former)).status).toBe(200);
    for (const size of [10, 200_000]) {
      const other = randomBytes(size);
      const answer = await hostile.put(key, other, { [SHA256_HEADER]: sha256(former) });
      expect([answer.status, refusalCode(answer)]).toEqual([400, 'bad_request']);
    }
    expect((await store.get(key))?.equals(former)).toBe(true);
  });

  it('leaves nothing of an upload that is cut', async () => {
    const bytes = randomBytes(4_000_000);
    const key = segmentKeyOf(SHARED, 'hostile', 1, bytes);
    const before = await everything();
    for (const sent of [1, 65_536, 3_999_999]) {
      const { hostname, port } = new URL(test.plane.url);
      const headers = { Host: hostname, ...hostile.upload(bytes) };
      const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      await new Promise<void>((resolve, reject) => {
        const socket = connect(Number(port), hostname, () => {
          socket.write(`PUT ${path(key)} HTTP/1.1\r\n${head.join('')}\r\n`);
          socket.write(bytes.subarray(0, sent), () => setTimeout(() => socket.resetAndDestroy(), 50));
        });
        socket.on('error', reject);
        socket.on('close', () => resolve());
      });
    }
    await sleep(300);
    expect(await everything()).toEqual(before);
    expect((await hostile.put(key, bytes)).status).toBe(200);
  });

  it('is disconnected when its body stalls, and others are not', async () => {
    const bytes = randomBytes(100_000);
    const key = segmentKeyOf(SHARED, 'hostile', 2, bytes);
    const began = performance.now();
    const slow = send(path(key), {
      headers: hostile.upload(bytes),
      pieces: [bytes.subarray(0, 10), bytes.subarray(10)],
      pauseMs: 5 * IDLE_MS,
    });
    const other = randomBytes(1_000);
    expect((await honest.put(segmentKeyOf(SHARED, 'honest', 2, other), other)).status).toBe(200);
    const answer = await slow;
    expect([answer.status, refusalCode(answer)]).toEqual([503, 'store_unavailable']);
    expect(performance.now() - began).toBeLessThan(3 * IDLE_MS);
    expect(await store.get(key)).toBeNull();
  });

  it('is refused another transfer at its limit, and other nodes do not wait', async () => {
    const bytes = randomBytes(100_000);
    const slow = Array.from({ length: AT_ONCE }, (_, at) =>
      send(path(segmentKeyOf(SHARED, 'hostile', 10 + at, bytes)), {
        headers: hostile.upload(bytes),
        pieces: [bytes.subarray(0, 10), bytes.subarray(10)],
        pauseMs: IDLE_MS / 2,
      }),
    );
    await sleep(100);
    const refused = await hostile.put(segmentKeyOf(SHARED, 'hostile', 20, bytes), bytes);
    expect([refused.status, refusalCode(refused)]).toEqual([429, 'too_many_requests']);
    expect((await honest.put(segmentKeyOf(SHARED, 'honest', 3, bytes), bytes)).status).toBe(200);
    expect((await Promise.all(slow)).map(({ status }) => status)).toEqual(slow.map(() => 200));
    expect((await hostile.put(segmentKeyOf(SHARED, 'hostile', 20, bytes), bytes)).status).toBe(200);
  });

  it('is disconnected when it does not read the requested object', async () => {
    const bytes = randomBytes(20_000_000);
    const key = segmentKeyOf(SHARED, 'honest', 4, bytes);
    await store.put(key, bytes);
    const { hostname, port } = new URL(test.plane.url);
    const received = await new Promise<number>((resolve, reject) => {
      let size = 0;
      const socket = connect(Number(port), hostname, () => {
        socket.write(
          `GET ${path(key)} HTTP/1.1\r\nHost: ${hostname}\r\nX-MEMBRIDGE-AGENT: ${hostile.enrolled.agent_key}\r\n\r\n`,
        );
      });
      socket.pause();
      setTimeout(() => {
        socket.on('data', (piece) => (size += piece.length));
        socket.resume();
      }, 3 * IDLE_MS);
      socket.on('error', reject);
      socket.on('close', () => resolve(size));
    });
    expect(received).toBeLessThan(bytes.length);
  });
});

describe('S25: a node that is removed, or gets another key', () => {
  /** Sends a body so slowly that it would take many seconds, and never stalls. */
  const trickle = async (node: StoreNode): Promise<RawAnswer> => {
    const bytes = randomBytes(100);
    const pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
    return await send(path(segmentKeyOf(SHARED, node.id, 1, bytes)), {
      headers: node.upload(bytes),
      pieces,
      pauseMs: 100,
    });
  };

  it('is disconnected immediately, even during an upload', async () => {
    const node = await enrolStoreNode(test, 'leaves');
    const sending = trickle(node);
    await sleep(300);
    expect((await test.call('DELETE', '/api/runtime/workers/leaves')).status).toBe(200);
    expect((await node.ask('GET', spaceKey(SHARED))).status).toBe(401);
    const answer = await sending;
    expect([answer.status, refusalCode(answer)]).toEqual([401, 'unauthorized']);
    expect((await everything()).filter(({ key }) => key.includes('/leaves/'))).toEqual([]);
  });

  it('loses the rights of its former key when it enrols again', async () => {
    const node = await enrolStoreNode(test, 'renewed');
    const sending = trickle(node);
    await sleep(300);
    const again = await enrolNode(test, 'renewed');
    expect(again.agent_key).not.toBe(node.enrolled.agent_key);
    expect((await node.ask('GET', spaceKey(SHARED))).status).toBe(401);
    expect((await sending).status).toBe(401);
  });
});
