import { z } from 'zod';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { OriginalCreateProject, OriginalProject, OriginalProjectNode } from '../../contract/http/api.ts';
import { claimSpace } from '../../db/queries/claim-space.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { listOriginalNodes } from '../../db/queries/list-original-nodes.ts';
import { listOriginalProjects } from '../../db/queries/list-original-projects.ts';
import { requireProject, notFoundError } from '../http/not-found.ts';
import { auditByCaller } from '../auth/actor.ts';
import { defineRoute } from '../http/route.ts';
import { addOriginalSpace, removeSpace } from '../spaces/spaces.ts';

const tag = 'Projects (original paths)';

export const originalProjectRoutes = [
  defineRoute({
    method: 'get',
    path: '/projects',
    auth: 'admin',
    tag,
    summary: 'All projects',
    status: 200,
    response: z.array(OriginalProject),
    handle: async (_call, { db }) => await listOriginalProjects(db),
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/projects',
    auth: 'people',
    tag,
    summary: 'The same as GET /projects',
    status: 200,
    response: z.array(OriginalProject),
    handle: async (_call, { db }) => await listOriginalProjects(db),
  }),
  defineRoute({
    method: 'post',
    path: '/projects',
    auth: 'admin',
    tag,
    summary: "Create a project: a memory space that covers each machine's whole claude-mem database",
    description:
      'As in the original, the name is a label: the space covers every claude-mem project. A project known only from heartbeats becomes this project.',
    original: true,
    body: OriginalCreateProject,
    status: 201,
    response: OriginalProject,
    errors: { 409: 'A project of this name exists' },
    handle: async ({ body, caller }, deps) => {
      const cid = canonicalId(body.name);
      const claimed = await claimSpace(deps.db, { cid });
      if (!claimed)
        await addOriginalSpace(deps, { name: body.name, source: 'manual', by: auditByCaller(caller) });
      const known = (await listOriginalProjects(deps.db)).find(({ canonical_id: id }) => id === cid);
      if (known === undefined) throw notFoundError('project', body.name);
      return known;
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/projects/:name',
    auth: 'admin',
    tag,
    summary: 'Delete a project',
    description: 'Its objects in the object store stay, and so does the memory on each node.',
    params: z.strictObject({ name: z.string() }),
    status: 204,
    errors: { 404: 'There is no such project' },
    handle: async ({ params, caller }, deps) => {
      const space = await requireProject(deps, params.name);
      await removeSpace(deps, space.canonical_id, auditByCaller(caller));
    },
  }),
  ...(
    [
      ['/projects/:cid/nodes', 'admin'],
      ['/api/membridge/projects/:cid/nodes', 'people'],
    ] as const
  ).map(([path, auth]) =>
    defineRoute({
      method: 'get',
      path,
      auth,
      tag,
      summary: 'List the nodes of a project; none when nobody reported it',
      params: z.strictObject({ cid: z.string() }),
      status: 200,
      response: z.array(OriginalProjectNode),
      handle: async ({ params }, deps) => {
        // A node may report a project without a space. Then only its nodes are known.
        const space = await getSpace(deps.db, params);
        return await listOriginalNodes(deps.db, { cid: space?.canonical_id ?? params.cid });
      },
    }),
  ),
];
