import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServerEvent } from '../../contract/events.ts';
import { readEventRange, readEvents } from '../../db/queries/read-events.ts';
import {
  RUNTIME_KEY,
  enrolNode,
  heartbeat,
  startTestPlane,
  type TestPlane,
} from '../../test/support/control-plane.ts';

const NODES = ['node-a', 'node-b', 'node-c'];

let api: TestPlane;
const keys = new Map<string, string>();
beforeAll(async () => {
  api = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  for (const node of NODES) keys.set(node, (await enrolNode(api, node)).agent_key);
});
afterAll(async () => await api.stop());

async function report(node: string, body: unknown = heartbeat(node)): Promise<void> {
  const headers = { 'X-MEMBRIDGE-AGENT': keys.get(node) ?? '' };
  expect((await api.call('POST', '/api/agent/heartbeat', { headers, body })).status).toBe(200);
}

/** Yields the blocks of a stream as they arrive. */
async function* blocks(): AsyncGenerator<string> {
  const abort = new AbortController();
  const response = await fetch(`${api.plane.url}/api/events`, {
    headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
    signal: abort.signal,
  });
  let text = '';
  try {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString('utf8');
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      yield* parts;
    }
  } finally {
    abort.abort();
  }
}
const eventOf = (block: string): ServerEvent | null => {
  const data = /^data: (.*)$/m.exec(block)?.[1];
  return data === undefined ? null : (JSON.parse(data) as ServerEvent);
};
/** Returns the number of the newest event in the table: the hub's own position follows it a moment later. */
const lastEvent = async (): Promise<number> => (await readEventRange(api.plane.deps.db)).last ?? 0;
const told = async (after: number): Promise<ServerEvent[]> =>
  (await readEvents(api.plane.deps.db, { after, limit: 100 })).map(({ event }) => event);

test('stores no event for unchanged heartbeats, and sends browsers all of them together', async () => {
  const before = await lastEvent();
  const stream = blocks();
  // The position with which a stream begins.
  while (!/^id: \d+$/m.test(String((await stream.next()).value)));
  for (let round = 0; round < 5; round += 1) for (const node of NODES) await report(node);
  const seen = new Set<string>();
  let messages = 0;
  for await (const block of stream) {
    const event = eventOf(block);
    if (event?.type !== 'heartbeats') continue;
    messages += 1;
    // The client's position does not change.
    expect(block).not.toMatch(/^id:/m);
    for (const { id } of event.nodes) seen.add(id);
    if (NODES.every((node) => seen.has(node))) break;
  }
  expect(messages).toBeLessThan(5 * NODES.length);
  expect(await told(before)).toEqual([]);
});

test('sends browsers the whole node when it reports something new', async () => {
  const before = await lastEvent();
  const usual = heartbeat('node-a');
  await report('node-a', { ...usual, facts: { ...usual.facts, agent_version: '2.0.0' } });
  await report('node-a', { ...usual, facts: { ...usual.facts, agent_version: '2.0.0' } });
  await report('node-a', { ...usual, memory: { ...usual.memory, state: 'locked' } });
  expect(await told(before)).toMatchObject([
    { type: 'node', node: { id: 'node-a', agent_version: '2.0.0' } },
    { type: 'node', node: { id: 'node-a', memory: { state: 'locked' } } },
  ]);
});

test('sends browsers the whole node when it returns', async () => {
  const before = await lastEvent();
  await api.plane.deps.db.pool.query(
    `update nodes set online = false, last_heartbeat = last_heartbeat - 60000 where id = 'node-b'`,
  );
  await report('node-b');
  expect(await told(before)).toMatchObject([{ type: 'node', node: { id: 'node-b', status: 'online' } }]);
});

test('accepts the heartbeat of a newer agent without its new fields, and names the protocol in the answer', async () => {
  const beat = heartbeat('node-a');
  const capabilities = { ...beat.facts.capabilities, gpus: 2 };
  const body = { ...beat, mood: 'fine', facts: { ...beat.facts, added: { deep: true }, capabilities } };
  const headers = { 'X-MEMBRIDGE-AGENT': keys.get('node-a') ?? '', 'X-MEMBRIDGE-PROTOCOL': '99' };
  const answer = await api.call('POST', '/api/agent/heartbeat', { headers, body });
  expect([answer.status, answer.headers.get('X-MEMBRIDGE-PROTOCOL')]).toEqual([200, '1']);
  const { body: nodes } = await api.call('GET', '/api/runtime/workers');
  expect(JSON.stringify(nodes)).not.toMatch(/gpus|mood|added/);
});

test('refuses an agent whose protocol is too old, and says what to do', async () => {
  const headers = { 'X-MEMBRIDGE-AGENT': keys.get('node-a') ?? '', 'X-MEMBRIDGE-PROTOCOL': '0' };
  const answer = await api.call('POST', '/api/agent/heartbeat', { headers, body: heartbeat('node-a') });
  expect([answer.status, answer.body['code']]).toEqual([426, 'protocol_unsupported']);
  expect(answer.body['detail']).toContain('Upgrade Membridge on this machine');
});

test('still refuses a field that a person misspelled', async () => {
  const answer = await api.call('POST', '/api/runtime/enrolment-tokens', { body: { node: 'x' } });
  expect(answer.status).toBe(400);
});
