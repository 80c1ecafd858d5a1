import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openCallNode, type CallNode } from '../test/gateway/call-node.ts';
import {
  ADMIN_KEY,
  enrolNode,
  heartbeat,
  keepOnline,
  startTestPlane,
  type Answer,
  type TestPlane,
} from '../test/support/control-plane.ts';

/** A mark in arguments and answers: no log and no row may hold it. */
const MARK = 'words-that-nobody-may-log';
const COVERED = { spaces: [{ cid: '0123456789abcdef', project: MARK, uncovered: null }] };

let test: TestPlane;
let key: string;
let node: CallNode;
let stopReports: () => void;
const logged: string[] = [];

beforeAll(async () => {
  const logger = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) });
  test = await startTestPlane({ logger });
  key = (await enrolNode(test, 'ada')).agent_key;
  stopReports = keepOnline(test, 'ada', key);
});
afterAll(async () => {
  stopReports();
  await test.stop();
});
beforeEach(async () => {
  node = await openCallNode(test.plane.url, key);
});
afterEach(() => node.socket.terminate());

const ask = async (name: string, body: object = {}, id = 'ada'): Promise<Answer> =>
  await test.call('POST', `/api/runtime/workers/${id}/calls/${name}`, { body });

/** Answers the next call with a text. */
async function answerNext(text: string): Promise<void> {
  const { id } = await node.nextCall();
  node.send({ type: 'answer', id, text });
}

describe('a call to a node', () => {
  it('carries the arguments there, and the pieces of the answer back', async () => {
    const answer = ask('blame', { input: { kind: 'prompt', id: 7 }, deadline_seconds: 30 });
    const { id, input, deadline_ms: deadline } = await node.nextCall('blame');
    expect([input, deadline]).toEqual([{ kind: 'prompt', id: 7 }, 30_000]);
    node.send({ type: 'piece', id, text: '{"memo' });
    node.send({ type: 'answer', id, text: 'ries":[]}' });
    expect(await answer).toMatchObject({ status: 200, body: { memories: [] } });
  });

  it('leaves fields out that only a newer agent knows', async () => {
    const answer = ask('coverage');
    await answerNext(JSON.stringify({ ...COVERED, later: true }));
    expect((await answer).body).toEqual(COVERED);
  });

  it('is answered while another one waits', async () => {
    const first = ask('coverage');
    const { id } = await node.nextCall('coverage');
    const second = ask('audit');
    await answerNext('{"rows":1,"changed":0,"deleted":0}');
    expect((await second).body).toEqual({ rows: 1, changed: 0, deleted: 0 });
    node.send({ type: 'answer', id, text: JSON.stringify(COVERED) });
    expect((await first).status).toBe(200);
  });

  it('fails with call_timeout after its deadline, and is cancelled on the node', async () => {
    const answer = ask('coverage', { deadline_seconds: 1 });
    const { id } = await node.nextCall('coverage');
    expect(await answer).toMatchObject({ status: 504, body: { code: 'call_timeout' } });
    await expect.poll(() => node.frames).toContainEqual({ type: 'cancel', id });
    // The rest of a late answer is no reason to end the socket.
    node.send({ type: 'answer', id, text: JSON.stringify(COVERED) });
    const next = ask('coverage');
    await answerNext(JSON.stringify(COVERED));
    expect((await next).status).toBe(200);
  });

  it('is cancelled on the node when its caller disconnects', async () => {
    const caller = new AbortController();
    const url = `${test.plane.url}/api/runtime/workers/ada/calls/coverage`;
    const headers = { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY };
    const gone = fetch(url, { method: 'POST', headers, signal: caller.signal }).catch(() => 'gone');
    const { id } = await node.nextCall('coverage');
    caller.abort();
    expect(await gone).toBe('gone');
    await expect.poll(() => node.frames).toContainEqual({ type: 'cancel', id });
  });

  it('fails at once when the connection of the node breaks', async () => {
    const answer = ask('coverage');
    await node.nextCall('coverage');
    node.socket.terminate();
    expect(await answer).toMatchObject({ status: 503, body: { code: 'node_unreachable' } });
  });

  it('fails at once when the node is removed, and its socket closes', async () => {
    const { agent_key: itsKey } = await enrolNode(test, 'gone');
    const gone = await openCallNode(test.plane.url, itsKey);
    const answer = ask('coverage', {}, 'gone');
    await gone.nextCall('coverage');
    expect((await test.call('DELETE', '/api/runtime/workers/gone')).status).toBe(200);
    expect(await answer).toMatchObject({ status: 503, body: { code: 'node_unreachable' } });
    await expect.poll(() => gone.closed).toBe(4_401);
    expect(await ask('coverage', {}, 'gone')).toMatchObject({ status: 404 });
    await expect(openCallNode(test.plane.url, itsKey)).rejects.toThrow(/401/);
  });

  it('uses no socket of a former key', async () => {
    const former = (await enrolNode(test, 'rekeyed')).agent_key;
    const old = await openCallNode(test.plane.url, former);
    const { agent_key: itsKey } = await enrolNode(test, 'rekeyed');
    await expect.poll(() => old.closed).toBe(4_401);
    const renewed = await openCallNode(test.plane.url, itsKey);
    const answer = ask('coverage', {}, 'rekeyed');
    const { id } = await renewed.nextCall('coverage');
    renewed.send({ type: 'answer', id, text: JSON.stringify(COVERED) });
    expect((await answer).status).toBe(200);
    expect(old.frames).toEqual([]);
    renewed.socket.terminate();
  });

  it('is refused with 429 while eight others wait for the node', async () => {
    const waiting = Array.from({ length: 8 }, () => ask('coverage'));
    const ids: number[] = [];
    for (const _ of waiting) ids.push((await node.nextCall('coverage')).id);
    expect(await ask('coverage')).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    for (const id of ids) node.send({ type: 'answer', id, text: JSON.stringify(COVERED) });
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(waiting.map(() => 200));
  });

  it('goes to the newest socket of the node', async () => {
    const newer = await openCallNode(test.plane.url, key);
    const answer = ask('coverage');
    const { id } = await newer.nextCall('coverage');
    newer.send({ type: 'answer', id, text: JSON.stringify(COVERED) });
    expect((await answer).status).toBe(200);
    newer.socket.terminate();
    expect(node.frames).toEqual([]);
  });
});

describe('a call that the control plane refuses', () => {
  it('names an offline node, an old agent, one without a connection, and an unknown node', async () => {
    await enrolNode(test, 'silent', false);
    expect(await ask('doctor', {}, 'silent')).toMatchObject({ status: 503, body: { code: 'node_offline' } });
    const { agent_key: itsKey } = await enrolNode(test, 'old');
    const outdated = await ask('doctor', {}, 'old');
    expect(outdated).toMatchObject({ status: 409, body: { code: 'agent_outdated' } });
    expect(outdated.body['detail']).toMatch(/Upgrade Membridge on that machine/);
    const report = heartbeat('old');
    await test.call('POST', '/api/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': itsKey },
      body: { ...report, facts: { ...report.facts, answers_calls: true } },
    });
    expect(await ask('doctor', {}, 'old')).toMatchObject({ status: 503, body: { code: 'node_unreachable' } });
    expect(await ask('doctor', {}, 'nobody')).toMatchObject({ status: 404 });
  });

  it('names an unknown call, and one that only the machine makes', async () => {
    const unknown = await ask('format-disk');
    expect(unknown).toMatchObject({ status: 404 });
    expect(unknown.body['detail']).toMatch(/no call "format-disk".*doctor/);
    for (const name of ['revoke', 'restore', 'deletes']) {
      const refused = await ask(name);
      expect([name, refused.status]).toEqual([name, 403]);
      expect(refused.body['detail']).toContain(`membridge ${name}`);
    }
    expect(node.frames).toEqual([]);
  });

  it('names wrong arguments and a wrong deadline', async () => {
    const wrong = await ask('blame', { input: { kind: 'poem', id: 0 } });
    expect(wrong.status).toBe(400);
    expect(wrong.body['detail']).toMatch(/input\.kind.*input\.id/);
    expect(await ask('doctor', { input: { quick: true } })).toMatchObject({ status: 400 });
    expect(await ask('doctor', { deadline_seconds: 301 })).toMatchObject({ status: 400 });
    expect(node.frames).toEqual([]);
  });

  it('needs the key of a person, sent from the page’s own address', async () => {
    const path = '/api/runtime/workers/ada/calls/doctor';
    for (const headers of [
      {},
      { 'X-MEMBRIDGE-AGENT': key },
      { 'X-Runtime-API-Key': 'wrong-key-of-somebody' },
    ]) {
      expect(await test.call('POST', path, { headers, body: {} })).toMatchObject({ status: 401 });
    }
    expect(node.frames).toEqual([]);
  });
});

describe('what remains of a call', () => {
  it('is one entry of the audit log: who asked which node for which call', async () => {
    const entries = async (): Promise<object[]> => {
      const { body } = await test.call('GET', '/api/runtime/audit?action=node_asked&limit=1000');
      return body as unknown as object[];
    };
    const before = (await entries()).length;
    const answer = ask('blame', { input: { kind: 'observation', id: 4_242_424 } });
    await answerNext('{"memories":[]}');
    await answer;
    const [newest, ...rest] = await entries();
    expect(rest).toHaveLength(before);
    expect(newest).toMatchObject({
      entity_type: 'worker',
      entity_id: 'ada',
      actor: 'api',
      detail: 'asked ada for blame',
    });
    expect(JSON.stringify(newest)).not.toContain('4242424');
  });

  it('is nothing in the logs', async () => {
    const answer = ask('coverage');
    await answerNext(JSON.stringify(COVERED));
    expect((await answer).body).toEqual(COVERED);
    // A log line may follow the answer.
    await sleep(100);
    expect(logged.some((line) => line.includes('/calls/coverage'))).toBe(true);
    expect(logged.filter((line) => line.includes(MARK) || line.includes('4242424'))).toEqual([]);
  });
});
