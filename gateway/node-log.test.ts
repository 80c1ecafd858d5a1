import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LogLine } from '../contract/nodes/node-log.ts';
import { openCallNode, type CallNode } from '../test/gateway/call-node.ts';
import { RUNTIME_KEY, enrolNode, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';

let test: TestPlane;
let key: string;
let node: CallNode;
let reader: AbortController;

beforeAll(async () => {
  test = await startTestPlane();
  key = (await enrolNode(test, 'ada')).agent_key;
});
afterAll(async () => await test.stop());
beforeEach(async () => {
  node = await openCallNode(test.plane.url, key);
  reader = new AbortController();
});
afterEach(() => {
  reader.abort();
  node.socket.terminate();
});

const read = async (query = ''): Promise<Response> =>
  await fetch(`${test.plane.url}/api/runtime/workers/ada/calls/log${query}`, {
    headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
    signal: reader.signal,
  });
const line = (message: string): LogLine => ({ at: 1, level: 'info', message, fields: '' });

describe("the stream of a node's log", () => {
  it('has an event for each line, and the event end after the last', async () => {
    const response = read('?lines=2');
    const { id, input } = await node.nextCall('log');
    expect(input).toEqual({ lines: 2, follow: false });
    node.send({ type: 'piece', id, text: JSON.stringify([line('first')]) });
    node.send({ type: 'piece', id, text: JSON.stringify([line('second')]) });
    node.send({ type: 'answer', id, text: 'null' });
    const answer = await response;
    expect(answer.headers.get('Content-Type')).toMatch(/^text\/event-stream/);
    const text = await answer.text();
    expect(text).toMatch(/data: .*first.*\n\ndata: .*second.*\n\nevent: end\ndata: \{\}\n\n$/);
  });

  it('ends on the node when its reader disconnects', async () => {
    const response = read('?follow=1');
    const { id, input, deadline_ms: deadline } = await node.nextCall('log');
    expect([input, deadline]).toEqual([{ lines: 200, follow: true }, 3_600_000]);
    node.send({ type: 'piece', id, text: '[]' });
    expect((await response).status).toBe(200);
    reader.abort();
    await expect.poll(() => node.frames).toContainEqual({ type: 'cancel', id });
  });

  it('ends with the event problem when the connection of the node breaks', async () => {
    const response = read('?follow=1');
    const { id } = await node.nextCall('log');
    node.send({ type: 'piece', id, text: JSON.stringify([line('last words')]) });
    const answer = await response;
    node.socket.terminate();
    expect(await answer.text()).toMatch(/last words.*event: problem\ndata: .*"node_unreachable"/s);
  });

  it('is a plain problem when the node sends none, or something else than lines', async () => {
    const refused = read();
    const { id } = await node.nextCall('log');
    node.send({ type: 'problem', id, code: 'too_many_requests', message: 'it is busy' });
    expect((await refused).status).toBe(429);
    for (const text of ['{', '[{"at":1}]', '"words"']) {
      const broken = read();
      const { id: next } = await node.nextCall('log');
      node.send({ type: 'piece', id: next, text });
      expect([text, (await broken).status]).toEqual([text, 502]);
      await expect.poll(() => node.frames).toContainEqual({ type: 'cancel', id: next });
    }
  });

  it('ends for a reader that does not read, and the node learns of it', async () => {
    const response = read('?follow=1');
    const { id } = await node.nextCall('log');
    const text = JSON.stringify(Array.from({ length: 30 }, () => line('x'.repeat(2_000))));
    node.send({ type: 'piece', id, text });
    expect((await response).status).toBe(200);
    await expect
      .poll(() => {
        for (let times = 0; times < 20; times += 1) node.send({ type: 'piece', id, text });
        return node.frames;
      })
      .toContainEqual({ type: 'cancel', id });
  });

  it('needs the key of a person, and refuses more lines than an agent keeps', async () => {
    const path = '/api/runtime/workers/ada/calls/log';
    expect((await test.call('GET', path, { headers: { 'X-MEMBRIDGE-AGENT': key } })).status).toBe(401);
    expect((await test.call('GET', `${path}?lines=1001`)).status).toBe(400);
    expect(node.frames).toEqual([]);
  });
});
