import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrolNode, heartbeat, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

let test: TestPlane;
let cid: string;
let headers: Record<string, string>;

beforeAll(async () => {
  test = await startTestPlane();
  const { body } = await test.call('POST', '/api/membridge/spaces', {
    body: { name: 'notes', projects: ['*'] },
  });
  cid = String(body['canonical_id']);
  const { agent_key: key } = await enrolNode(test, 'a');
  headers = { 'X-MEMBRIDGE-AGENT': key };
});
afterAll(() => test.stop());

/** Reports which spaces the owner of the node allows. */
async function report(spaces: string[]): Promise<void> {
  const own = heartbeat('a');
  await post('/api/agent/heartbeat', { ...own, facts: { ...own.facts, spaces } });
}

const post = async (path: string, body: unknown) => await test.call('POST', path, { headers, body });

describe('a request of an agent to a workflow', () => {
  it('is refused with 403 for a space that the node takes no part in', async () => {
    const sync = { job_id: 'job_0123456789abcdef', action: 'sync' };
    expect(await post('/api/agent/spaces/nothing/sync', sync)).toMatchObject({
      status: 403,
      body: { code: 'forbidden', detail: 'Node a does not take part in the space nothing.' },
    });
    await report(['others']);
    expect((await post(`/api/agent/spaces/${cid}/noticed`, {})).status).toBe(403);
    await report(['notes']);
    expect(await post(`/api/agent/spaces/${cid}/noticed`, {})).toMatchObject({
      status: 200,
      body: { ok: true },
    });
  });

  it('is answered without a result while the sync runs', async () => {
    const sync = { job_id: 'job_0123456789abcdef', action: 'sync' };
    expect(await post(`/api/agent/spaces/${cid}/sync`, sync)).toMatchObject({
      status: 200,
      body: { result: null },
    });
  });

  it('is refused with 409 for an attempt that the node was not given', async () => {
    const { body } = await test.call('POST', '/api/runtime/llm-tasks', {
      body: { prompt: 'x', auto_dispatch: true },
    });
    const claim = { epoch: 1, token: 'guessed' };
    expect(await post(`/api/agent/tasks/${String(body['id'])}/claim`, claim)).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: 'This attempt was given to another node, or taken back.' },
    });
    expect((await post('/api/agent/tasks/none/claim', claim)).status).toBe(409);
  });
});
