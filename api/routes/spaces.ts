import { z } from 'zod';
import { CreateSpace, RequestSync, RequestSyncResponse } from '../../contract/api.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { Space } from '../../contract/memory.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes.ts';
import { CanonicalId } from '../../contract/primitives.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { listSpaces } from '../../db/queries/list-spaces.ts';
import { historyUrl } from '../../engine/memory-workflows.ts';
import type { Deps } from '../deps.ts';
import { needNode, needSpace } from '../not-found.ts';
import { defineRoute } from '../route.ts';
import { addSpace, removeSpace } from '../spaces.ts';
import { acceptSync } from '../sync-requests.ts';

const tag = 'Spaces';
const Cid = z.strictObject({ cid: CanonicalId });

/** The nodes that a sync request means. */
async function targets(deps: Deps, space: Space, nodeId: string | undefined): Promise<string[]> {
  if (nodeId !== undefined) return [(await needNode(deps, nodeId)).id];
  const live = await listLiveNodes(deps.db, { withinMs: ONLINE_WITHIN_MS, now: deps.now() });
  if (live.length > 0) return live;
  throw new MembridgeError(
    'conflict',
    `No node is online, so nothing can sync ${space.name} now. Start an agent, or name a node_id: its sync then waits until that node is back.`,
  );
}

export const spaceRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/membridge/spaces',
    auth: 'people',
    tag,
    summary: 'All memory spaces, each with what its nodes last did',
    status: 200,
    response: z.array(Space),
    handle: async (_call, { db }) => await listSpaces(db),
  }),
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces',
    auth: 'people',
    tag,
    summary: 'Create a memory space',
    description:
      'projects are the claude-mem project names it covers: the name itself unless given, ["*"] for all.',
    body: CreateSpace,
    status: 201,
    response: Space,
    errors: { 409: 'A space of this name exists' },
    handle: async ({ body }, deps) =>
      await addSpace(deps, { name: body.name, projects: body.projects ?? [body.name], source: 'manual' }),
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/spaces/:cid',
    auth: 'people',
    tag,
    summary: 'One memory space',
    params: Cid,
    status: 200,
    response: Space,
    errors: { 404: 'There is no such space' },
    handle: async ({ params }, deps) => await needSpace(deps, params.cid),
  }),
  defineRoute({
    method: 'delete',
    path: '/api/membridge/spaces/:cid',
    auth: 'people',
    tag,
    summary: 'Delete a memory space',
    description:
      'Its objects in the object store, and the memory on each node, stay; its jobs stay as history.',
    params: Cid,
    status: 204,
    errors: { 404: 'There is no such space' },
    handle: async ({ params }, deps) => {
      await needSpace(deps, params.cid);
      await removeSpace(deps, params.cid);
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces/:cid/sync',
    auth: 'people',
    tag,
    summary: 'Sync a space on one node, or on every node that is online; answers at once',
    params: Cid,
    body: RequestSync,
    status: 202,
    response: RequestSyncResponse,
    errors: { 404: 'There is no such space or node', 409: 'No node was named and none is online' },
    handle: async ({ params, body, caller }, deps) => {
      const space = await needSpace(deps, params.cid);
      const nodes = await targets(deps, space, body.node_id);
      const accepted = await Promise.all(
        nodes.map((node) => acceptSync(deps, { space, node, action: body.action, caller })),
      );
      const { temporalUi, engine } = deps.config;
      return {
        jobs: accepted.map((sync) => ({
          job_id: sync.jobId,
          node_id: sync.node,
          workflow_id: sync.workflowId,
          history_url: historyUrl(temporalUi, engine.namespace, sync),
        })),
      };
    },
  }),
];
