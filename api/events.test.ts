import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServerEvent } from '../contract/events.ts';
import { startPostgres, type Postgres } from '../stack/postgres.ts';
import { removeStackData } from '../stack/stack.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';

let postgres: Postgres;
let api: TestPlane;
const dataDir = mkdtempSync(join(tmpdir(), 'membridge-events-'));
beforeAll(async () => {
  // This test needs its own server, because it restarts it.
  postgres = await startPostgres({ dataDir, port: 0, password: 'events', log: () => undefined });
  api = await startTestPlane({ databaseUrl: postgres.databaseUrl });
});
afterAll(async () => {
  await api.stop();
  await postgres.stop();
  removeStackData(dataDir);
});

interface Told {
  readonly id: number;
  readonly event: ServerEvent | null;
}

/** Reads a stream until the caller has enough; an id without data counts as an item without an event. */
async function* listen(headers: Record<string, string> = {}): AsyncGenerator<Told> {
  const abort = new AbortController();
  const response = await fetch(`${api.plane.url}/api/events`, {
    headers: { 'X-Runtime-API-Key': RUNTIME_KEY, ...headers },
    signal: abort.signal,
  });
  expect(response.headers.get('Content-Type')).toMatch(/^text\/event-stream/);
  expect(response.headers.get('X-Accel-Buffering')).toBe('no');
  let text = '';
  try {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString('utf8');
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const id = /^id: (\d+)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (id === undefined) continue;
        yield { id: Number(id), event: data === undefined ? null : (JSON.parse(data) as ServerEvent) };
      }
    }
  } finally {
    abort.abort();
  }
}

async function next(stream: AsyncGenerator<Told>): Promise<Told> {
  const { value, done } = await stream.next();
  if (done === true) throw new Error('the stream ended');
  return value;
}

const addSpace = (name: string) => api.call('POST', '/api/membridge/spaces', { body: { name } });

test('streams changes, and sends a returning client what it missed, once and in order', async () => {
  const stream = listen();
  const start = await next(stream);
  expect(start.event).toBeNull();
  await addSpace('first');
  const first = await next(stream);
  expect(first.event).toMatchObject({ type: 'space', space: { name: 'first' } });
  await stream.return(undefined);

  await addSpace('second');
  await addSpace('third');
  const resumed = listen({ 'Last-Event-ID': String(first.id) });
  const missed = [await next(resumed), await next(resumed)];
  await addSpace('fourth');
  const names = [...missed, await next(resumed)].map(
    ({ event }) => event?.type === 'space' && event.space.name,
  );
  expect(names).toEqual(['second', 'third', 'fourth']);
  await resumed.return(undefined);
});

test('tells a client to reload when its position was pruned or belongs to another database', async () => {
  await api.plane.deps.db.pool.query('delete from events where seq <= 2');
  for (const lost of ['1', '999999']) {
    const stream = listen({ 'Last-Event-ID': lost });
    expect((await next(stream)).event).toEqual({ type: 'reset' });
    await addSpace(`after-${lost}`);
    expect((await next(stream)).event).toMatchObject({ type: 'space' });
    await stream.return(undefined);
  }
});

test('serves requests after PostgreSQL was away, and an open stream misses nothing', async () => {
  const stream = listen();
  await next(stream);
  const told = next(stream);
  await postgres.kill();
  const away = await api.call('GET', '/api/membridge/spaces');
  expect(away).toMatchObject({ status: 503, body: { code: 'database_unavailable' } });
  const health = await api.call('GET', '/api/runtime/health', { headers: {} });
  expect(health).toMatchObject({ status: 200, body: { status: 'degraded' } });
  await postgres.restart();
  expect((await addSpace('after-restart')).status).toBe(201);
  expect((await told).event).toMatchObject({ type: 'space', space: { name: 'after-restart' } });
  await stream.return(undefined);
});
