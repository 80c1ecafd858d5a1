import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AGENT_CALLS_PATH } from '../../contract/nodes/agent-calls.ts';
import { openCallNode, type CallNode } from '../gateway/call-node.ts';
import { enrolNode, startTestPlane, type Answer, type TestPlane } from '../support/control-plane.ts';

/** A mark in what the node says: no log may hold it. */
const MARK = 'words-that-nobody-may-log';
const COVERED = { spaces: [{ cid: '0123456789abcdef', project: MARK, uncovered: null }] };

let test: TestPlane;
let key: string;
let node: CallNode;
const logged: string[] = [];

beforeAll(async () => {
  const logger = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) });
  test = await startTestPlane({ logger });
  key = (await enrolNode(test, 'ada')).agent_key;
});
afterAll(async () => await test.stop());
beforeEach(async () => {
  node = await openCallNode(test.plane.url, key);
});
afterEach(() => node.socket.terminate());

const ask = async (name: string): Promise<Answer> =>
  await test.call('POST', `/api/runtime/workers/ada/calls/${name}`, { body: {} });

/** Answers the next call with a text. */
async function answerNext(text: string): Promise<void> {
  const { id } = await node.nextCall();
  node.send({ type: 'answer', id, text });
}

describe('S27: a node that people ask', () => {
  it('causes call_failed by an answer that is no JSON, of another form, or nested deeply', async () => {
    for (const text of ['{', '{"spaces":1}', '[]', `{"later":${'['.repeat(50_000)}${']'.repeat(50_000)}}`]) {
      const answer = ask('coverage');
      await answerNext(text);
      expect([text.slice(0, 20), (await answer).body['code']]).toEqual([text.slice(0, 20), 'call_failed']);
    }
  });

  it('causes call_failed by more than 8 MiB, and can be asked again', async () => {
    const answer = ask('coverage');
    const { id } = await node.nextCall('coverage');
    for (let piece = 0; piece < 9; piece += 1) {
      node.send({ type: 'piece', id, text: 'x'.repeat(1_000_000) });
    }
    expect(await answer).toMatchObject({ status: 502, body: { code: 'call_failed' } });
    await expect.poll(() => node.frames).toContainEqual({ type: 'cancel', id });
    const next = ask('coverage');
    await answerNext(JSON.stringify(COVERED));
    expect((await next).status).toBe(200);
  });

  it('cannot sign a browser out, and its words reach only the caller', async () => {
    for (const [code, expected] of [
      ['unauthorized', 502],
      ['memory_locked', 409],
      ['a code of the future', 502],
    ] as const) {
      const answer = ask('coverage');
      const { id } = await node.nextCall('coverage');
      node.send({ type: 'problem', id, code, message: MARK });
      const { status, body } = await answer;
      expect([code, status]).toEqual([code, expected]);
      expect(body['detail']).toContain(MARK);
    }
    expect(logged.some((line) => line.includes('a node reported it'))).toBe(true);
    expect(logged.filter((line) => line.includes(MARK))).toEqual([]);
  });

  it.each<[string, object | string]>([
    ['an answer to a call that was never made', { type: 'answer', id: 999, text: '{}' }],
    ['a frame of an unknown type', { type: 'call', id: 1, name: 'doctor', input: {}, deadline_ms: 1 }],
    ['a text that is no JSON', 'hello'],
    ['an id that is no number', { type: 'answer', id: '1', text: '{}' }],
  ])('is disconnected after %s', async (_what, frame) => {
    const answer = ask('coverage');
    await node.nextCall('coverage');
    if (typeof frame === 'string') node.socket.send(frame);
    else node.send(frame);
    expect(await answer).toMatchObject({ status: 503, body: { code: 'node_unreachable' } });
    await expect.poll(() => node.closed).toBe(4_400);
  });

  it('is disconnected after a binary frame, and after one of more than 1 MiB', async () => {
    node.socket.send(Buffer.from('{}'));
    await expect.poll(() => node.closed).toBe(4_400);
    const other = await openCallNode(test.plane.url, key);
    other.socket.send('x'.repeat(1_048_577));
    await expect.poll(() => other.closed).toBe(1_009);
  });

  it('is disconnected after a second answer to the same call', async () => {
    const answer = ask('coverage');
    const { id } = await node.nextCall('coverage');
    node.send({ type: 'answer', id, text: JSON.stringify(COVERED) });
    expect((await answer).status).toBe(200);
    node.send({ type: 'answer', id, text: '{}' });
    await expect.poll(() => node.closed).toBe(4_400);
  });

  it('is refused a ninth socket', async () => {
    const { agent_key: itsKey } = await enrolNode(test, 'greedy');
    const open = await Promise.all(Array.from({ length: 8 }, () => openCallNode(test.plane.url, itsKey)));
    await expect(openCallNode(test.plane.url, itsKey)).rejects.toThrow(/429/);
    for (const { socket } of open) socket.terminate();
    await expect
      .poll(async () => await openCallNode(test.plane.url, itsKey).then(() => 'open', String))
      .toBe('open');
  });

  it('is refused without a WebSocket', async () => {
    const headers = { 'X-MEMBRIDGE-AGENT': key };
    const { status, body } = await test.call('GET', AGENT_CALLS_PATH, { headers });
    expect([status, body['detail']]).toEqual([400, expect.stringMatching(/removes the header Upgrade/)]);
  });

  it('cannot ask another node, and reads nothing of what people ask others', async () => {
    const { agent_key: itsKey } = await enrolNode(test, 'bob');
    const bob = await openCallNode(test.plane.url, itsKey);
    bob.send({ type: 'answer', id: 1, text: '{}' });
    await expect.poll(() => bob.closed).toBe(4_400);
    const headers = { 'X-MEMBRIDGE-AGENT': itsKey };
    const answer = await test.call('POST', '/api/runtime/workers/ada/calls/doctor', { headers, body: {} });
    expect(answer.status).toBe(401);
    expect([bob.frames, node.frames]).toEqual([[], []]);
  });
});
