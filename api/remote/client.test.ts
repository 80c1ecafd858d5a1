import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createRemoteClient, type RemoteCall } from './client.ts';
import { MAX_BODY_BYTES } from './read-body.ts';

type Answer = (res: ServerResponse, req: IncomingMessage) => void;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Starts a server that gives the answers in turn, the last one forever, and records the requests. */
async function serve(...answers: Answer[]): Promise<{ url: string; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  const server = createServer((req, res) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(req);
    answer?.(res, req);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const json =
  (status: number, body: unknown = {}, headers: Record<string, string> = {}): Answer =>
  (res) => {
    res.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
const hang: Answer = () => undefined;
const reset: Answer = (res) => void res.destroy();

/** Rules without randomness in the delays, and with short times. */
const quick = { random: () => 0, attemptMs: 400, totalMs: 3_000, threshold: 5, cooldownMs: 300 };
const GET: RemoteCall = { method: 'GET', segments: ['projects'] };
const POST: RemoteCall = { method: 'POST', segments: ['projects'], body: { name: 'a' } };
const KEY = 'the-admin-key';

test('sends the key, the request id, the query and the body, and returns the answer', async () => {
  const { url, asked } = await serve(json(201, { name: 'a' }));
  const client = createRemoteClient(quick);
  const answer = await client.call(
    { url, adminKey: KEY },
    { ...POST, segments: ['projects', 'a b?'], query: { limit: '5' }, requestId: 'abc' },
  );
  expect(answer).toMatchObject({ status: 201, body: { name: 'a' } });
  expect(asked[0]).toMatchObject({ method: 'POST', url: '/projects/a%20b%3F?limit=5' });
  expect(asked[0]?.headers).toMatchObject({
    'x-membridge-admin': KEY,
    'x-request-id': 'abc',
    'content-type': 'application/json',
    via: '1.1 membridge-runtime',
  });
  expect(client.state()).toMatchObject({ connected: true, consecutiveFailures: 0, circuit: 'closed' });
});

test('repeats a GET after a broken connection and after 503', async () => {
  const { url, asked } = await serve(reset, json(503), json(200, []));
  const began = Date.now();
  const answer = await createRemoteClient(quick).call({ url, adminKey: KEY }, GET);
  expect(answer).toMatchObject({ status: 200, body: [] });
  expect(asked).toHaveLength(3);
  expect(Date.now() - began).toBeGreaterThanOrEqual(1_490);
});

test.each(['POST', 'PUT', 'PATCH', 'DELETE'] as const)(
  'sends a %s only once, however it ends',
  async (method) => {
    const { url, asked } = await serve(reset);
    const call = createRemoteClient(quick).call({ url, adminKey: KEY }, { ...POST, method });
    await expect(call).rejects.toMatchObject({ code: 'control_plane_unreachable' });
    expect(asked).toHaveLength(1);
  },
);

test('waits for Retry-After when there is time, and otherwise returns it', async () => {
  const slow = await serve(json(429, {}, { 'Retry-After': '1' }), json(200));
  const began = Date.now();
  expect((await createRemoteClient(quick).call({ url: slow.url, adminKey: KEY }, GET)).status).toBe(200);
  expect(Date.now() - began).toBeGreaterThanOrEqual(990);
  const never = await serve(json(429, {}, { 'Retry-After': '600' }));
  const answer = await createRemoteClient(quick).call({ url: never.url, adminKey: KEY }, GET);
  expect(answer).toMatchObject({ status: 429, retryAfter: '600' });
  expect(never.asked).toHaveLength(1);
});

test('returns final statuses immediately', async () => {
  for (const status of [400, 404, 409, 422, 500]) {
    const { url, asked } = await serve(json(status, { detail: 'no' }));
    const answer = await createRemoteClient(quick).call({ url, adminKey: KEY }, GET);
    expect(answer).toMatchObject({ status, body: { detail: 'no' } });
    expect(asked).toHaveLength(1);
  }
});

test('keeps the deadlines when a server is silent or stops in the middle', async () => {
  const half: Answer = (res) => void res.writeHead(200).write('[');
  for (const answer of [hang, half]) {
    const { url } = await serve(answer);
    const began = Date.now();
    const call = createRemoteClient({ ...quick, totalMs: 1_000 }).call({ url, adminKey: KEY }, GET);
    await expect(call).rejects.toThrow(/no answer within 0\.\d s/);
    expect(Date.now() - began).toBeLessThan(1_400);
  }
});

test('follows no redirect, so that the key reaches no other host', async () => {
  const other = await serve(json(200));
  const { url } = await serve(json(307, {}, { Location: other.url }));
  const call = createRemoteClient(quick).call({ url, adminKey: KEY }, POST);
  await expect(call).rejects.toMatchObject({ code: 'control_plane_refused' });
  await expect(call).rejects.toThrow(/redirect/);
  expect(other.asked).toHaveLength(0);
});

test('stops reading an answer that is too large, with or without a length', async () => {
  const endless: Answer = (res) => {
    const send = (): void => {
      while (!res.destroyed && res.write(' '.repeat(65_536)));
    };
    res.on('drain', send).writeHead(200);
    send();
  };
  for (const answer of [endless, json(200, 'x'.repeat(MAX_BODY_BYTES))]) {
    const { url } = await serve(answer);
    const call = createRemoteClient({ ...quick, attemptMs: 10_000 }).call({ url, adminKey: KEY }, GET);
    await expect(call).rejects.toThrow(/larger than 8 MB/);
  }
});

test('refuses an answer that is not JSON, and shows nothing of it', async () => {
  const { url } = await serve((res) => void res.end('<html>inner secrets</html>'));
  const call = createRemoteClient(quick).call({ url, adminKey: KEY }, GET);
  await expect(call).rejects.toThrow(/is not JSON/);
  await expect(call).rejects.not.toThrow(/secrets/);
});

test('reports a refused key as such, not as a missing sign-in', async () => {
  const { url } = await serve(json(401, { detail: 'Unauthorized' }));
  const client = createRemoteClient(quick);
  const call = client.call({ url, adminKey: KEY }, GET);
  await expect(call).rejects.toMatchObject({ code: 'control_plane_refused' });
  await expect(call).rejects.toThrow(/does not take the admin key/);
  await expect(call).rejects.not.toThrow(new RegExp(KEY));
  expect(client.state()).toMatchObject({ connected: false, circuit: 'closed' });
  await expect(client.call({ url, adminKey: null }, GET)).rejects.toThrow(/none is set/);
});

test('opens the circuit, spares the server, probes with one call, and closes it', async () => {
  const { url, asked } = await serve(...Array.from({ length: 5 }, () => reset), json(200, []));
  const client = createRemoteClient(quick);
  const target = { url, adminKey: KEY };
  for (let n = 0; n < 5; n += 1) await expect(client.call(target, POST)).rejects.toThrow(/does not answer/);
  expect(client.state()).toMatchObject({ circuit: 'open', consecutiveFailures: 5, connected: false });
  await expect(client.call(target, GET)).rejects.toThrow(/asked again in 1 s/);
  expect(asked).toHaveLength(5);
  await expect
    .poll(
      () =>
        client.call(target, GET).then(
          ({ status }) => status,
          () => null,
        ),
      { timeout: 2_000 },
    )
    .toBe(200);
  expect(asked).toHaveLength(6);
  expect(client.state()).toMatchObject({ circuit: 'closed', consecutiveFailures: 0, connected: true });
});

test('tries a manual call once although the circuit is open, and closes it', async () => {
  const { url, asked } = await serve(reset, json(200));
  const client = createRemoteClient({ ...quick, threshold: 1, cooldownMs: 60_000 });
  const target = { url, adminKey: KEY };
  await expect(client.call(target, GET)).rejects.toThrow(/does not answer/);
  expect(client.state().circuit).toBe('open');
  expect((await client.call(target, { ...GET, byHand: true })).status).toBe(200);
  expect(asked).toHaveLength(2);
  expect(client.state().circuit).toBe('closed');
});

test('ends the call when the caller disconnects, and does not count it', async () => {
  const { url, asked } = await serve(hang);
  const client = createRemoteClient({ ...quick, threshold: 1, attemptMs: 5_000 });
  const gone = new AbortController();
  const call = client.call({ url, adminKey: KEY }, { ...GET, signal: gone.signal });
  const ended = expect(call).rejects.toThrow('gone');
  await expect.poll(() => asked.length).toBe(1);
  const closed = new Promise((resolve) => void asked[0]?.socket.once('close', resolve));
  gone.abort(new Error('gone'));
  await ended;
  await closed;
  expect(client.state()).toMatchObject({ circuit: 'closed', consecutiveFailures: 0 });
});

test('forgets the circuit for another address or another key', async () => {
  const down = await serve(reset);
  const client = createRemoteClient({ ...quick, threshold: 1, cooldownMs: 60_000 });
  await expect(client.call({ url: down.url, adminKey: KEY }, POST)).rejects.toThrow(/does not answer/);
  const up = await serve(json(200));
  expect((await client.call({ url: up.url, adminKey: KEY }, GET)).status).toBe(200);
});
