import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { MembridgeError } from '../../contract/errors.ts';
import { MAX_CALL_ANSWER_BYTES, type AnsweringFrame } from '../../contract/nodes/agent-calls.ts';
import { CallAnswerer, type CallContext } from './answer-calls.ts';

/** What each call of these tests does. A "wait" works until the test releases it, as work that cannot be cancelled does. */
const releases: (() => void)[] = [];
const signals: AbortSignal[] = [];
async function run(name: string, input: unknown, { signal }: CallContext): Promise<unknown> {
  signals.push(signal);
  if (name === 'echo') return await Promise.resolve(input);
  if (name === 'fail') throw new MembridgeError('memory_locked', 'the database is locked');
  if (name === 'huge') return 'x'.repeat(MAX_CALL_ANSWER_BYTES);
  if (name === 'large') return 'é'.repeat(1_000_000);
  return await new Promise<null>((resolve) => releases.push(() => resolve(null)));
}

let server: WebSocketServer;
let asker: WebSocket;
let frames: AnsweringFrame[];

beforeAll(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
});
afterAll(() => server.close());
beforeEach(async () => {
  frames = [];
  signals.length = 0;
  const answerer = new CallAnswerer(run);
  server.once('connection', (socket) => answerer.serve(socket));
  asker = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  asker.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString('utf8')) as AnsweringFrame));
  await once(asker, 'open');
});
afterEach(() => {
  for (const release of releases.splice(0)) release();
  asker.terminate();
});

const send = (frame: object): void => asker.send(JSON.stringify(frame));
const call = (id: number, name: string, input: unknown = {}, deadline = 60_000): void =>
  send({ type: 'call', id, name, input, deadline_ms: deadline });
const ends = (): AnsweringFrame[] => frames.filter(({ type }) => type !== 'piece');

describe('an agent that answers calls', () => {
  it('answers each with its id, and ignores frames of a newer control plane', async () => {
    send({ type: 'greet', id: 1 });
    asker.send('no JSON');
    asker.send(Buffer.from('{}'));
    call(1, 'echo', { rose: 1 });
    call(2, 'fail');
    await expect.poll(() => frames.length).toBe(2);
    expect(frames).toContainEqual({ type: 'answer', id: 1, text: '{"rose":1}' });
    const message = 'the database is locked';
    expect(frames).toContainEqual({ type: 'problem', id: 2, code: 'memory_locked', message });
  });

  it('cuts a large answer into frames that fit', async () => {
    call(1, 'large');
    await expect.poll(() => ends().length).toBe(1);
    expect(frames.length).toBeGreaterThan(5);
    const texts = frames.map((frame) => ('text' in frame ? frame.text : ''));
    expect(JSON.parse(texts.join(''))).toBe('é'.repeat(1_000_000));
  });

  it('refuses to send more than 8 MiB', async () => {
    call(1, 'huge');
    await expect.poll(() => frames).toMatchObject([{ type: 'problem', id: 1, code: 'call_failed' }]);
  });

  it('works on four calls at once, and is busy for a fifth until one has ended', async () => {
    for (const id of [1, 2, 3, 4]) call(id, 'wait');
    await expect.poll(() => releases.length).toBe(4);
    call(5, 'echo');
    await expect.poll(() => frames).toMatchObject([{ type: 'problem', id: 5, code: 'too_many_requests' }]);
    releases.shift()?.();
    await expect.poll(() => ends().length).toBe(2);
    call(6, 'echo', 6);
    await expect.poll(() => frames).toContainEqual({ type: 'answer', id: 6, text: '6' });
  });

  it('ends a cancelled call without an answer, and counts it while its work lasts', async () => {
    for (const id of [1, 2, 3, 4]) call(id, 'wait');
    await expect.poll(() => releases.length).toBe(4);
    for (const id of [1, 2, 3, 4, 99]) send({ type: 'cancel', id });
    await expect.poll(() => signals.every(({ aborted }) => aborted)).toBe(true);
    call(5, 'echo');
    await expect.poll(() => frames).toMatchObject([{ type: 'problem', id: 5, code: 'too_many_requests' }]);
    for (const release of releases.splice(0)) release();
    const answered = (): boolean => frames.some(({ type }) => type === 'answer');
    await expect
      .poll(() => {
        if (!answered()) call(6, 'echo', 6);
        return answered();
      })
      .toBe(true);
    expect(frames.filter(({ id }) => id < 5)).toEqual([]);
  });

  it('cancels a call after its deadline, and every call when the socket closes', async () => {
    call(1, 'wait', {}, 1);
    await expect.poll(() => signals.map(({ aborted }) => aborted)).toEqual([true]);
    call(2, 'wait');
    await expect.poll(() => signals.length).toBe(2);
    asker.terminate();
    await expect.poll(() => signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it('sends the whole answer to a reader that was slow', async () => {
    asker.pause();
    call(1, 'large');
    call(2, 'echo', 2);
    await expect.poll(() => signals.length).toBe(2);
    asker.resume();
    await expect.poll(() => ends().length).toBe(2);
  });
});
