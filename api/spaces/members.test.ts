import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { MembersPage, SpaceSummary } from '../../contract/memory/memory.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

const NODES = 1_001;
const NAME = 'large';
const CID = canonicalId(NAME);
/** A time long ago. For online nodes, the engine would start a thousand syncs. */
const HEARD_AT = Date.now() - 3_600_000;
const path = `/api/membridge/spaces/${CID}/members`;

let api: TestPlane;
beforeAll(async () => {
  api = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  await enrolNode(api, 'node-1', false);
  for (const name of [NAME, 'small']) {
    expect((await api.call('POST', '/api/membridge/spaces', { body: { name } })).status).toBe(201);
  }
  await seed();
});
afterAll(async () => await api.stop());

/** Makes nodes with a record in both spaces. Nine of ten have failed or are in sync; every tenth has never synced. */
async function seed(): Promise<void> {
  const { pool } = api.plane.deps.db;
  const { rows } = await pool.query<{ name: string }>(
    "select column_name as name from information_schema.columns where table_name = 'nodes' and not column_name = any($1)",
    [['id', 'key_hash', 'public_key', 'last_heartbeat']],
  );
  const names = rows.map(({ name }) => `"${name}"`).join(', ');
  await pool.query(
    `insert into nodes (id, key_hash, public_key, last_heartbeat, ${names})
     select 'node-' || n, key_hash || n, public_key, $1, ${names}
     from (select * from nodes) one, generate_series(2, ${NODES}) n`,
    [HEARD_AT],
  );
  await pool.query('update nodes set last_heartbeat = $1', [HEARD_AT]);
  await pool.query(
    `insert into space_nodes (cid, node_id, last_push_at, last_pull_at, status, detail)
     select s.cid, 'node-' || n, $1::bigint - n, $1::bigint - n, case when n % 10 = 1 then 'failed' else 'in-step' end, 'round ' || n
     from spaces s, generate_series(1, ${NODES}) n where n % 10 <> 0`,
    [Date.now()],
  );
  await pool.query(
    `insert into space_nodes (cid, node_id, status, detail) values ($1, 'removed', 'in-step', 'gone')`,
    [CID],
  );
}

const members = async (query = ''): Promise<MembersPage> => {
  const { status, body } = await api.call('GET', `${path}?${query}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body as unknown as MembersPage;
};
const namesOf = ({ rows }: MembersPage) => rows.map(({ record }) => record.node_id);

describe('the list of spaces', () => {
  test('counts the nodes of a large fleet by their state instead of naming them', async () => {
    const { body } = await api.call('GET', '/api/membridge/spaces');
    const [large, small] = body as unknown as SpaceSummary[];
    expect(large?.members).toEqual({
      enrolled: NODES,
      busy: 0,
      new: 100,
      syncing: 0,
      'in-step': 0,
      failed: 101,
      held: 0,
      stale: 800,
    });
    expect(small?.members).toEqual(large?.members);
    expect(JSON.stringify(large).length).toBeLessThan(1_000);
  });

  test('shows a new space immediately, with all nodes as new ones', async () => {
    await api.call('POST', '/api/membridge/spaces', { body: { name: 'another' } });
    const { body } = await api.call('GET', '/api/membridge/spaces');
    const [another] = body as unknown as SpaceSummary[];
    expect(another).toMatchObject({ name: 'another', members: { enrolled: NODES, new: NODES } });
  });
});

describe('the members of a space', () => {
  test('come a page at a time, in natural name order, each once', async () => {
    const first = await members();
    expect(first).toMatchObject({ total: NODES + 1, members: { enrolled: NODES } });
    expect(namesOf(first).slice(0, 3)).toEqual(['node-1', 'node-2', 'node-3']);
    const all = new Set<string>();
    for (let offset = 0; offset < first.total; offset += 400) {
      for (const name of namesOf(await members(`limit=400&offset=${offset}`))) all.add(name);
    }
    expect(all.size).toBe(NODES + 1);
    expect((await members('offset=5000')).rows).toEqual([]);
  });

  test('are filtered by name, by a part of it, and by state', async () => {
    expect(namesOf(await members('node=node-10'))).toEqual(['node-10']);
    expect((await members('q=NODE-100')).total).toBe(3);
    const failed = await members('status=failed&limit=500');
    expect(failed.total).toBe(101);
    expect(failed.rows.every(({ record }) => record.status === 'failed')).toBe(true);
  });

  test('come worst first, or oldest pull first', async () => {
    const worst = await members('sort=status&limit=500');
    const states = worst.rows.map(({ record }) => record.status);
    expect(new Set(states.slice(0, 101))).toEqual(new Set(['failed']));
    const oldest = await members('sort=last_pull&q=node-&limit=150');
    const pulls = oldest.rows.map(({ record }) => record.last_pull_at ?? 0);
    expect(pulls).toEqual(pulls.toSorted((a, b) => a - b));
    expect(pulls[0]).toBe(0);
  });

  test('mark a removed node as no longer enrolled', async () => {
    const { rows } = await members('node=removed');
    expect(rows).toMatchObject([{ enrolled: false, last_heartbeat: null, record: { detail: 'gone' } }]);
  });
});
