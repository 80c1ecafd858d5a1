import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { ServerEvent } from '../../contract/events.ts';
import type { Job, SpaceConfig } from '../../contract/memory/memory.ts';
import type { EnrolResponse } from '../../contract/nodes/nodes.ts';
import { recordJobRequested } from '../../db/queries/record-job-requested.ts';
import { headKey } from '../../memory/format/layout.ts';
import {
  SHARED_AGENT_KEY,
  enrolNode,
  heartbeat,
  startTestPlane,
  type Answer,
  type TestPlane,
} from '../../test/support/control-plane.ts';

let api: TestPlane;
let a: EnrolResponse;
let b: EnrolResponse;
beforeAll(async () => {
  api = await startTestPlane();
  a = await enrolNode(api, 'a');
  b = await enrolNode(api, 'b');
});
afterAll(async () => await api.stop());

let name = '';
let cid = '';
let path = '';
let made = 0;
beforeEach(async () => {
  made += 1;
  name = `space ${made}`;
  cid = canonicalId(name);
  path = `/api/membridge/spaces/${cid}`;
  await api.call('POST', '/api/membridge/spaces', { body: { name, projects: ['*'] } });
});

const patch = async (body: unknown, at = path): Promise<Answer> => await api.call('PATCH', at, { body });
const put = async (node: string, body: unknown): Promise<Answer> =>
  await api.call('PUT', `${path}/nodes/${node}/settings`, { body });

/** Returns the space as a node receives it. */
async function configSentTo(node: EnrolResponse, of = cid): Promise<SpaceConfig | undefined> {
  const { body } = await api.call('POST', '/api/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': node.agent_key },
    body: heartbeat(node.node_id),
  });
  return (body['spaces'] as SpaceConfig[]).find((space) => space.cid === of);
}

/** Returns the configurations in a node's last sync request for a space, from Temporal. */
async function askedWith(node: string, of = cid): Promise<unknown> {
  const { client } = api.plane.deps.engine;
  const handle = client.workflow.getHandle(`memory-sync:${of}:${node}`);
  const { events } = await handle.fetchHistory();
  const signals = (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) =>
    (signal?.input?.payloads ?? []).map(
      ({ data }) => (JSON.parse(Buffer.from(data ?? []).toString('utf8')) as { space: unknown }).space,
    ),
  );
  return signals.at(-1);
}

function nextEvent(wanted: (event: ServerEvent) => boolean): Promise<ServerEvent> {
  return new Promise((resolve) => {
    const stop = api.plane.deps.events.subscribe(({ event }) => {
      if (!wanted(event)) return;
      stop();
      resolve(event);
    });
  });
}

describe('settings of a space', () => {
  test('have defaults at first, which nodes do not receive', async () => {
    expect((await api.call('GET', path)).body).toMatchObject({
      excluded: [],
      aliases: [],
      redact: true,
      encrypted: false,
      settings: [],
    });
    expect(await configSentTo(a)).toEqual({ cid, projectId: name, projects: ['*'] });
  });

  test('are stored, sent to pages and nodes, and cause a sync of every live node with its own settings', async () => {
    await put('b', { names: {}, trust: { a: 'hold' } });
    const told = nextEvent((event) => event.type === 'space' && event.space.encrypted);
    const body = {
      excluded: ['diary', 'diary'],
      aliases: ['0123456789abcdef'],
      redact: false,
      encrypted: true,
    };
    const answer = await patch(body);
    const settings = { ...body, excluded: ['diary'], name, projects: ['*'] };
    expect(answer).toMatchObject({ status: 200, body: settings });
    expect(await told).toMatchObject({ space: settings });
    const config = {
      cid,
      projectId: name,
      projects: ['*'],
      aliases: ['0123456789abcdef'],
      excluded: ['diary'],
      redact: false,
      encrypted: true,
      members: ['a', 'b'],
    };
    expect(await configSentTo(a)).toEqual(config);
    expect(await configSentTo(b)).toEqual({ ...config, trust: { a: 'hold' } });
    await expect.poll(() => askedWith('a'), { timeout: 20_000 }).toEqual(config);
    await expect.poll(() => askedWith('b'), { timeout: 20_000 }).toEqual({ ...config, trust: { a: 'hold' } });
    // An absent field does not change.
    expect((await patch({ redact: true })).body).toMatchObject({ ...settings, redact: true });
  });

  test.each([
    [{}, 'body'],
    [{ colour: 'red' }, 'colour'],
    [{ projects: [] }, 'projects'],
    [{ excluded: ['*'] }, 'excluded.0'],
    [{ excluded: 'diary' }, 'excluded'],
    [{ aliases: ['XYZ'] }, 'aliases.0'],
    [{ redact: 'yes' }, 'redact'],
    [{ name: 'x\ny' }, 'name'],
  ])('refuse %j, naming %s', async (body, field) => {
    const answer = await patch(body);
    expect(answer.status).toBe(400);
    expect((answer.body['fields'] as { field: string }[])[0]?.field).toBe(field);
  });

  test('allow an alias in only one space', async () => {
    expect((await patch({ aliases: [cid] })).body['detail']).toMatch(/this space's own canonical id/);
    await api.call('POST', '/api/membridge/spaces', { body: { name: `other ${made}` } });
    const taken = await patch({ aliases: [canonicalId(`other ${made}`)] });
    expect(taken).toMatchObject({ status: 409 });
    expect(taken.body['detail']).toMatch(/is the space other \d+ itself/);
    const alias = canonicalId(`former ${made}`);
    expect((await patch({ aliases: [alias] })).status).toBe(200);
    const second = await patch({ aliases: [alias] }, `/api/membridge/spaces/${canonicalId(`other ${made}`)}`);
    expect(second.body['detail']).toMatch(/is an alias of the space/);
    const again = await api.call('POST', '/api/membridge/spaces', { body: { name: `former ${made}` } });
    expect(again).toMatchObject({ status: 409 });
    expect(again.body['detail']).toMatch(/is an older name of the space/);
  });
});

describe('a rename', () => {
  test('gives a new canonical id, and keeps history, settings and former paths', async () => {
    const { db, engine } = api.plane.deps;
    await put('b', { names: { yard: 'garden' }, trust: {} });
    const job = `job_renamed_${made}`;
    await recordJobRequested(db, {
      space: { cid, projectId: name, projects: ['*'] },
      node: 'a',
      workflowId: 'w',
      runId: 'r',
      request: { jobId: job, action: 'sync', trigger: 'api' },
      by: { actor: 'api', cause: 'a test' },
      now: 1,
    });
    const renamed = `renamed ${made}`;
    const fresh = canonicalId(renamed);
    const gone = nextEvent((event) => event.type === 'space-removed' && event.canonical_id === cid);
    const answer = await patch({ name: renamed });
    expect(answer.body).toMatchObject({
      canonical_id: fresh,
      name: renamed,
      aliases: [cid],
      settings: [{ node_id: 'b', names: { yard: 'garden' } }],
    });
    await gone;
    expect(await configSentTo(b)).toBeUndefined();
    expect(await configSentTo(b, fresh)).toEqual({
      cid: fresh,
      projectId: renamed,
      projects: ['*'],
      aliases: [cid],
      names: { yard: 'garden' },
    });
    // The workflow of the new id runs and has requested a sync; the one of the old id ends.
    await expect
      .poll(() => askedWith('b', fresh), { timeout: 20_000 })
      .toMatchObject({ aliases: [cid], names: { yard: 'garden' } });
    const former = engine.client.workflow.getHandle(`memory-space:${cid}`);
    await expect
      .poll(async () => (await former.describe()).status.name, { timeout: 20_000 })
      .toBe('COMPLETED');
    // Scripts that know the old id or the old name still find it.
    expect((await api.call('GET', path)).body).toMatchObject({ canonical_id: fresh });
    const sync = await api.call('POST', `${path}/sync`, { body: { node_id: 'a' } });
    expect(sync.body['jobs']).toMatchObject([{ workflow_id: `memory-sync:${fresh}:a` }]);
    const reported = await api.call('POST', '/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': SHARED_AGENT_KEY },
      body: { node_id: 'old-node', canonical_id: cid, project_id: name },
    });
    expect(reported.status).toBe(200);
    expect((await api.call('GET', path)).body).toMatchObject({ canonical_id: fresh });
    const { body: jobs } = await api.call(
      'GET',
      `/api/membridge/jobs?project=${encodeURIComponent(renamed)}`,
    );
    expect((jobs as unknown as Job[]).map(({ id }) => id)).toContain(job);
    // Renamed back, the space has its former id again.
    expect((await patch({ name })).body).toMatchObject({ canonical_id: cid, aliases: [fresh] });
    await api.call('DELETE', `/api/membridge/spaces/${fresh}`);
    expect((await api.call('GET', path)).status).toBe(404);
  });

  test('is refused when the name is taken, and changes nothing', async () => {
    await api.call('POST', '/api/membridge/spaces', { body: { name: `taken ${made}` } });
    const answer = await patch({ name: `taken ${made}`, redact: false });
    expect(answer).toMatchObject({ status: 409 });
    expect(answer.body['detail']).toMatch(/Choose another name/);
    expect((await api.call('GET', path)).body).toMatchObject({ name, redact: true, aliases: [] });
  });
});

describe('settings of a node', () => {
  test('are sent only to that node, and replace the former ones', async () => {
    const told = nextEvent((event) => event.type === 'space');
    const settings = { names: { yard: 'garden' }, trust: { b: 'ignore' } };
    expect(await put('a', settings)).toMatchObject({
      status: 200,
      body: { settings: [{ node_id: 'a', ...settings }] },
    });
    expect(await told).toMatchObject({ space: { canonical_id: cid } });
    const { body: members } = await api.call('GET', `${path}/members?node=a`);
    expect(members).toMatchObject({ total: 1, rows: [{ settings: { node_id: 'a', ...settings } }] });
    expect(await configSentTo(a)).toMatchObject(settings);
    expect(await configSentTo(b)).toEqual({ cid, projectId: name, projects: ['*'] });
    await expect.poll(() => askedWith('a'), { timeout: 20_000 }).toMatchObject(settings);
    await put('a', { names: {}, trust: {} });
    expect(await configSentTo(a)).toEqual({ cid, projectId: name, projects: ['*'] });
  });

  test.each([
    [{ names: {} }, 'trust'],
    [{ names: { '*': 'x' }, trust: {} }, 'names.*'],
    [{ names: { x: '*' }, trust: {} }, 'names.x'],
    [{ names: {}, trust: { b: 'maybe' } }, 'trust.b'],
    [{ names: {}, trust: { a: 'hold' } }, 'trust.a'],
    [{ names: {}, trust: { nobody: 'hold' } }, 'trust.nobody'],
  ])('refuse %j, naming %s', async (body, field) => {
    const answer = await put('a', body);
    expect(answer.status).toBe(400);
    expect((answer.body['fields'] as { field: string }[])[0]?.field).toBe(field);
  });

  test('may name a removed node while its objects are stored; a removed node loses its own settings', async () => {
    const left = `left-${made}`;
    await enrolNode(api, left, false);
    await put(left, { names: { x: 'y' }, trust: {} });
    await put('a', { names: {}, trust: { [left]: 'ignore' } });
    await api.call('DELETE', `/api/runtime/workers/${left}`);
    expect((await api.call('GET', path)).body['settings']).toEqual([
      { node_id: 'a', names: {}, trust: { [left]: 'ignore' } },
    ]);
    expect((await put('a', { names: {}, trust: { [left]: 'ignore' } })).status).toBe(400);
    await api.plane.deps.store.put(headKey(cid, left), Buffer.from('x'));
    expect((await put('a', { names: {}, trust: { [left]: 'ignore' } })).status).toBe(200);
    expect((await put('nobody', { names: {}, trust: {} })).status).toBe(404);
  });
});
