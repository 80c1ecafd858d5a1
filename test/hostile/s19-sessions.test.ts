import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { taskCalls } from '../tasks/calls.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../support/control-plane.ts';

let api: TestPlane;
beforeAll(async () => void (api = await startTestPlane()));
afterAll(async () => await api.stop());

/** Signs a browser in. @returns the headers that its page sends */
async function signIn(userAgent: string): Promise<{ Cookie: string; Origin: string }> {
  const headers = { 'User-Agent': userAgent };
  const answer = await api.call('POST', '/api/session', { headers, body: { key: RUNTIME_KEY } });
  const Cookie = (answer.headers.get('Set-Cookie') ?? '').split(';')[0] ?? '';
  return { Cookie, Origin: api.plane.url };
}
type Row = { id: string; user_agent: string; address: string; is_this: boolean };
const list = async (headers: Record<string, string>): Promise<Row[]> =>
  (await api.call('GET', '/api/sessions', { headers })).body as unknown as Row[];
const mayRead = async (headers: Record<string, string>): Promise<boolean> =>
  (await api.call('GET', '/api/runtime/workers', { headers })).status === 200;

describe('S19: a session', () => {
  it('is listed with its browser and address, and ends from another browser', async () => {
    const [mine, stolen] = [await signIn('mine'), await signIn('stolen')];
    const rows = await list(mine);
    expect(rows.find((row) => row.is_this)?.user_agent).toBe('mine');
    const other = rows.find((row) => row.user_agent === 'stolen');
    expect(other?.address).toMatch(/127\.0\.0\.1$/);
    const end = await api.call('DELETE', `/api/sessions/${other?.id ?? ''}`, { headers: mine });
    expect(end.body).toEqual({ ended: 1 });
    expect(await mayRead(stolen)).toBe(false);
    expect(await mayRead(mine)).toBe(true);
    expect((await api.call('DELETE', `/api/sessions/${other?.id ?? ''}`, { headers: mine })).status).toBe(
      404,
    );
  });

  it('ends together with all others, except for the browser that asks', async () => {
    const browsers = [await signIn('one'), await signIn('two'), await signIn('three')];
    const [mine] = browsers as [{ Cookie: string; Origin: string }];
    await api.call('DELETE', '/api/sessions', { headers: mine });
    expect(await Promise.all(browsers.map(mayRead))).toEqual([true, false, false]);
    expect(await list(mine)).toHaveLength(1);
  });

  it('cannot be ended by the page of another site, nor by an id that is too short to name one', async () => {
    const { Cookie } = await signIn('mine');
    const [{ id } = { id: '' }] = await list({ Cookie });
    const evil = { Cookie, Origin: 'http://evil.test' };
    expect((await api.call('DELETE', `/api/sessions/${id}`, { headers: evil })).status).toBe(403);
    expect((await api.call('DELETE', '/api/sessions', { headers: evil })).status).toBe(403);
    expect((await api.call('DELETE', `/api/sessions/${id.slice(0, 1)}`)).status).toBe(400);
    expect(await mayRead({ Cookie })).toBe(true);
  });

  it('ends its stream of a task’s output when it ends', async () => {
    const task = await taskCalls(api).make();
    const browser = await signIn('watching');
    const stream = await fetch(`${api.plane.url}/api/runtime/llm-tasks/${task}/output/stream`, {
      headers: browser,
      signal: AbortSignal.timeout(8_000),
    });
    expect(stream.status).toBe(200);
    await api.call('DELETE', '/api/session', { headers: browser });
    // Resolves only when the server ends the stream; otherwise the time-out above rejects it.
    const text = await stream.text();
    expect(text).not.toContain('event: end');
  }, 15_000);
});
