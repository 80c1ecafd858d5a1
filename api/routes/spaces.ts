import { z } from 'zod';
import {
  CreateSpace,
  PutNodeSettings,
  RequestSync,
  RequestSyncResponse,
  UpdateSpace,
} from '../../contract/http/api.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { ListMembers, MembersPage, Space, SpaceSummary } from '../../contract/memory/memory.ts';
import { MoveRetirement, RetiredKey } from '../../contract/memory/membership.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import { PublishMirror, PublishMirrorResponse } from '../../contract/memory/mirror.ts';
import { CanonicalId, NodeId } from '../../contract/http/primitives.ts';
import { allowDeletions } from '../../db/queries/allow-deletions.ts';
import { listRetiredKeys, moveRetirement } from '../../db/queries/retire-key.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { listNodes } from '../../db/queries/list-nodes.ts';
import { historyUrl } from '../../engine/memory-workflows.ts';
import type { Deps } from '../deps.ts';
import { publishMirror } from '../spaces/mirror.ts';
import { auditByCaller } from '../auth/actor.ts';
import { requireNode, requireSpace, notFoundError } from '../http/not-found.ts';
import { defineRoute } from '../http/route.ts';
import { changeNodeSettings, changeSpace } from '../spaces/space-settings.ts';
import { membersPage, spaceSummaries, withStates } from '../spaces/space-states.ts';
import { addSpace, removeSpace } from '../spaces/spaces.ts';
import { acceptSync } from '../spaces/sync-requests.ts';

const tag = 'Spaces';
const Cid = z.strictObject({ cid: CanonicalId });

/** Returns the nodes that a sync request is for. */
async function listTargets(deps: Deps, space: Space, nodeId: string | undefined): Promise<string[]> {
  if (nodeId !== undefined) return [(await requireNode(deps, nodeId)).id];
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
    summary: 'List all memory spaces, each with counts of its nodes by status',
    description: 'The nodes of one space are at /api/membridge/spaces/:cid/members.',
    status: 200,
    response: z.array(SpaceSummary),
    handle: async (_call, deps) => await spaceSummaries(deps),
  }),
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces',
    auth: 'people',
    tag,
    summary: 'Create a memory space',
    description:
      'projects are the claude-mem project names that it covers: by default the space’s own name; ["*"] for all.',
    body: CreateSpace,
    status: 201,
    response: Space,
    errors: { 409: 'A space of this name exists' },
    handle: async ({ body, caller }, deps) =>
      await addSpace(deps, {
        name: body.name,
        projects: body.projects ?? [body.name],
        source: 'manual',
        by: auditByCaller(caller),
      }),
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
    handle: async ({ params }, deps) => {
      const [space] = await withStates(deps, [await requireSpace(deps, params.cid)]);
      if (space === undefined) throw new Error('withStates lost a space');
      return space;
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/spaces/:cid/members',
    auth: 'people',
    tag,
    summary: 'List the nodes of a space, a page at a time, with their present status',
    description: 'node, q and status filter the nodes; sort orders them; limit and offset select the page.',
    params: Cid,
    query: ListMembers,
    status: 200,
    response: MembersPage,
    errors: { 404: 'There is no such space' },
    handle: async ({ params, query }, deps) => {
      const now = deps.now();
      const space = await requireSpace(deps, params.cid);
      return membersPage(space, await listNodes(deps.db, { now }), query, now);
    },
  }),
  defineRoute({
    method: 'patch',
    path: '/api/membridge/spaces/:cid',
    auth: 'people',
    tag,
    summary: 'Change settings of a memory space; absent fields do not change',
    description:
      'A new name gives the space a new canonical id; the former one becomes an alias, so that the space keeps its memory and old paths still work. Online nodes sync immediately with the new settings, others when they return. excluded are projects that are never sent although projects covers them; redact removes secrets from what is sent; encrypted seals what is sent from now on for the enrolled nodes (older objects stay as they are).',
    params: Cid,
    body: UpdateSpace,
    status: 200,
    response: Space,
    errors: {
      404: 'There is no such space',
      409: 'The name, or an alias, belongs to another space',
    },
    handle: async ({ params, body, caller }, deps) =>
      await changeSpace(deps, await requireSpace(deps, params.cid), body, auditByCaller(caller)),
  }),
  defineRoute({
    method: 'put',
    path: '/api/membridge/spaces/:cid/nodes/:node/settings',
    auth: 'people',
    tag,
    summary: 'Replace one node’s own settings in a space',
    description:
      "names maps this node's project names to the space's. trust says what it does with another node's memories: accept merges them (the default), hold keeps them unmerged until a person accepts them, ignore does not fetch them.",
    params: z.strictObject({ cid: CanonicalId, node: NodeId }),
    body: PutNodeSettings,
    status: 200,
    response: Space,
    errors: { 404: 'There is no such space or node' },
    handle: async ({ params, body, caller }, deps) => {
      const space = await requireSpace(deps, params.cid);
      const { id } = await requireNode(deps, params.node);
      return await changeNodeSettings(deps, { space, node: id, settings: body, by: auditByCaller(caller) });
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces/:cid/nodes/:node/deletions',
    auth: 'people',
    tag,
    summary: 'Allow what other nodes hold back from a node: all that it sent until now',
    description:
      'Other nodes hold back a segment that would delete more than 100 of their memories, and more than 2 % of them, within two days, or that is part of more than 4 GiB. After this call they merge it. A node whose own deletions are held back sends them.',
    params: z.strictObject({ cid: CanonicalId, node: NodeId }),
    status: 204,
    errors: { 404: 'There is no such space' },
    handle: async ({ params, caller }, deps) => {
      const { canonical_id: cid } = await requireSpace(deps, params.cid);
      await allowDeletions(deps.db, { cid, node: params.node, by: auditByCaller(caller), now: deps.now() });
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/retired-keys',
    auth: 'people',
    tag,
    summary: 'List keys that no longer sign for their node, because it was removed or enrolled again',
    status: 200,
    response: z.array(RetiredKey),
    handle: async (_call, deps) => await listRetiredKeys(deps.db),
  }),
  defineRoute({
    method: 'put',
    path: '/api/membridge/retired-keys/:key_id',
    auth: 'people',
    tag,
    summary: 'Set the time before which the object store must have received what a retired key signed',
    description:
      'Nodes ignore what the store received later. Move the time if the objects were copied to another store, which gives them new times, or if the node was honest and still sent.',
    params: z.strictObject({ key_id: z.string().regex(/^[0-9a-f]{16}$/) }),
    body: MoveRetirement,
    status: 200,
    response: RetiredKey,
    errors: { 404: 'There is no such retired key' },
    handle: async ({ params, body, caller }, deps) => {
      const keyId = params.key_id;
      const moved = { keyId, until: body.until, by: auditByCaller(caller), now: deps.now() };
      const node = await moveRetirement(deps.db, moved);
      if (node === null) throw notFoundError('retired key', keyId);
      return { key_id: keyId, node_id: node, until: body.until };
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/api/membridge/spaces/:cid',
    auth: 'people',
    tag,
    summary: 'Delete a memory space',
    description: 'Its objects in the object store stay, and so do the memory on each node and its jobs.',
    params: Cid,
    status: 204,
    errors: { 404: 'There is no such space' },
    handle: async ({ params, caller }, deps) => {
      const { canonical_id } = await requireSpace(deps, params.cid);
      await removeSpace(deps, canonical_id, auditByCaller(caller));
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces/:cid/sync',
    auth: 'people',
    tag,
    summary: 'Sync a space on one node, or on every online node; answers immediately',
    params: Cid,
    body: RequestSync,
    status: 202,
    response: RequestSyncResponse,
    errors: { 404: 'There is no such space or node', 409: 'No node was named and none is online' },
    handle: async ({ params, body, caller }, deps) => {
      const space = await requireSpace(deps, params.cid);
      const nodes = await listTargets(deps, space, body.node_id);
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
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces/:cid/mirror',
    auth: 'people',
    tag,
    summary: "Publish a space now for machines with the original's scripts; answers immediately",
    description:
      'The primary first imports what these machines pushed. A snapshot that would hold fewer memories than its predecessor is refused (job with the error mirror_guarded). fewer accepts exactly the number that the refusal names. force takes the push lock although another machine holds it.',
    params: Cid,
    body: PublishMirror,
    status: 202,
    response: PublishMirrorResponse,
    errors: { 404: 'There is no such space', 409: 'The mirror is off, or the space has no primary' },
    handle: async ({ params, body, caller }, deps) =>
      await publishMirror(deps, { space: await requireSpace(deps, params.cid), agreed: body, caller }),
  }),
];
