import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentHeartbeatResponse, Node } from '../../contract/nodes/nodes.ts';
import { MEMBERSHIP_HEADER } from '../../contract/memory/membership.ts';
import { enrolment, heartbeat, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { sendTaskHeartbeat } from '../../test/tasks/calls.ts';

let test: TestPlane;
beforeAll(async () => {
  test = await startTestPlane();
});
afterAll(async () => await test.stop());

/** Enrols a node with a token for pools. Returns the node's key. */
async function enrolWith(node: string, pools: string[]): Promise<string> {
  const { body: made } = await test.call('POST', '/api/runtime/enrolment-tokens', {
    body: { node_id: node, pools },
  });
  const { body } = await test.call('POST', '/api/agent/enrol', {
    headers: {},
    body: enrolment(node, String(made['token'])),
  });
  return String(body['agent_key']);
}
const find = async (id: string): Promise<Node> =>
  (await test.call('GET', `/api/runtime/workers/${id}`)).body as unknown as Node;
const allow = async (id: string, pools: unknown): ReturnType<TestPlane['call']> =>
  await test.call('PUT', `/api/runtime/workers/${id}/pools`, { body: { pools } });

describe('the pools of a node', () => {
  it('are those that it asks for and that its enrolment token allows', async () => {
    const key = await enrolWith('tokened', ['gpu', 'spare']);
    await sendTaskHeartbeat(test, key, { labels: ['gpu', 'big'] });
    expect(await find('tokened')).toMatchObject({
      capabilities: { labels: ['gpu'] },
      pools: { asked: ['gpu', 'big'], allowed: ['gpu', 'spare'] },
    });
  });

  it('stay allowed when the node enrols again, and join those of the new token', async () => {
    await enrolWith('again', ['gpu']);
    await enrolWith('again', ['big']);
    expect((await find('again')).pools.allowed).toEqual(['gpu', 'big']);
  });

  it('change when a person allows or withdraws them, and the audit log says so', async () => {
    const key = await enrolWith('changed', []);
    await sendTaskHeartbeat(test, key, { labels: ['gpu'] });
    expect((await find('changed')).capabilities.labels).toEqual([]);
    const { status, body } = await allow('changed', ['gpu', 'gpu', 'big']);
    expect([status, body['pools']]).toEqual([200, { asked: ['gpu'], allowed: ['big', 'gpu'] }]);
    expect((await find('changed')).capabilities.labels).toEqual(['gpu']);
    await allow('changed', ['gpu']);
    await allow('changed', ['gpu']);
    const { body: entries } = await test.call(
      'GET',
      '/api/runtime/audit?entity_id=changed&action=worker_pools_changed',
    );
    expect((entries as unknown as { detail: string }[]).map(({ detail }) => detail)).toEqual([
      'it may not serve big',
      'it may serve big, gpu',
    ]);
  });

  it('are in the answer to a heartbeat of an agent that knows them', async () => {
    const key = await enrolWith('asks', ['gpu']);
    const beat = async (headers: Record<string, string>): Promise<AgentHeartbeatResponse> =>
      (
        await test.call('POST', '/api/agent/heartbeat', {
          headers: { 'X-MEMBRIDGE-AGENT': key, ...headers },
          body: heartbeat(),
        })
      ).body as unknown as AgentHeartbeatResponse;
    expect((await beat({ [MEMBERSHIP_HEADER]: 'none' })).pools).toEqual(['gpu']);
    expect(await beat({})).not.toHaveProperty('pools');
  });

  it('are refused when the node is unknown or a name is none of a pool', async () => {
    expect((await allow('nobody', [])).status).toBe(404);
    await enrolWith('strict', []);
    for (const pools of [['two words'], [''], 'gpu', Array.from({ length: 33 }, (_, at) => `p${at}`)]) {
      expect((await allow('strict', pools)).status).toBe(400);
    }
    const token = await test.call('POST', '/api/runtime/enrolment-tokens', { body: { pools: ['../x'] } });
    expect(token.status).toBe(400);
  });
});
