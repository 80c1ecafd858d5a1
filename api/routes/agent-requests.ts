import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import {
  AgentClaim,
  AgentSync,
  AgentSyncAnswer,
  SYNC_ANSWER_MS,
} from '../../contract/nodes/agent-requests.ts';
import { Claimed } from '../../contract/tasks/runs.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import { notifySpace, syncAndWait } from '../../engine/memory-workflows.ts';
import { claimTask, describeRefusal } from '../../engine/task-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { defineRoute } from '../http/route.ts';

const Cid = z.strictObject({ cid: z.string() });
const Id = z.strictObject({ id: z.string() });
const tag = 'Agent';
const OUTSIDE = { 403: 'The node does not take part in the space' };

/** What agents ask of workflows when they reach Temporal through the control plane only. The node is always the caller. */
export const agentRequestRoutes = [
  defineRoute({
    method: 'post',
    path: '/api/agent/spaces/:cid/noticed',
    auth: 'node',
    tag,
    summary: 'An agent reports that claude-mem wrote something on its node',
    params: Cid,
    status: 200,
    response: z.strictObject({ ok: z.literal(true) }),
    errors: OUTSIDE,
    handle: async ({ params, caller }, deps) => {
      const node = caller.node ?? '';
      const space = await requireSpace(deps, params.cid, node);
      await callEngine(deps.engine, (client) => notifySpace(client, space, node));
      return { ok: true as const };
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/agent/spaces/:cid/sync',
    auth: 'node',
    tag,
    summary: 'An agent requests a sync of its own node',
    description: `Waits ${SYNC_ANSWER_MS / 1_000} s for its end. A result of null says that the sync still runs: repeat the request with the same job_id.`,
    params: Cid,
    body: AgentSync,
    status: 200,
    response: AgentSyncAnswer,
    errors: OUTSIDE,
    handle: async ({ params, body, caller }, deps) => {
      const node = caller.node ?? '';
      const space = await requireSpace(deps, params.cid, node);
      const request = { jobId: body.job_id, action: body.action, trigger: 'cli' } as const;
      const wait = async () =>
        await callEngine(
          deps.engine,
          (client) => syncAndWait(client, { space, node }, request),
          SYNC_ANSWER_MS,
        );
      const result = await wait().catch((error: unknown) => {
        // The update continues at Temporal; the agent asks for its end again by the same id.
        if (error instanceof MembridgeError && error.code === 'engine_busy') return null;
        throw error;
      });
      return { result };
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/agent/tasks/:id/claim',
    auth: 'node',
    tag,
    summary: 'An agent begins the attempt that it took from its task queue',
    description: 'Repeating a claim gives the same answer.',
    params: Id,
    body: AgentClaim,
    status: 200,
    response: Claimed,
    errors: { 409: 'The attempt was given to another node, or taken back' },
    unlimited: true,
    handle: async ({ params, body, caller }, deps) => {
      try {
        return await callEngine(deps.engine, (client) =>
          claimTask(client, params.id, { ...body, worker: caller.node ?? '' }),
        );
      } catch (error) {
        const refusal = describeRefusal(error);
        if (refusal === null) throw error;
        throw new MembridgeError('conflict', refusal, { cause: error });
      }
    },
  }),
];

/** @throws MembridgeError forbidden when the node does not take part in the space */
async function requireSpace(deps: Deps, cid: string, node: string): Promise<SpaceConfig> {
  const space = (await getNodeSpaceConfigs(deps.db, { cid, nodes: [node] })).get(node);
  if (space !== undefined) return space;
  throw new MembridgeError('forbidden', `Node ${node} does not take part in the space ${cid}.`);
}
