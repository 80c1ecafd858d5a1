import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ManagedProject, ProjectNodeStatus } from '../contract/projects/projects.ts';
import { cloneProjectId, propagateProjectId } from '../contract/workflows.ts';
import { enrolNode, heartbeat, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { CLONED, startHeldNode, type HeldNode } from '../test/git/held-clones.ts';

const SOON = { timeout: 20_000, interval: 50 };
/** A node counts as away after 15 s. */
const AWAY = { timeout: 40_000, interval: 200 };

let test: TestPlane;
let held: HeldNode[] = [];
let made = 0;
const keys = new Map<string, string>();

beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_GIT_HOSTS: 'git.example.org' } });
});
afterEach(async () => {
  await Promise.all(held.map((node) => node.stop()));
  held = [];
});
afterAll(async () => await test.stop());

/** Creates enrolled, online nodes with unique names, whose clones the test holds. */
async function nodes(count: number, gauge?: { now: number; most: number }): Promise<HeldNode[]> {
  made += 1;
  const names = Array.from({ length: count }, (_, n) => `n${made}-${n}`);
  for (const name of names) keys.set(name, (await enrolNode(test, name)).agent_key);
  const hosts = names.map((name) => host(name, gauge));
  return hosts;
}
function host(name: string, gauge?: { now: number; most: number }): HeldNode {
  const node = startHeldNode(test.plane.deps.engine.address, name, gauge);
  held.push(node);
  return node;
}
async function project(body: Record<string, unknown> = {}): Promise<string> {
  made += 1;
  const answer = await test.call('POST', '/api/runtime/projects', {
    body: { name: `p${made}`, repo_url: 'https://git.example.org/a', ...body },
  });
  return String(answer.body['id']);
}
const get = async (id: string): Promise<ManagedProject> =>
  (await test.call('GET', `/api/runtime/projects/${id}`)).body as unknown as ManagedProject;
const of = async (id: string, node: string): Promise<ProjectNodeStatus | undefined> =>
  (await get(id)).nodes.find((each) => each.node_id === node);
const post = (id: string, what: string, body: Record<string, unknown> = {}) =>
  test.call('POST', `/api/runtime/projects/${id}/${what}`, { body });

describe('a clone', () => {
  it('shows its true state at every moment, and its result at the end', async () => {
    const [a] = await nodes(1);
    const id = await project();
    const asked = await post(id, 'clone', { node_id: a?.node, wait: false });
    expect([asked.status, asked.body['status']]).toEqual([202, 'cloning']);
    await expect
      .poll(() => of(id, a?.node ?? ''), SOON)
      .toMatchObject({ clone_status: 'cloning', progress: { phase: 'receiving objects', percent: 42 } });
    expect((await get(id)).clone_status).toBe('cloning');
    a?.end(CLONED);
    await expect
      .poll(() => of(id, a?.node ?? ''), SOON)
      .toMatchObject({
        clone_status: 'cloned',
        commit: CLONED.commit,
        repo_path: '/srv/garden',
        size_bytes: 1_234,
        progress: null,
        error_message: null,
      });
    expect((await get(id)).primary_node_id).toBe(a?.node);
  });

  it('is answered as in the original: once it has ended, with the error if it failed', async () => {
    const [a, b] = await nodes(2);
    const id = await project();
    a?.end(CLONED);
    const { status, body } = await post(id, 'clone', { node_id: a?.node });
    expect([status, body['status'], body['node']]).toEqual([200, 'cloned', a?.node]);
    b?.end(ApplicationFailure.nonRetryable('There is no branch x.', 'git_not_found'));
    const failed = await post(id, 'clone', { node_id: b?.node });
    expect(failed.status).toBe(502);
    expect(failed.body).toMatchObject({
      code: 'git_not_found',
      error: expect.stringContaining('There is no branch x.') as string,
    });
    expect(await of(id, b?.node ?? '')).toMatchObject({
      clone_status: 'failed',
      error_code: 'git_not_found',
    });
    expect(await get(id)).toMatchObject({
      clone_status: 'partial',
      error_message: `${b?.node}: There is no branch x.`,
    });
    // The next success clears the error.
    b?.hold();
    b?.end(CLONED);
    await post(id, 'clone', { node_id: b?.node });
    expect(await of(id, b?.node ?? '')).toMatchObject({
      clone_status: 'cloned',
      error_code: null,
      error_message: null,
    });
  });

  it('is reset to the remote on one node, for the commit that was shown, and says when it was not', async () => {
    const [a] = await nodes(1);
    const id = await project();
    a?.end(CLONED);
    await post(id, 'clone', { node_id: a?.node });
    const ask = { node_id: a?.node, commit: CLONED.commit };
    a?.hold();
    a?.end(ApplicationFailure.nonRetryable('The clone is at another commit by now.', 'conflict'));
    const refused = await post(id, 'reset', ask);
    expect([refused.status, refused.body['code']]).toEqual([409, 'conflict']);
    // Nothing changed: the clone is as before.
    expect(await of(id, a?.node ?? '')).toMatchObject({
      clone_status: 'cloned',
      commit: CLONED.commit,
      error_code: 'conflict',
    });
    a?.hold();
    a?.end({ ...CLONED, outcome: 'updated', commit: 'b'.repeat(40), detail: 'made as the remote' });
    const made = await post(id, 'reset', ask);
    expect([made.status, made.body['status']]).toEqual([200, 'cloned']);
    expect(await of(id, a?.node ?? '')).toMatchObject({
      commit: 'b'.repeat(40),
      detail: 'made as the remote',
      error_code: null,
    });
    expect(a?.expected).toEqual([CLONED.commit, CLONED.commit]);
    expect((await post(id, 'reset', { ...ask, commit: 'main' })).status).toBe(400);
    expect((await post(id, 'reset', { ...ask, node_id: 'nobody' })).status).toBe(404);
  });

  it('runs once for two requests, and both get the result', async () => {
    const [a] = await nodes(1);
    const id = await project();
    const both = [post(id, 'clone', { node_id: a?.node }), post(id, 'clone', { node_id: a?.node })];
    await expect.poll(() => a?.begun.clone, SOON).toBe(1);
    a?.end(CLONED);
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([200, 200]);
    expect(a?.begun.clone).toBe(1);
  });

  it('ends on the node when it is canceled, and says so', async () => {
    const [a] = await nodes(1);
    const id = await project();
    const waits = post(id, 'clone', { node_id: a?.node });
    await expect.poll(() => a?.begun.clone, SOON).toBe(1);
    expect((await post(id, 'cancel', { node_id: a?.node })).status).toBe(202);
    await expect.poll(() => a?.cancelled, SOON).toBe(1);
    expect((await waits).body['error']).toContain('was cancelled');
    expect(await of(id, a?.node ?? '')).toMatchObject({ clone_status: 'cancelled' });
    a?.end(CLONED);
    expect((await post(id, 'clone', { node_id: a?.node })).status).toBe(200);
  });

  it('waits visibly for a node that is away, and runs when it returns', async () => {
    const { agent_key } = await enrolNode(test, 'away', false);
    const id = await project();
    await post(id, 'clone', { node_id: 'away', wait: false });
    await expect
      .poll(() => of(id, 'away'), AWAY)
      .toMatchObject({ clone_status: 'pending', detail: 'waits for node away to come back' });
    await test.call('POST', '/api/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': agent_key },
      body: heartbeat('away'),
    });
    host('away').end(CLONED);
    await expect.poll(() => of(id, 'away'), AWAY).toMatchObject({ clone_status: 'cloned' });
  });

  it('is not shown as cloning after its agent died, and the next agent makes it', async () => {
    const [a] = await nodes(1);
    const name = a?.node ?? '';
    const id = await project();
    await post(id, 'clone', { node_id: name, wait: false });
    await expect.poll(() => of(id, name), SOON).toMatchObject({ clone_status: 'cloning' });
    await a?.stop();
    await expect.poll(() => of(id, name), AWAY).toMatchObject({ clone_status: 'pending' });
    host(name).end(CLONED);
    await expect.poll(() => of(id, name), AWAY).toMatchObject({ clone_status: 'cloned' });
  });

  it('is not shown as cloning forever after its workflow was terminated', async () => {
    const [a] = await nodes(1);
    const id = await project();
    await post(id, 'clone', { node_id: a?.node, wait: false });
    await expect.poll(() => of(id, a?.node ?? ''), SOON).toMatchObject({ clone_status: 'cloning' });
    await test.plane.deps.engine.client.workflow
      .getHandle(cloneProjectId(id, a?.node ?? ''))
      .terminate('test');
    await expect
      .poll(() => of(id, a?.node ?? ''), AWAY)
      .toMatchObject({
        clone_status: 'failed',
        error_message: expect.stringContaining('ended as terminated without a result') as string,
      });
  });

  it('is canceled with its project and leaves no row behind', async () => {
    const [a] = await nodes(1);
    const id = await project();
    await post(id, 'clone', { node_id: a?.node, wait: false });
    await expect.poll(() => a?.begun.clone, SOON).toBe(1);
    expect((await test.call('DELETE', `/api/runtime/projects/${id}`)).status).toBe(200);
    await expect.poll(() => a?.cancelled, SOON).toBe(1);
    const { rows } = await test.plane.deps.db.pool.query(
      'select 1 from project_node_status where project_id = $1',
      [id],
    );
    expect(rows).toEqual([]);
  });
});

describe('a request after a cancellation', () => {
  it('is served, however soon it comes', async () => {
    const [a] = await nodes(1);
    const id = await project();
    await post(id, 'clone', { node_id: a?.node, wait: false });
    await expect.poll(() => a?.begun.clone, SOON).toBe(1);
    await post(id, 'cancel', { node_id: a?.node });
    const again = post(id, 'clone', { node_id: a?.node });
    await expect.poll(() => a?.begun.clone, SOON).toBe(2);
    a?.end(CLONED);
    expect((await again).status).toBe(200);
    expect(await of(id, a?.node ?? '')).toMatchObject({ clone_status: 'cloned' });
  });

  it('is served for a propagation, too', async () => {
    const [a] = await nodes(1);
    const id = await project();
    await post(id, 'propagate', { nodes: [a?.node], wait: false });
    await expect.poll(() => a?.begun.clone, SOON).toBe(1);
    await post(id, 'cancel');
    await post(id, 'propagate', { nodes: [a?.node], wait: false });
    await expect.poll(() => a?.begun.clone, SOON).toBe(2);
    a?.end(CLONED);
    await expect.poll(async () => (await get(id)).nodes[0]?.clone_status, SOON).toBe('cloned');
  });
});

describe('a request with newer settings', () => {
  it('supersedes a running or waiting one', async () => {
    await enrolNode(test, 'outdated', false);
    const id = await project();
    await post(id, 'clone', { node_id: 'outdated', wait: false });
    await expect
      .poll(() => of(id, 'outdated'), AWAY)
      .toMatchObject({ detail: 'waits for node outdated to come back' });
    await test.call('PATCH', `/api/runtime/projects/${id}`, { body: { branch: 'next' } });
    await post(id, 'clone', { node_id: 'outdated', wait: false });
    const node = host('outdated');
    node.end(CLONED);
    await expect.poll(() => of(id, 'outdated'), AWAY).toMatchObject({ clone_status: 'cloned' });
    await expect.poll(() => node.branches.at(-1), SOON).toBe('next');
  });
});

describe('a propagation', () => {
  it('continues when the workflow of one of its nodes is terminated', async () => {
    const [a, b] = await nodes(2);
    const id = await project();
    await post(id, 'propagate', { nodes: [a?.node, b?.node], concurrency: 1, wait: false });
    await expect.poll(() => a?.begun.clone, SOON).toBe(1);
    await test.plane.deps.engine.client.workflow
      .getHandle(cloneProjectId(id, a?.node ?? ''))
      .terminate('test');
    b?.end(CLONED);
    await expect.poll(async () => (await get(id)).propagation, AWAY).toMatchObject({ state: 'done' });
    expect((await get(id)).nodes.map((node) => node.clone_status)).toEqual(['failed', 'cloned']);
  });

  it('uses no slot for a clone that already waits for its node', async () => {
    const [a] = await nodes(1);
    await enrolNode(test, 'gone', false);
    const id = await project();
    await post(id, 'clone', { node_id: 'gone', wait: false });
    await expect
      .poll(() => of(id, 'gone'), AWAY)
      .toMatchObject({ detail: 'waits for node gone to come back' });
    // Its workflow learns it a moment later than the page.
    await new Promise((resolve) => setTimeout(resolve, 16_000));
    a?.end(CLONED);
    await post(id, 'propagate', { nodes: ['gone', a?.node], concurrency: 1, wait: false });
    await expect.poll(async () => (await get(id)).propagation, SOON).toMatchObject({ state: 'waiting' });
    expect(a?.begun.clone).toBe(1);
    expect((await post(id, 'fetch', { nodes: ['gone'] })).body['status']).toBe('nothing_to_propagate');
    await post(id, 'cancel');
  });

  it('serves its maximum of nodes at once, and one failure does not stop the others', async () => {
    const gauge = { now: 0, most: 0 };
    const all = await nodes(5, gauge);
    const id = await project();
    const names = all.map(({ node }) => node);
    const waits = post(id, 'propagate', { nodes: names, concurrency: 2 });
    await expect.poll(() => gauge.now, SOON).toBe(2);
    expect((await get(id)).clone_status).toBe('propagating');
    all[3]?.end(ApplicationFailure.nonRetryable('no room', 'disk_full'));
    for (const node of all) node.end(CLONED);
    const { body } = await waits;
    expect(body['status']).toBe('partial');
    expect(body['results']).toContainEqual({ node_id: names[3], status: 'failed', error: 'no room' });
    expect(gauge.most).toBe(2);
    const { clone_status, nodes: rows } = await get(id);
    expect(clone_status).toBe('partial');
    expect(rows.filter((row) => row.clone_status === 'cloned')).toHaveLength(4);
    // After the repair, the same call completes it.
    all[3]?.hold();
    all[3]?.end(CLONED);
    expect((await post(id, 'propagate', { nodes: names })).body['status']).toBe('synced');
    expect((await get(id)).clone_status).toBe('synced');
  });

  it('begins with the primary', async () => {
    const all = await nodes(3);
    const names = all.map(({ node }) => node);
    const id = await project({ primary_node_id: names[2] });
    await post(id, 'propagate', { nodes: names, concurrency: 1, wait: false });
    await expect.poll(() => all[2]?.begun.clone, SOON).toBe(1);
    expect(all.map(({ begun }) => begun.clone)).toEqual([0, 0, 1]);
    for (const node of all) node.end(CLONED);
    await expect.poll(async () => (await get(id)).clone_status, SOON).toBe('synced');
  });

  it('does not wait for a node that is away, and includes it when it returns', async () => {
    const [a] = await nodes(1);
    await enrolNode(test, 'later', false);
    const id = await project();
    a?.end(CLONED);
    await post(id, 'propagate', { nodes: [a?.node, 'later'], concurrency: 1, wait: false });
    await expect
      .poll(async () => (await get(id)).propagation, AWAY)
      .toMatchObject({ state: 'waiting', nodes: expect.arrayContaining(['later']) as string[] });
    expect(await get(id)).toMatchObject({ clone_status: 'partial' });
    host('later').end(CLONED);
    await expect.poll(async () => (await get(id)).propagation, AWAY).toMatchObject({ state: 'done' });
    expect((await get(id)).clone_status).toBe('synced');
  });

  it('cancels every node when it is canceled', async () => {
    const all = await nodes(3);
    const id = await project();
    await post(id, 'propagate', { nodes: all.map(({ node }) => node), concurrency: 2, wait: false });
    await expect.poll(() => all.filter(({ begun }) => begun.clone > 0).length, SOON).toBe(2);
    await post(id, 'cancel');
    await expect.poll(() => all.reduce((sum, node) => sum + node.cancelled, 0), SOON).toBe(2);
    await expect.poll(async () => (await get(id)).propagation, SOON).toMatchObject({ state: 'cancelled' });
    expect(all.filter(({ begun }) => begun.clone > 0)).toHaveLength(2);
  });

  it('is not shown as propagating forever after it was terminated', async () => {
    const [a] = await nodes(1);
    const id = await project();
    await post(id, 'propagate', { nodes: [a?.node], wait: false });
    await expect.poll(async () => (await get(id)).clone_status, SOON).toBe('propagating');
    await test.plane.deps.engine.client.workflow.getHandle(propagateProjectId(id)).terminate('test');
    await expect.poll(async () => (await get(id)).propagation, AWAY).toMatchObject({ state: 'cancelled' });
  });

  it('says so when there is no node', async () => {
    const id = await project();
    expect((await post(id, 'fetch')).body).toMatchObject({ status: 'nothing_to_propagate', results: [] });
  });
});

describe('inspecting the remotes', () => {
  it('reports the drift of every clone and changes nothing else', async () => {
    const [a, b] = await nodes(2);
    const id = await project();
    a?.end(CLONED);
    await post(id, 'clone', { node_id: a?.node });
    a?.hold();
    a?.end({ ...CLONED, outcome: 'fetched', drift: { behind: 3, ahead: 1, dirty: 2 } });
    const { body } = await post(id, 'fetch');
    expect(body).toMatchObject({ status: 'synced', results: [{ node_id: a?.node, status: 'cloned' }] });
    expect(await of(id, a?.node ?? '')).toMatchObject({
      clone_status: 'cloned',
      behind: 3,
      ahead: 1,
      dirty: 2,
    });
    expect(b?.begun.fetch).toBe(0);
    // A failed one keeps the last known state of the clone, with the reason.
    a?.hold();
    a?.end(ApplicationFailure.nonRetryable('no answer', 'git_failed'));
    await post(id, 'fetch');
    expect(await of(id, a?.node ?? '')).toMatchObject({
      clone_status: 'cloned',
      behind: 3,
      error_message: 'no answer',
    });
  });
});

describe('hosts that are no longer allowed', () => {
  it('are not contacted by a schedule either', async () => {
    const [a] = await nodes(1);
    const id = await project({ fetch_schedule: { cron: '0 3 1 1 *' } });
    a?.end(CLONED);
    await post(id, 'clone', { node_id: a?.node });
    await test.plane.deps.db.pool.query(
      `update managed_projects set repo_url = 'https://forbidden.example.net/a' where id = $1`,
      [id],
    );
    await test.plane.deps.engine.client.schedule.getHandle(`fetch:${id}`).trigger();
    const runs = async () => {
      const found = [];
      const query = `WorkflowId STARTS_WITH 'fetch:${id}:run'`;
      for await (const run of test.plane.deps.engine.client.workflow.list({ query }))
        found.push(run.status.name);
      return found;
    };
    await expect.poll(runs, SOON).toEqual(['COMPLETED']);
    expect(a?.begun.fetch).toBe(0);
  });
});

describe('nodes that enroll later', () => {
  it('get a clone if the project wants it', async () => {
    await enrolNode(test, 'early');
    const id = await project({ new_nodes: true });
    await enrolNode(test, 'late');
    host('late').end(CLONED);
    await expect.poll(() => of(id, 'late'), AWAY).toMatchObject({ clone_status: 'cloned' });
    expect(await of(id, 'early')).toBeUndefined();
    await test.call('DELETE', `/api/runtime/projects/${id}`);
  });
});
