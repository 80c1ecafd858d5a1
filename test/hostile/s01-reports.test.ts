import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { AgentHeartbeatResponse } from '../../contract/nodes/nodes.ts';
import {
  ADMIN_KEY,
  SHARED_AGENT_KEY,
  enrolNode,
  heartbeat,
  startTestPlane,
  type Answer,
  type TestPlane,
} from '../support/control-plane.ts';

let plane: TestPlane;
let nodeKey: string;
beforeAll(async () => {
  plane = await startTestPlane();
  nodeKey = (await enrolNode(plane, 'laptop')).agent_key;
});
afterAll(() => plane.stop());

const names = async (): Promise<unknown[]> =>
  ((await plane.call('GET', '/api/membridge/spaces')).body as unknown as { name: string }[]).map(
    ({ name }) => name,
  );

const report = async (headers: Record<string, string>, node: string, project: string): Promise<Answer> =>
  await plane.call('POST', '/agent/heartbeat', {
    headers,
    body: { node_id: node, canonical_id: canonicalId(project), project_id: project },
  });

describe('S1: a report by an agent', () => {
  it.each(['*', 'everything', 'garden', ' garden', 'Garden/*'])(
    'makes no space with the key of a node and the project %j',
    async (project) => {
      expect((await report({ 'X-MEMBRIDGE-AGENT': nodeKey }, 'laptop', project)).status).toBe(200);
      expect(await names()).toEqual([]);
    },
  );

  it('makes no space with the original’s shared key, under any node’s name', async () => {
    const headers = { 'X-MEMBRIDGE-AGENT': SHARED_AGENT_KEY };
    for (const node of ['old-laptop', 'laptop', 'made-up']) {
      expect((await report(headers, node, 'orchard')).status).toBe(200);
    }
    expect(await names()).toEqual([]);
  });

  it('makes no space for "*", not even with the admin key', async () => {
    await report({ 'X-MEMBRIDGE-ADMIN': ADMIN_KEY }, 'laptop', '*');
    expect(await names()).toEqual([]);
  });

  it('appears in the list of projects and in the audit log, and a person makes the space', async () => {
    await report({ 'X-MEMBRIDGE-AGENT': nodeKey }, 'laptop', 'meadow');
    const admin = { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY };
    const listed = (await plane.call('GET', '/projects', { headers: admin })).body;
    expect(listed).toContainEqual(
      expect.objectContaining({ name: 'meadow', source: 'heartbeat', nodes_count: 1 }),
    );
    const made = await plane.call('POST', '/projects', { headers: admin, body: { name: 'meadow' } });
    expect(made).toMatchObject({ status: 201, body: { name: 'meadow', source: 'manual', nodes_count: 1 } });
    expect(await names()).toEqual(['meadow']);
    const { body: entries } = await plane.call('GET', '/api/runtime/audit?action=project_reported');
    expect(entries).toContainEqual(expect.objectContaining({ actor: 'laptop' }));
  });

  it('fills neither the database nor the audit log', async () => {
    const headers = { 'X-MEMBRIDGE-AGENT': nodeKey };
    for (let from = 0; from < 250; from += 25) {
      const some = Array.from({ length: 25 }, (_none, n) => `flood-${from + n}`);
      await Promise.all(some.map((project) => report(headers, 'laptop', project)));
    }
    const listed = (await plane.call('GET', '/projects', { headers: { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY } }))
      .body as unknown as unknown[];
    expect(listed.length).toBeLessThanOrEqual(202);
    const { body: entries } = await plane.call('GET', '/api/runtime/audit?action=project_reported&limit=200');
    const own = (entries as unknown as { actor: string }[]).filter(({ actor }) => actor === 'laptop');
    expect(own.length).toBeLessThanOrEqual(2);
  });
});

describe('S1: a machine whose owner names its spaces', () => {
  it('neither receives other spaces nor requests to sync them', async () => {
    const { body: space } = await plane.call('POST', '/api/membridge/spaces', { body: { name: 'allowed' } });
    await plane.call('POST', '/api/membridge/spaces', { body: { name: 'forbidden' } });
    const beat = heartbeat('laptop');
    const answer = await plane.call('POST', '/api/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': nodeKey },
      body: { ...beat, facts: { ...beat.facts, spaces: ['allowed'] } },
    });
    const { spaces } = answer.body as unknown as AgentHeartbeatResponse;
    expect(spaces.map(({ cid }) => cid)).toEqual([space['canonical_id']]);
    const asked = await plane.call('POST', `/api/membridge/spaces/${canonicalId('forbidden')}/sync`, {
      body: { action: 'push', node_id: 'laptop' },
    });
    expect(asked).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('MEMBRIDGE_SPACES') as string },
    });
  });
});
