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
import { byOf } from '../auth/actor.ts';
import { needNode, needSpace, notFound } from '../http/not-found.ts';
import { defineRoute } from '../http/route.ts';
import { changeNodeSettings, changeSpace } from '../spaces/space-settings.ts';
import { membersPage, spaceSummaries, withStates } from '../spaces/space-states.ts';
import { addSpace, removeSpace } from '../spaces/spaces.ts';
import { acceptSync } from '../spaces/sync-requests.ts';

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
    summary: 'All memory spaces, each with counts of its nodes by their state',
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
      'projects are the claude-mem project names it covers: the name itself unless given, ["*"] for all.',
    body: CreateSpace,
    status: 201,
    response: Space,
    errors: { 409: 'A space of this name exists' },
    handle: async ({ body, caller }, deps) =>
      await addSpace(deps, {
        name: body.name,
        projects: body.projects ?? [body.name],
        source: 'manual',
        by: byOf(caller),
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
      const [space] = await withStates(deps, [await needSpace(deps, params.cid)]);
      if (space === undefined) throw new Error('withStates lost a space');
      return space;
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/spaces/:cid/members',
    auth: 'people',
    tag,
    summary: 'The nodes of a space, a page at a time, with the state that each has now',
    description:
      'node, q and status choose nodes; limit and offset choose the page of those, in the order of sort.',
    params: Cid,
    query: ListMembers,
    status: 200,
    response: MembersPage,
    errors: { 404: 'There is no such space' },
    handle: async ({ params, query }, deps) => {
      const now = deps.now();
      const space = await needSpace(deps, params.cid);
      return membersPage(space, await listNodes(deps.db, { now }), query, now);
    },
  }),
  defineRoute({
    method: 'patch',
    path: '/api/membridge/spaces/:cid',
    auth: 'people',
    tag,
    summary: 'Change settings of a memory space; what is not given stays as it is',
    description:
      'A new name gives the space a new canonical id; the one before becomes an alias, so that the space keeps its memory and paths with it go on working. Online nodes sync at once with the new settings, others when they return. excluded are projects that are never sent although projects covers them; redact takes secrets out of what is sent; encrypted seals what is sent from now on for the enrolled nodes (what was stored before stays as it is).',
    params: Cid,
    body: UpdateSpace,
    status: 200,
    response: Space,
    errors: {
      404: 'There is no such space',
      409: 'The name, or an alias, belongs to another space',
    },
    handle: async ({ params, body, caller }, deps) =>
      await changeSpace(deps, await needSpace(deps, params.cid), body, byOf(caller)),
  }),
  defineRoute({
    method: 'put',
    path: '/api/membridge/spaces/:cid/nodes/:node/settings',
    auth: 'people',
    tag,
    summary: 'Set what one node does differently in a space, in place of what was set before',
    description:
      "names maps this node's names of projects to the space's. trust says what it does with what another node wrote: accept merges it (the default), hold keeps it aside until it is accepted, ignore does not even fetch it.",
    params: z.strictObject({ cid: CanonicalId, node: NodeId }),
    body: PutNodeSettings,
    status: 200,
    response: Space,
    errors: { 404: 'There is no such space or node' },
    handle: async ({ params, body, caller }, deps) => {
      const space = await needSpace(deps, params.cid);
      const { id } = await needNode(deps, params.node);
      return await changeNodeSettings(deps, { space, node: id, settings: body, by: byOf(caller) });
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces/:cid/nodes/:node/deletions',
    auth: 'people',
    tag,
    summary: 'Let through what other nodes hold back of a node: what it sent until now',
    description:
      'Other nodes keep a segment aside that would delete more than 100 of their memories, and more than 2 % of them, within two days, or that is part of more than 4 GiB. With this they merge it. A node whose own deletions are held back sends them.',
    params: z.strictObject({ cid: CanonicalId, node: NodeId }),
    status: 204,
    errors: { 404: 'There is no such space' },
    handle: async ({ params, caller }, deps) => {
      const { canonical_id: cid } = await needSpace(deps, params.cid);
      await allowDeletions(deps.db, { cid, node: params.node, by: byOf(caller), now: deps.now() });
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/retired-keys',
    auth: 'people',
    tag,
    summary: 'Keys that no longer sign for their node, since it was removed or enrolled again',
    status: 200,
    response: z.array(RetiredKey),
    handle: async (_call, deps) => await listRetiredKeys(deps.db),
  }),
  defineRoute({
    method: 'put',
    path: '/api/membridge/retired-keys/:key_id',
    auth: 'people',
    tag,
    summary: 'Set until when the object store must have taken what a retired key signed',
    description:
      'Nodes do not use what the store took later. Move the time if the objects were copied to another store, which gives them new times, or if the node was honest and still sent.',
    params: z.strictObject({ key_id: z.string().regex(/^[0-9a-f]{16}$/) }),
    body: MoveRetirement,
    status: 200,
    response: RetiredKey,
    errors: { 404: 'There is no such retired key' },
    handle: async ({ params, body, caller }, deps) => {
      const keyId = params.key_id;
      const moved = { keyId, until: body.until, by: byOf(caller), now: deps.now() };
      const node = await moveRetirement(deps.db, moved);
      if (node === null) throw notFound('retired key', keyId);
      return { key_id: keyId, node_id: node, until: body.until };
    },
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
    handle: async ({ params, caller }, deps) => {
      const { canonical_id } = await needSpace(deps, params.cid);
      await removeSpace(deps, canonical_id, byOf(caller));
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
  defineRoute({
    method: 'post',
    path: '/api/membridge/spaces/:cid/mirror',
    auth: 'people',
    tag,
    summary: "Publish a space for machines on the original's scripts now; answers at once",
    description:
      'The primary first imports what these machines pushed. A snapshot that would hold fewer memories than the one that it replaces is refused (job with the error mirror_guarded): fewer agrees to the very number that the refusal names. force takes the push lock although another machine holds it.',
    params: Cid,
    body: PublishMirror,
    status: 202,
    response: PublishMirrorResponse,
    errors: { 404: 'There is no such space', 409: 'The mirror is off, or nobody is primary' },
    handle: async ({ params, body, caller }, deps) =>
      await publishMirror(deps, { space: await needSpace(deps, params.cid), agreed: body, caller }),
  }),
];
