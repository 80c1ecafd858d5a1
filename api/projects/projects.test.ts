import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { countClones } from '../../contract/projects/projects.ts';
import { selectPrimary } from '../../engine/leadership-workflows.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

const REPO = 'https://git.example.org/team/garden.git';
const TOKEN = 'ghp_ATOKENTHATNOBODYMAYSEE0123456789';

let test: TestPlane;
let keyOfA: string;
let made = 0;

beforeAll(async () => {
  test = await startTestPlane({
    env: { MEMBRIDGE_GIT_HOSTS: 'git.example.org, *.internal.example.org, 127.0.0.1' },
  });
  keyOfA = (await enrolNode(test, 'a')).agent_key;
  await enrolNode(test, 'b');
});
afterAll(async () => await test.stop());

async function create(body: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  made += 1;
  const answer = await test.call('POST', '/api/runtime/projects', {
    body: { name: `project ${made}`, repo_url: REPO, ...body },
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body;
}
const get = async (id: unknown) => (await test.call('GET', `/api/runtime/projects/${String(id)}`)).body;

describe('managed projects', () => {
  it('have the original’s fields and ours, and the canonical id of their name', async () => {
    const project = await create({ name: 'garden tools', tags: ['green'], branch: 'main', depth: 5 });
    expect(project).toMatchObject({
      name: 'garden tools',
      repo_url: REPO,
      canonical_id: canonicalId('garden tools'),
      target_path: null,
      clone_status: 'pending',
      primary_node_id: null,
      error_message: null,
      tags: ['green'],
      branch: 'main',
      depth: 5,
      nodes: [],
    });
    const { nodes: _nodes, ...facts } = project;
    expect((await test.call('GET', '/api/runtime/projects')).body).toContainEqual({
      ...facts,
      clones: countClones([]),
    });
  });

  it('have one name each', async () => {
    const { name } = await create();
    const again = await test.call('POST', '/api/runtime/projects', { body: { name, repo_url: REPO } });
    expect(again.status).toBe(409);
    expect(again.body['error']).toContain(`A project named ${String(name)} exists`);
  });

  it('are made only once when requests with one name arrive together', async () => {
    const body = { name: 'at once', repo_url: REPO };
    const answers = await Promise.all(
      [1, 2, 3].map(() => test.call('POST', '/api/runtime/projects', { body })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
  });

  it.each([
    [{ name: 'a\n' }, 'name'],
    [{ name: '..' }, 'name'],
    [{ name: '--upload-pack=x' }, 'name'],
    [{ repo_url: 'ext::sh -c touch' }, 'repo_url'],
    [{ repo_url: 'https://other.example.net/a' }, 'repo_url'],
    [{ repo_url: 'https://git.example.org/a\n' }, 'repo_url'],
    [{ target_path: '../../etc' }, 'target_path'],
    [{ branch: '--orphan' }, 'branch'],
    [{ fetch_schedule: { cron: 'every day' } }, 'fetch_schedule.cron'],
    [{ fetch_schedule: { cron: '99 * * * *' } }, 'fetch_schedule'],
  ])('refuses %j, naming the field', async (given, field) => {
    const before = (await test.call('GET', '/api/runtime/projects')).body;
    const { status, body } = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'bad', repo_url: REPO, ...given },
    });
    expect(status).toBe(400);
    expect(body['fields']).toContainEqual(expect.objectContaining({ field }));
    expect((await test.call('GET', '/api/runtime/projects')).body).toEqual(before);
  });

  it('refuses an address with a token, says what to do instead, and does not repeat the token', async () => {
    const { status, body } = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'secret', repo_url: `https://${TOKEN}@git.example.org/a` },
    });
    expect(status).toBe(400);
    expect(body['error']).toMatch(/set it as the project’s credential/);
    expect(JSON.stringify(body)).not.toContain(TOKEN);
  });

  it('accepts an unknown primary, and names it when it should clone', async () => {
    const later = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'for later', repo_url: REPO, primary_node_id: 'not here yet' },
    });
    expect(later).toMatchObject({ status: 201, body: { primary_node_id: 'not here yet' } });
    const clone = await test.call('POST', `/api/runtime/projects/${String(later.body['id'])}/clone`, {
      body: {},
    });
    expect([clone.status, clone.body['error']]).toEqual([404, 'There is no node not here yet.']);
  });

  it('names a space that does not exist', async () => {
    const nowhere = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'p', repo_url: REPO, space: '0123456789abcdef' },
    });
    expect(nowhere.status).toBe(404);
  });

  it('keeps the old canonical id as an alias after a rename, and reserves it', async () => {
    const project = await create({ name: 'old name' });
    const { body } = await test.call('PATCH', `/api/runtime/projects/${String(project['id'])}`, {
      body: { name: 'new name' },
    });
    expect(body).toMatchObject({
      name: 'new name',
      canonical_id: canonicalId('new name'),
      aliases: [canonicalId('old name')],
    });
    const taken = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'old name', repo_url: REPO },
    });
    expect(taken.status).toBe(409);
    expect(taken.body['error']).toContain('older name of the project new name');
    const back = await test.call('PATCH', `/api/runtime/projects/${String(project['id'])}`, {
      body: { name: 'old name' },
    });
    expect(back.body).toMatchObject({
      canonical_id: canonicalId('old name'),
      aliases: [canonicalId('new name')],
    });
  });

  it('refuses a clone without a node and without a primary, and says what is missing', async () => {
    const { id } = await create();
    const { status, body } = await test.call('POST', `/api/runtime/projects/${String(id)}/clone`, {
      body: {},
    });
    expect(status).toBe(400);
    expect(body['error']).toContain('has no primary node: name one as node_id');
  });
});

describe('a credential', () => {
  it('is sealed at rest, shown only by its hint, and given to a node that was asked to clone', async () => {
    const { id } = await create();
    const path = `/api/runtime/projects/${String(id)}/credential`;
    const { status, body } = await test.call('PUT', path, { body: { kind: 'token', token: TOKEN } });
    expect(status).toBe(200);
    expect(body['credential']).toMatchObject({ kind: 'token', username: 'git', hint: '…6789' });
    const { rows } = await test.plane.deps.db.pool.query(
      'select row_to_json(p)::text as text from managed_projects p',
    );
    const { rows: events } = await test.plane.deps.db.pool.query('select payload::text as text from events');
    expect(JSON.stringify([rows, events, await get(id)])).not.toContain(TOKEN);

    const asNode = { headers: { 'X-MEMBRIDGE-AGENT': keyOfA } };
    const forNode = `/api/agent/projects/${String(id)}/credential?repo_url=${encodeURIComponent(REPO)}`;
    expect((await test.call('GET', forNode, asNode)).status).toBe(404);
    await test.call('POST', `/api/runtime/projects/${String(id)}/clone`, {
      body: { node_id: 'a', wait: false },
    });
    await expect
      .poll(async () => (await test.call('GET', forNode, asNode)).status, { timeout: 15_000 })
      .toBe(200);
    expect((await test.call('GET', forNode, asNode)).body).toEqual({
      credential: { kind: 'token', username: 'git', token: TOKEN },
      known_hosts: null,
    });
    expect((await test.call('GET', forNode)).status).toBe(401);
    const history = await test.plane.deps.engine.client.workflow
      .getHandle(`clone:${String(id)}:a`)
      .fetchHistory();
    expect(JSON.stringify(history)).not.toContain(TOKEN);

    await test.call('DELETE', path);
    expect((await get(id))['credential']).toBeNull();
    expect((await test.call('GET', forNode, asNode)).body).toMatchObject({ credential: null });
  });

  it('is not sent for another address than the project’s', async () => {
    const { id } = await create();
    await test.call('PUT', `/api/runtime/projects/${String(id)}/credential`, {
      body: { kind: 'token', token: TOKEN },
    });
    await test.call('POST', `/api/runtime/projects/${String(id)}/clone`, {
      body: { node_id: 'a', wait: false },
    });
    const ask = (address: string) =>
      test.call(
        'GET',
        `/api/agent/projects/${String(id)}/credential?repo_url=${encodeURIComponent(address)}`,
        {
          headers: { 'X-MEMBRIDGE-AGENT': keyOfA },
        },
      );
    await expect.poll(async () => (await ask(REPO)).status, { timeout: 15_000 }).toBe(200);
    for (const other of [
      'https://x.internal.example.org/a',
      'http://git.example.org/a',
      'https://git.example.org:8443/a',
    ]) {
      const refused = await ask(other);
      expect([refused.status, JSON.stringify(refused.body).includes(TOKEN)], other).toEqual([409, false]);
    }
  });

  it.each(['http://git.example.org/a', 'https://git.example.org:8443/a', 'https://x.internal.example.org/a'])(
    'is dropped when the address becomes %s',
    async (repo_url) => {
      const { id } = await create();
      const path = `/api/runtime/projects/${String(id)}`;
      await test.call('PUT', `${path}/credential`, { body: { kind: 'token', token: TOKEN } });
      expect((await test.call('PATCH', path, { body: { repo_url } })).body['credential']).toBeNull();
    },
  );

  it('shows an ssh key by its fingerprint, and refuses an unusable one without repeating it', async () => {
    const { id } = await create({ repo_url: 'git@git.example.org:team/garden.git' });
    const path = `/api/runtime/projects/${String(id)}/credential`;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'sec1', format: 'pem' }) as string;
    const { body } = await test.call('PUT', path, { body: { kind: 'ssh-key', private_key: pem } });
    expect(body['credential']).toMatchObject({
      kind: 'ssh-key',
      hint: expect.stringMatching(/^SHA256:[\w+/]{43}$/) as string,
    });

    const locked = privateKey.export({
      type: 'sec1',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    }) as string;
    for (const key of [locked, 'not a key, but quite a few characters long']) {
      const refused = await test.call('PUT', path, { body: { kind: 'ssh-key', private_key: key } });
      expect(refused.status).toBe(400);
      expect(refused.body['error']).toMatch(/private_key: is/);
      expect(JSON.stringify(refused.body)).not.toContain(key.slice(40, 80));
    }
  });

  it('must fit the address', async () => {
    const { id } = await create();
    const { status, body } = await test.call('PUT', `/api/runtime/projects/${String(id)}/credential`, {
      body: { kind: 'ssh-key', private_key: 'x'.repeat(64) },
    });
    expect([status, body['error']]).toEqual([400, expect.stringContaining('must be "token"')]);
  });
});

describe('schedules', () => {
  it('stay as they are when a cron expression is invalid, so that the control plane can restart', async () => {
    const { id } = await create({ fetch_schedule: { cron: '0 3 * * *' } });
    const { status } = await test.call('PATCH', `/api/runtime/projects/${String(id)}`, {
      body: { fetch_schedule: { cron: '99 * * * *' }, tags: ['x'] },
    });
    expect(status).toBe(400);
    expect(await get(id)).toMatchObject({ fetch_schedule: { cron: '0 3 * * *' }, tags: [] });
    // A taken name also leaves the schedule unchanged.
    const { name } = await create();
    const taken = await test.call('PATCH', `/api/runtime/projects/${String(id)}`, {
      body: { fetch_schedule: { cron: '30 3 * * *' }, name },
    });
    expect(taken.status).toBe(409);
    const { spec } = await test.plane.deps.engine.client.schedule.getHandle(`fetch:${String(id)}`).describe();
    expect(spec.calendars?.[0]?.minute).toEqual([{ start: 0, end: 0, step: 1 }]);
  });

  it('are Temporal’s: made, changed and removed with the project', async () => {
    const { id } = await create({ fetch_schedule: { cron: '0 3 * * *' } });
    const schedule = test.plane.deps.engine.client.schedule.getHandle(`fetch:${String(id)}`);
    expect((await get(id))['fetch_schedule']).toEqual({
      cron: '0 3 * * *',
      next_at: expect.any(Number) as number,
    });
    await test.call('PATCH', `/api/runtime/projects/${String(id)}`, {
      body: { fetch_schedule: { cron: '30 4 * * *' } },
    });
    const { spec } = await schedule.describe();
    expect(JSON.stringify(spec)).toContain('30');
    await test.call('DELETE', `/api/runtime/projects/${String(id)}`);
    await expect(schedule.describe()).rejects.toThrow(/not found/i);
  });
});

describe('leadership', () => {
  const of = async (cid: string) =>
    (await test.call('GET', `/api/membridge/projects/${cid}/leadership`)).body;
  const select = (cid: string, node: string, lease?: number) =>
    test.call('POST', `/api/membridge/projects/${cid}/leadership/select`, {
      body: { primary_node_id: node, ...(lease === undefined ? {} : { lease_seconds: lease }) },
    });

  it('begins with the primary that a project is given, and every change is a new epoch', async () => {
    const project = await create({ primary_node_id: 'a' });
    const cid = String(project['canonical_id']);
    expect(await of(cid)).toMatchObject({
      primary_node_id: 'a',
      preferred_primary: 'a',
      epoch: 1,
      status: 'active',
    });
    const promoted = await select(cid, 'b');
    expect(promoted.body).toMatchObject({ ok: true, primary_node_id: 'b', epoch: 2, lease_seconds: 3_600 });
    expect(await get(project['id'])).toMatchObject({ primary_node_id: 'b' });
    // The same node again only renews the lease.
    expect((await select(cid, 'b', 60)).body).toMatchObject({ epoch: 2, lease_seconds: 60 });
    expect((await of(cid))['events']).toMatchObject([
      { epoch: 2, event: 'selected', primary_node_id: 'b' },
      { epoch: 1, event: 'selected', primary_node_id: 'a' },
    ]);
  });

  it('is stored as the original’s lease', async () => {
    const { canonical_id: cid } = await create({ primary_node_id: 'a' });
    const key = `projects/${String(cid)}/leadership/lease.json`;
    await expect.poll(() => test.plane.deps.store.get(key), { timeout: 15_000 }).not.toBeNull();
    expect(JSON.parse(String(await test.plane.deps.store.get(key)))).toMatchObject({
      canonical_id: cid,
      primary_node_id: 'a',
      epoch: 1,
      lease_seconds: 3_600,
      policy: 'primary_authoritative',
    });
  });

  it('gives concurrent promotions different epochs, each with one primary', async () => {
    const { canonical_id } = await create();
    const cid = String(canonical_id);
    const { client } = test.plane.deps.engine;
    const states = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((node) =>
        selectPrimary(client, {
          cid,
          known: null,
          request: { node, leaseSeconds: 3_600, by: 'test' },
          updateId: `${cid}-${node}`,
        }),
      ),
    );
    const named = states.map((state) => state.epoch).toSorted((a, b) => a - b);
    expect(named).toEqual([1, 2, 3, 4, 5, 6]);
    const { primary_node_id } = await of(cid);
    expect(primary_node_id).toBe(states.find((state) => state.epoch === 6)?.primary);
    await expect
      .poll(
        async () =>
          JSON.parse(
            String(await test.plane.deps.store.get(`projects/${cid}/leadership/lease.json`)),
          ) as unknown,
      )
      .toMatchObject({ primary_node_id, epoch: 6 });
    const { epoch, events } = await of(cid);
    expect((events as { epoch: number }[]).map((event) => event.epoch)).toEqual(
      Array.from({ length: Number(epoch) }, (_, n) => Number(epoch) - n),
    );
  });

  it('follows a rename, ends when the primary is removed, and never repeats an epoch', async () => {
    const project = await create({ primary_node_id: 'a' });
    const path = `/api/runtime/projects/${String(project['id'])}`;
    const renamed = await test.call('PATCH', path, { body: { name: 'led elsewhere' } });
    const cid = String(renamed.body['canonical_id']);
    expect(renamed.body['primary_node_id']).toBe('a');
    expect(await of(cid)).toMatchObject({ primary_node_id: 'a', epoch: 1 });
    expect(
      (await test.call('PATCH', path, { body: { primary_node_id: null } })).body['primary_node_id'],
    ).toBeNull();
    expect(await of(cid)).toMatchObject({ primary_node_id: null, epoch: 2, status: 'needs_selection' });
    await test.call('PATCH', path, { body: { primary_node_id: 'b' } });
    expect(await of(cid)).toMatchObject({ primary_node_id: 'b', epoch: 3 });
    await test.call('DELETE', path);
    const { client } = test.plane.deps.engine;
    for (const id of [cid, String(project['canonical_id'])]) {
      await expect
        .poll(async () => (await client.workflow.getHandle(`leadership:${id}`).describe()).status.name, {
          timeout: 15_000,
        })
        .toBe('COMPLETED');
    }
    const again = await create({ name: 'led elsewhere', primary_node_id: 'a' });
    expect(await of(String(again['canonical_id']))).toMatchObject({ primary_node_id: 'a', epoch: 5 });
  });

  it('takes a project and a node that do not exist yet, as the original does', async () => {
    expect((await select('0123456789abcdef', 'a')).body).toMatchObject({ epoch: 1, primary_node_id: 'a' });
    const { canonical_id } = await create();
    expect((await select(String(canonical_id), 'nobody')).body).toMatchObject({
      primary_node_id: 'nobody',
      needs_ui_selection: false,
    });
  });

  it('accepts a lease of ten seconds or more, and refuses an id that could leave its folder', async () => {
    const { canonical_id } = await create();
    expect((await select(String(canonical_id), 'a', 10)).body).toMatchObject({ lease_seconds: 10 });
    expect((await select(String(canonical_id), 'a', 9)).status).toBe(400);
    for (const id of ['..', 'a%2Fb', '%2e%2e']) expect((await select(id, 'a')).status).not.toBe(200);
  });

  it('continues the epochs of a lease that the original left in the bucket, also when the original took over since', async () => {
    const cid = 'fedcba9876543210';
    const key = `projects/${cid}/leadership/lease.json`;
    const leave = (epoch: number) =>
      test.plane.deps.store.put(key, Buffer.from(JSON.stringify({ canonical_id: cid, epoch })));
    await leave(7);
    expect((await select(cid, 'a')).body).toMatchObject({ epoch: 8 });
    await expect
      .poll(async () => JSON.parse(String(await test.plane.deps.store.get(key))) as unknown, {
        timeout: 15_000,
      })
      .toMatchObject({ epoch: 8 });
    expect((await select(cid, 'a')).body).toMatchObject({ epoch: 8 });
    await leave(20);
    expect((await select(cid, 'a')).body).toMatchObject({ epoch: 21 });
  });

  it('begins at one where the lease in the bucket is damaged', async () => {
    const cid = 'fedcba9876543211';
    await test.plane.deps.store.put(`projects/${cid}/leadership/lease.json`, Buffer.from('{"epoch"'));
    expect((await select(cid, 'a')).body).toMatchObject({ epoch: 1 });
  });
});
