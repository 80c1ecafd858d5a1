import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  countClones,
  type ManagedProject,
  type ProjectNodeStatus,
  type ProjectSummary,
} from '../../contract/projects/projects.ts';
import { readEvents } from '../../db/queries/read-events.ts';
import { recordCloneWaiting } from '../../db/queries/record-clone.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

const NODES = 1_001;
const PROJECTS = 20;

let test: TestPlane;
let id: string;
beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  const made = await test.call('POST', '/api/runtime/projects', {
    body: { name: 'project 0', repo_url: 'https://git.example.org/team/garden.git' },
  });
  expect(made.status).toBe(201);
  id = String(made.body['id']);
  await seed();
});
afterAll(async () => await test.stop());

/** Makes some projects, each with a clone on every node of a large fleet and a propagation to all of them. */
async function seed(): Promise<void> {
  const { pool } = test.plane.deps.db;
  const own = ['id', 'name', 'canonical_id', 'propagation'];
  const { rows } = await pool.query<{ name: string }>(
    "select column_name as name from information_schema.columns where table_name = 'managed_projects' and not column_name = any($1)",
    [own],
  );
  const names = rows.map(({ name }) => `"${name}"`).join(', ');
  await pool.query(
    `insert into managed_projects (${own.join(', ')}, ${names})
     select 'proj_' || n, 'project ' || n, lpad(to_hex(n), 16, '0'), $1::jsonb, ${names}
     from (select * from managed_projects) one, generate_series(1, ${PROJECTS - 1}) n`,
    [
      JSON.stringify({
        action: 'clone',
        state: 'waiting',
        nodes: Array.from({ length: NODES }, (_, n) => `node-${n}`),
        started_at: 1,
        finished_at: null,
        workflow_id: 'w',
        run_id: 'r',
      }),
    ],
  );
  await pool.query(
    `insert into project_node_status
       (id, project_id, node_id, clone_status, detail, error_message, commit, behind, ahead, dirty, updated_at, workflow_id, run_id)
     select p.id || '-' || n, p.id, 'node-' || lpad(n::text, 4, '0'),
       (array['cloned', 'failed', 'pending', 'cloning', 'cancelled'])[1 + n % 5],
       'detail ' || n, case when n % 5 = 1 then 'no space left on node ' || n end,
       case when n % 2 = 0 then repeat('a', 40) end, nullif(n % 4, 3), nullif(n % 7, 6), nullif(n % 3, 2),
       1, 'workflow-' || n, 'run-' || n
     from managed_projects p, generate_series(1, ${NODES}) n`,
  );
}

const list = async () => {
  const { body } = await test.call('GET', '/api/runtime/projects');
  return body as unknown as ProjectSummary[];
};
const whole = async () =>
  (await test.call('GET', `/api/runtime/projects/${id}`)).body as unknown as ManagedProject;
const clones = async (query: string) => {
  const { status, body, headers } = await test.call('GET', `/api/runtime/projects/${id}/clones?${query}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return { rows: body as unknown as ProjectNodeStatus[], next: headers.get('X-Next-Cursor') };
};

describe('the list of projects', () => {
  it('counts the clones of a large fleet instead of naming them, and stays small', async () => {
    const projects = await list();
    expect(projects).toHaveLength(PROJECTS);
    expect(projects.every((project) => project.clones.total === NODES)).toBe(true);
    // 0.4.0 answered 700 KB for each of them.
    expect(JSON.stringify(projects).length / PROJECTS).toBeLessThan(2_000);
  });

  it('shows each project as the project itself does', async () => {
    const { nodes, ...project } = await whole();
    const summary = (await list()).find((each) => each.id === id);
    expect(nodes).toHaveLength(NODES);
    expect(summary).toEqual({ ...project, clones: countClones(nodes) });
    expect(summary?.error_message).toBe('node-0001: no space left on node 1');
  });
});

describe('the clones of a project', () => {
  it('come a page at a time, each once and by node', async () => {
    const rows: ProjectNodeStatus[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await clones(`limit=300${cursor === '' ? '' : `&cursor=${cursor}`}`);
      expect(page.rows.length).toBeLessThanOrEqual(300);
      rows.push(...page.rows);
      cursor = page.next;
    }
    expect(rows).toEqual((await whole()).nodes);
  });

  it('are filtered by status and by a part of the node’s name', async () => {
    const { rows, next } = await clones('status=failed&q=NODE-000');
    expect(rows.map(({ node_id }) => node_id)).toEqual(['node-0001', 'node-0006']);
    expect(next).toBeNull();
    expect((await clones('q=%25')).rows).toEqual([]);
  });

  it('answers 404 for the clones of an unknown project and 400 for too large a page', async () => {
    expect((await test.call('GET', '/api/runtime/projects/proj_none/clones')).status).toBe(404);
    expect((await test.call('GET', `/api/runtime/projects/${id}/clones?limit=501`)).status).toBe(400);
  });
});

it('names no clones in events of a project, and sends the new counts in those of a clone', async () => {
  const { db, events } = test.plane.deps;
  const after = events.position;
  await test.call('PATCH', `/api/runtime/projects/${id}`, { body: { tags: ['red'] } });
  const node = 'node-0001';
  await enrolNode(test, node, false);
  const recorded = await recordCloneWaiting(db, {
    projectId: id,
    node,
    workflowId: 'w',
    runId: 'r',
    action: 'clone',
    detail: 'waits',
    now: 2,
  });
  expect(recorded).toBe(true);
  const told = (await readEvents(db, { after, limit: 100 })).map(({ event }) => event);
  const [changed] = told.filter((event) => event.type === 'project');
  expect(JSON.stringify(changed).length).toBeLessThan(2_000);
  const [waiting] = told.filter((event) => event.type === 'project-node');
  expect(waiting).toMatchObject({
    status: { node_id: node, clone_status: 'pending' },
    clones: countClones((await whole()).nodes),
    error_message: 'node-0006: no space left on node 6',
  });
});
