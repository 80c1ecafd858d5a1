import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalId } from '../contract/memory/canonical-id.ts';
import { recordRoundFinished } from '../db/queries/record-round-finished.ts';
import { recordRoundStarted } from '../db/queries/record-round-started.ts';
import { getJob } from '../db/queries/get-job.ts';
import {
  ADMIN_KEY,
  SHARED_AGENT_KEY,
  enrolNode,
  startTestPlane,
  type TestPlane,
} from '../test/support/control-plane.ts';
import { openApiDocument } from './http/openapi.ts';

let api: TestPlane;
const admin = { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY };
beforeAll(async () => {
  api = await startTestPlane({ syncWaitMs: 1_000 });
  await enrolNode(api, 'node-a');
});
afterAll(async () => await api.stop());

test('keeps docs/openapi.json current', async () => {
  const written: unknown = JSON.parse(
    await readFile(new URL('../docs/openapi.json', import.meta.url), 'utf8'),
  );
  expect(written).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
});

test.each([
  ['POST', '/api/membridge/spaces', { name: 'x', colour: 'red' }, ['colour']],
  ['POST', '/api/membridge/spaces', { name: 5 }, ['name']],
  ['POST', '/api/membridge/spaces', { name: 'x', projects: [] }, ['projects']],
  ['POST', '/api/membridge/spaces', {}, ['name']],
  ['POST', '/api/runtime/enrolment-tokens', { ttl_seconds: 1 }, ['ttl_seconds']],
  ['GET', '/api/membridge/jobs?limit=0', undefined, ['limit']],
  ['GET', '/api/membridge/jobs?colour=red', undefined, ['colour']],
  ['GET', '/api/membridge/spaces/xyz', undefined, ['cid']],
])('refuses %s %s with %j, naming %j', async (method, path, body, fields) => {
  const answer = await api.call(method, path, { body });
  expect(answer.status).toBe(400);
  expect(answer.headers.get('Content-Type')).toMatch(/^application\/problem\+json/);
  expect((answer.body['fields'] as { field: string }[]).map(({ field }) => field)).toEqual(fields);
});

test('answers 400 for a body that is not JSON, and 413 for one of more than 1 MB', async () => {
  const path = '/api/membridge/spaces';
  expect((await api.call('POST', path, { body: '{' })).status).toBe(400);
  const large = await api.call('POST', path, { body: { name: 'x'.repeat(1_100_000) } });
  expect(large.status).toBe(413);
  expect(large.body['detail']).toMatch(/1 MB/);
});

test('answers 400 for a text with the character U+0000, not 500', async () => {
  const { body } = await api.call('POST', '/api/runtime/enrolment-tokens', { body: {} });
  const answer = await api.call('POST', '/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': SHARED_AGENT_KEY },
    body: { node_id: 'n', canonical_id: '0123456789abcdef', db_sha: '\u0000' },
  });
  expect(body['token']).toBeTypeOf('string');
  expect(answer.status).toBe(400);
});

test.each([
  ['GET', '/api/membridge/spaces/0123456789abcdef', '0123456789abcdef'],
  ['DELETE', '/api/membridge/spaces/0123456789abcdef', '0123456789abcdef'],
  ['GET', '/api/runtime/workers/nobody', 'nobody'],
  ['DELETE', '/api/runtime/workers/nobody', 'nobody'],
  ['GET', '/api/membridge/jobs/job_none', 'job_none'],
  ['GET', '/api/nothing', '/api/nothing'],
])('answers 404 to %s %s, and names %s', async (method, path, name) => {
  const answer = await api.call(method, path);
  expect(answer.status).toBe(404);
  expect(answer.body['error']).toContain(name);
});

test('makes a space with its description in the store, shows it, and deletes it', async () => {
  const made = await api.call('POST', '/api/membridge/spaces', { body: { name: 'проєкт', projects: ['*'] } });
  const cid = canonicalId('проєкт');
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ canonical_id: cid, projects: ['*'], nodes: [] });
  const stored = await api.plane.deps.store.get(`projects/${cid}/memory/v1/space.json`);
  expect(JSON.parse(String(stored))).toMatchObject({
    format: 'membridge-space/1',
    cid,
    project_id: 'проєкт',
  });
  expect((await api.call('POST', '/api/membridge/spaces', { body: { name: 'проєкт' } })).status).toBe(409);
  const description = await api.plane.deps.engine.client.workflow.getHandle(`memory-space:${cid}`).describe();
  expect(description.status.name).toBe('RUNNING');
  expect((await api.call('DELETE', `/api/membridge/spaces/${cid}`)).status).toBe(204);
  expect((await api.call('GET', `/api/membridge/spaces/${cid}`)).status).toBe(404);
});

describe('sync requests', () => {
  const space = { cid: canonicalId('synced'), projectId: 'synced', projects: ['synced'] };
  beforeAll(async () => {
    await api.call('POST', '/api/membridge/spaces', { body: { name: 'synced' } });
  });

  test('are accepted immediately, with a job that can be read', async () => {
    const path = `/api/membridge/spaces/${space.cid}/sync`;
    const answer = await api.call('POST', path, { body: { action: 'sync' } });
    expect(answer.status).toBe(202);
    const [job] = answer.body['jobs'] as Record<string, string>[];
    expect(job).toMatchObject({ node_id: 'node-a', workflow_id: `memory-sync:${space.cid}:node-a` });
    expect(job?.['job_id']).toMatch(/^job_[0-9a-f]{16}$/);
    const shown = await api.call('GET', `/api/membridge/jobs/${job?.['job_id']}`);
    expect(shown.body).toMatchObject({
      status: 'pending',
      trigger: 'api',
      action: 'sync',
      project: 'synced',
    });
    expect(shown.body['history_url']).toMatch(
      /^http:\/\/temporal\.test\/namespaces\/test-[0-9a-f]+\/workflows\/memory-sync/,
    );
    const unknown = await api.call('POST', path, { body: { node_id: 'nobody' } });
    expect(unknown.status).toBe(404);
  });

  test('wait for the end of the round on the original’s path', async () => {
    const pushed = api.call('POST', '/sync/push', {
      headers: admin,
      body: { project: 'synced', agent: 'node-a' },
    });
    const job = await nextPush();
    const requests = [{ jobId: job, action: 'push' as const, trigger: 'api' as const, requestedAt: 1 }];
    const common = { space, node: 'node-a', requests };
    const traffic = { requests: 1, bytesUp: 1, bytesDown: 1 };
    const push = { rows: 2, segments: 1, head: null, traffic, ms: 1 };
    const { db } = api.plane.deps;
    await recordRoundStarted(db, { ...common, workflowId: 'w', runId: 'r', startedAt: 1 });
    await recordRoundFinished(db, {
      ...common,
      result: { jobIds: [job], push, pull: null, error: null, ms: 1 },
      finishedAt: 2,
    });
    expect(await pushed).toMatchObject({
      status: 200,
      body: { ok: true, detail: 'sent 2 rows', job_id: job, canonical_id: space.cid },
    });
  });

  test('end with 504 and the job id on the original’s path when the round takes too long', async () => {
    const answer = await api.call('POST', '/sync/pull', {
      headers: admin,
      body: { project: 'synced', agent: 'node-a' },
    });
    expect(answer).toMatchObject({ status: 504, body: { code: 'sync_timeout' } });
    expect(await getJob(api.plane.deps.db, { id: String(answer.body['job_id']) })).not.toBeNull();
  });

  test.each([
    { project: 'nothing', agent: 'node-a' },
    { project: 'synced', agent: 'nobody' },
  ])('answer 404 on the original’s path for $project on $agent', async (body) => {
    expect((await api.call('POST', '/sync/push', { headers: admin, body })).status).toBe(404);
  });

  async function nextPush(): Promise<string> {
    return await new Promise((resolve) => {
      const stop = api.plane.deps.events.subscribe(({ event }) => {
        if (event.type !== 'job' || event.job.action !== 'push') return;
        stop();
        resolve(event.job.id);
      });
    });
  }
});

test('makes the project of an original heartbeat, and lists its node', async () => {
  const cid = canonicalId('old');
  const send = (canonical_id: string) =>
    api.call('POST', '/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': SHARED_AGENT_KEY },
      body: { node_id: 'old-node', canonical_id, project_id: 'old', obs_count: 9, last_seen: 12.5 },
    });
  // The original let an agent choose another id. Nothing can be synced under it, so no project is made.
  expect((await send('0123456789abcdef')).status).toBe(200);
  expect((await api.call('GET', '/projects/0123456789abcdef/nodes', { headers: admin })).body).toHaveLength(
    1,
  );
  expect((await api.call('GET', '/projects', { headers: admin })).body).not.toContainEqual(
    expect.objectContaining({ canonical_id: '0123456789abcdef' }),
  );
  expect(await send(cid)).toMatchObject({
    status: 200,
    body: { ok: true, role: 'unknown', canonical_id: cid },
  });
  expect((await send(cid)).status).toBe(200);
  const projects = await api.call('GET', '/projects', { headers: admin });
  expect(projects.body).toContainEqual(
    expect.objectContaining({ name: 'old', canonical_id: cid, source: 'heartbeat', nodes_count: 1 }),
  );
  const nodes = await api.call('GET', `/projects/${cid}/nodes`, { headers: admin });
  expect(nodes.body).toMatchObject([{ node_id: 'old-node', obs_count: 9, project_id: 'old' }]);
});

test.each([
  ['POST /projects', 'labelled', ['POST', '/projects', { name: 'labelled' }]],
  [
    'the heartbeat of an original agent',
    'reported',
    [
      'POST',
      '/agent/heartbeat',
      { node_id: 'old-node', canonical_id: canonicalId('reported'), project_id: 'reported' },
    ],
  ],
] as const)('covers every claude-mem project in a space that comes from %s', async (_how, name, call) => {
  const [method, path, body] = call;
  expect((await api.call(method, path, { headers: admin, body })).status).toBeLessThan(300);
  const space = await api.call('GET', `/api/membridge/spaces/${canonicalId(name)}`);
  expect(space.body).toMatchObject({ name, projects: ['*'] });
});

test('keeps what a space covers when the original’s calls name it later', async () => {
  const name = 'my-repository';
  await api.call('POST', '/api/membridge/spaces', { body: { name } });
  const cid = canonicalId(name);
  const report = { node_id: 'old-node', canonical_id: cid, project_id: name };
  expect((await api.call('POST', '/agent/heartbeat', { headers: admin, body: report })).status).toBe(200);
  expect((await api.call('POST', '/projects', { headers: admin, body: { name } })).status).toBe(409);
  expect((await api.call('GET', `/api/membridge/spaces/${cid}`)).body).toMatchObject({ projects: [name] });
});

test('names a machine on the original’s agent once with POST /agents, and reserves its name', async () => {
  const name = { headers: admin, body: { name: 'n', url: 'http://n/' } };
  const first = await api.call('POST', '/agents', name);
  expect(first.status).toBe(201);
  expect(first.body).toMatchObject({ name: 'n', url: 'http://n', status: 'unknown', last_seen: null });
  const second = await api.call('POST', '/agents', name);
  expect(second.status).toBe(409);
  expect(second.body['error']).toContain('An agent named n is registered already.');
});

test('asks the real parts for their health', async () => {
  const { status, body } = await api.call('GET', '/api/runtime/health', { headers: {} });
  expect(status).toBe(200);
  expect(body['status']).toBe('ok');
  expect((body['parts'] as { ok: boolean }[]).map((part) => part.ok)).toEqual([true, true, true]);
});

test('counts requests by route and jobs by status in metrics', async () => {
  const { body } = await api.call('GET', '/metrics');
  expect(body['text']).toContain('membridge_jobs{status="completed"} 1');
  expect(body['text']).toContain('route="/api/membridge/spaces/:cid"');
});
