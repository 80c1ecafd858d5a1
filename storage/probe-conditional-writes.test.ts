import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { StoreAccess } from '../contract/nodes/nodes.ts';
import { newBucket } from '../test/memory/nodes.ts';
import { openObjectStore } from './object-store.ts';
import { probeConditionalWrites } from './probe-conditional-writes.ts';

const ROUNDS = 20;

test('MinIO keeps both promises, and the probe leaves nothing behind', async () => {
  const access = await newBucket();
  const found = await probeConditionalWrites(access, { rounds: ROUNDS });
  const holds = { promise: 'holds', rounds: ROUNDS, raced: 0, winnersMax: 1, refusal: null };
  expect(found).toMatchObject({ ifNoneMatch: holds, ifMatch: holds });
  const store = openObjectStore(access);
  expect(await store.list('')).toEqual([]);
  store.close();
});

test('a store without write access is an error, not a finding', async () => {
  const access = { ...(await newBucket()), secret_key: 'not the secret' };
  await expect(probeConditionalWrites(access, { rounds: 1 })).rejects.toMatchObject({
    code: 'store_refused',
  });
});

// No available store breaks its promise, so these are simulated: the part of S3 that the probe uses, with one
// fault each.
describe('probing a store with a fault', () => {
  let server: Server | undefined;
  let objects: Map<string, Buffer>;

  afterEach(() => {
    server?.close();
    expect([...objects.keys()]).toEqual([]);
  });

  /** @param judge decides whether a conditional write succeeds, or returns the S3 error to answer with */
  async function play(judge: (request: IncomingMessage, held: Buffer | undefined) => Promise<true | string>) {
    objects = new Map();
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const key = request.url ?? '';
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const held = objects.get(key);
      if (request.method === 'GET') return void response.end(held);
      if (request.method === 'DELETE') {
        objects.delete(key);
        return void response.writeHead(204).end();
      }
      const isConditional = 'if-none-match' in request.headers || 'if-match' in request.headers;
      const verdict = isConditional ? await judge(request, held) : true;
      if (verdict !== true) {
        response.writeHead(412).end(`<Error><Code>${verdict}</Code><Message>no</Message></Error>`);
        return;
      }
      objects.set(key, Buffer.concat(chunks));
      response.writeHead(200, { etag: `"${etagOf(Buffer.concat(chunks))}"` }).end();
    };
    server = createServer((request, response) => void answer(request, response));
    await new Promise<void>((settle) => server?.listen(0, '127.0.0.1', settle));
    const { port } = server.address() as AddressInfo;
    const access: StoreAccess = {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: 'played',
      access_key: 'played',
      secret_key: 'played-secret',
    };
    return await probeConditionalWrites(access, { rounds: 3 });
  }

  const etagOf = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
  const isMet = ({ headers }: IncomingMessage, held: Buffer | undefined): boolean =>
    'if-none-match' in headers
      ? held === undefined
      : held !== undefined && headers['if-match'] === `"${etagOf(held)}"`;

  test('reports races of both conditions when the store checks first and writes later', async () => {
    const found = await play(async (request, held) => {
      const met = isMet(request, held);
      await sleep(20);
      return met || 'PreconditionFailed';
    });
    expect(found.ifNoneMatch).toMatchObject({ promise: 'races', rounds: 3, raced: 3 });
    expect(found.ifMatch).toMatchObject({ promise: 'races', rounds: 3, raced: 3 });
    expect(found.ifMatch.winnersMax).toBeGreaterThan(1);
  });

  test('reports both conditions as ignored when the store ignores the headers', async () => {
    const found = await play(() => Promise.resolve(true));
    expect([found.ifNoneMatch.promise, found.ifMatch.promise]).toEqual(['ignored', 'ignored']);
  });

  test('reports which condition is refused, and the store’s error code, when it supports only one', async () => {
    const found = await play((request, held) =>
      Promise.resolve(
        'if-match' in request.headers ? 'NotImplemented' : isMet(request, held) || 'PreconditionFailed',
      ),
    );
    expect(found.ifNoneMatch.promise).toBe('holds');
    expect(found.ifMatch).toMatchObject({ promise: 'refused', refusal: 'NotImplemented', rounds: 0 });
  });
});
