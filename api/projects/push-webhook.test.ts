import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { CLONED, startHeldNode, type HeldNode } from '../../test/git/held-clones.ts';

const SOON = { timeout: 20_000, interval: 50 };

let test: TestPlane;
let node: HeldNode;
let made = 0;

beforeAll(async () => {
  test = await startTestPlane();
  await enrolNode(test, 'a');
  // Enrolled, and never seen since.
  await enrolNode(test, 'away', false);
  node = startHeldNode(test.plane.deps.engine.address, 'a');
});
afterAll(async () => {
  await node.stop();
  await test.stop();
});

/** Makes a project with a clone on the node, and its push webhook. */
async function makeProject(body: Record<string, unknown> = {}): Promise<{ id: string; secret: string }> {
  made += 1;
  const given = { name: `pushed ${made}`, repo_url: 'https://git.example.org/a', ...body };
  const id = String((await test.call('POST', '/api/runtime/projects', { body: given })).body['id']);
  node.hold();
  node.end(CLONED);
  await test.call('POST', `/api/runtime/projects/${id}/clone`, { body: { node_id: 'a' } });
  const answer = await test.call('POST', `/api/runtime/projects/${id}/push-webhook`, { body: {} });
  expect(answer.status).toBe(201);
  expect(answer.body).toMatchObject({ path: `/api/runtime/projects/${id}/push`, url: null });
  return { id, secret: String(answer.body['secret']) };
}

const BODY = JSON.stringify({ ref: 'refs/heads/main' });
const sign = (secret: string, body = BODY): string => createHmac('sha256', secret).update(body).digest('hex');

async function push(id: string, headers: Record<string, string>, body = BODY) {
  const answer = await fetch(`${test.plane.url}/api/runtime/projects/${id}/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body,
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

describe('a push webhook', () => {
  it.each([
    [
      'GitHub',
      (secret: string) => ({ 'X-Hub-Signature-256': `sha256=${sign(secret)}`, 'X-GitHub-Event': 'push' }),
    ],
    ['GitLab', (secret: string) => ({ 'X-Gitlab-Token': secret, 'X-Gitlab-Event': 'Push Hook' })],
    ['Gitea', (secret: string) => ({ 'X-Gitea-Signature': sign(secret), 'X-Gitea-Event': 'push' })],
    ['Forgejo', (secret: string) => ({ 'X-Forgejo-Signature': sign(secret), 'X-Forgejo-Event': 'push' })],
  ])('updates the clones when %s calls', async (_forge, headers) => {
    const { id, secret } = await makeProject();
    const before = node.begun.clone;
    node.hold();
    node.end({
      ...CLONED,
      outcome: 'updated',
      commit: 'c'.repeat(40),
      detail: 'main moved forward by 1 commit',
    });
    expect(await push(id, headers(secret))).toEqual({ status: 202, body: { status: 'updating' } });
    const clone = async () =>
      ((await test.call('GET', `/api/runtime/projects/${id}`)).body['nodes'] as Record<string, unknown>[])[0];
    await expect.poll(clone, SOON).toMatchObject({ commit: 'c'.repeat(40), clone_status: 'cloned' });
    expect(node.begun.clone).toBe(before + 1);
  });

  it('refuses calls that are not signed with its secret, and says why', async () => {
    const { id, secret } = await makeProject();
    const before = node.begun.clone;
    const other = await makeProject();
    for (const headers of [
      { 'X-Hub-Signature-256': `sha256=${sign('another')}` },
      { 'X-Hub-Signature-256': 'sha256=' },
      { 'X-Gitlab-Token': 'another' },
      { 'X-Gitea-Signature': sign(other.secret) },
      { 'X-Hub-Signature-256': `sha256=${sign(secret, '{}')}` },
    ])
      expect(await push(id, headers), JSON.stringify(headers)).toMatchObject({
        status: 401,
        body: { code: 'unauthorized', error: expect.stringMatching(/not signed with this project's secret/) },
      });
    expect(await push(id, {})).toMatchObject({
      status: 401,
      body: { error: expect.stringMatching(/has no signature/) },
    });
    expect((await push('proj_0000000000000000', { 'X-Gitlab-Token': secret })).status).toBe(404);
    expect(node.begun.clone).toBe(before + 1);
  });

  it('answers a ping, and forgets its secret when it gets a new one or is removed', async () => {
    const { id, secret } = await makeProject();
    const before = node.begun.clone;
    const ping = { 'X-Hub-Signature-256': `sha256=${sign(secret)}`, 'X-GitHub-Event': 'ping' };
    expect(await push(id, ping)).toEqual({ status: 202, body: { status: 'ignored' } });
    const next = await test.call('POST', `/api/runtime/projects/${id}/push-webhook`, { body: {} });
    expect((await push(id, { 'X-Gitlab-Token': secret })).status).toBe(401);
    const shown = await test.call('GET', `/api/runtime/projects/${id}`);
    expect(shown.body['push_webhook']).toEqual({ made_at: next.body['made_at'] });
    expect(JSON.stringify(shown.body)).not.toContain(String(next.body['secret']));
    expect((await test.call('DELETE', `/api/runtime/projects/${id}/push-webhook`)).status).toBe(204);
    expect((await push(id, { 'X-Gitlab-Token': String(next.body['secret']) })).status).toBe(404);
    expect(node.begun.clone).toBe(before);
  });

  it('updates once more for a push that comes while the update runs', async () => {
    const { id, secret } = await makeProject();
    const before = node.begun.clone;
    node.hold();
    await push(id, { 'X-Gitlab-Token': secret });
    await expect.poll(() => node.begun.clone, SOON).toBe(before + 1);
    await push(id, { 'X-Gitlab-Token': secret });
    await push(id, { 'X-Gitlab-Token': secret });
    node.end(CLONED);
    await expect.poll(() => node.begun.clone, SOON).toBe(before + 2);
  });
});

it('updates existing clones on a schedule, and makes no new ones', async () => {
  const { id } = await makeProject({ update_schedule: { cron: '0 3 1 1 *' } });
  const before = node.begun.clone;
  node.hold();
  node.end({ ...CLONED, outcome: 'kept', detail: 'left as it is: 1 file differ from the last commit' });
  await test.plane.deps.engine.client.schedule.getHandle(`update:${id}`).trigger();
  const clones = async () => (await test.call('GET', `/api/runtime/projects/${id}`)).body['nodes'];
  await expect
    .poll(clones, SOON)
    .toMatchObject([
      { node_id: 'a', clone_status: 'cloned', detail: expect.stringContaining('left as it is') },
    ]);
  expect(node.begun.clone).toBe(before + 1);
  const off = { body: { update_schedule: null } };
  expect((await test.call('PATCH', `/api/runtime/projects/${id}`, off)).body['update_schedule']).toBeNull();
});

it('refuses endless calls for a minute', async () => {
  const { id } = await makeProject();
  const statuses = new Set<number>();
  for (let call = 0; call < 70; call += 1) statuses.add((await push(id, {})).status);
  expect([...statuses]).toEqual([401, 429]);
});
