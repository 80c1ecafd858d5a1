import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { Job, type Space } from '../../contract/memory/memory.ts';
import { NodeId } from '../../contract/http/primitives.ts';
import { SyncProjectMemory, type ManagedProject } from '../../contract/projects/projects.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import type { Deps } from '../deps.ts';
import { withHistoryUrl } from '../spaces/history-url.ts';
import { ProblemError } from '../http/problems.ts';
import { requireManagedProject, requireTargetNode } from '../projects/requests.ts';
import { defineRoute } from '../http/route.ts';
import { acceptSync, waitForJob } from '../spaces/sync-requests.ts';

const Answer = z.strictObject({
  /** The original's: `ok`. With `wait: false`, or for all nodes: `syncing`. */
  status: z.enum(['ok', 'syncing']),
  direction: z.enum(['push', 'pull', 'sync']),
  node: NodeId.nullable(),
  result: Job.nullable(),
  jobs: z.array(z.strictObject({ job_id: z.string(), node_id: NodeId })),
});

/** Returns the space of a project: the one it is mapped to, or the one with its name. @throws MembridgeError conflict */
async function spaceOf(deps: Deps, project: ManagedProject): Promise<Space> {
  const space = await getSpace(deps.db, { cid: project.space ?? project.canonical_id });
  if (space !== null) return space;
  throw new MembridgeError(
    'conflict',
    project.space === null
      ? `${project.name} has no memory space: choose one in its settings (field "space"), or make a space named ${project.name}.`
      : `The memory space of ${project.name} (${project.space}) was deleted: choose another in its settings (field "space").`,
  );
}

async function listTargets(
  deps: Deps,
  project: ManagedProject,
  body: z.infer<typeof SyncProjectMemory>,
): Promise<string[]> {
  if (!body.all) return [await requireTargetNode(deps, project, body.node_id)];
  const live = await listLiveNodes(deps.db, { withinMs: ONLINE_WITHIN_MS, now: deps.now() });
  if (live.length === 0) throw new MembridgeError('conflict', 'No node is online.');
  return live;
}

export const projectMemoryRoutes = [
  defineRoute({
    method: 'post',
    path: '/api/runtime/projects/:id/sync-memory',
    auth: 'people',
    tag: 'Projects',
    summary: "Send or fetch the memory of a project's space on one node, or on every online node",
    description:
      'On the primary unless a node is named. Waits for the end unless "wait" is false or "all" is true.',
    params: z.strictObject({ id: z.string() }),
    body: SyncProjectMemory,
    status: 200,
    accepted: 'It continues: the caller did not wait, or asked for every node',
    response: Answer,
    errors: {
      404: 'There is no such project or node',
      409: 'The project has no memory space, or no node is online',
      502: 'The sync failed; job_id names its job',
      504: 'The sync has not ended after 60 s and continues; job_id names its job',
    },
    handle: async ({ params, body, caller, res }, deps) => {
      const project = await requireManagedProject(deps, params.id);
      const space = await spaceOf(deps, project);
      const { direction } = body;
      const accepted = [];
      for (const node of await listTargets(deps, project, body)) {
        accepted.push(await acceptSync(deps, { space, node, action: direction, caller }));
      }
      const jobs = accepted.map(({ jobId, node }) => ({ job_id: jobId, node_id: node }));
      const [first] = accepted;
      if (first === undefined || body.all || !body.wait) {
        res.status(202);
        return { status: 'syncing' as const, direction, node: first?.node ?? null, result: null, jobs };
      }
      const job = await waitForJob(deps, first.jobId, deps.syncWaitMs);
      if (job === null || job.status === 'failed') {
        throw new ProblemError(
          job === null ? 'sync_timeout' : 'sync_failed',
          job === null
            ? `The ${direction} of ${space.name} on ${first.node} has not ended after ${deps.syncWaitMs / 1_000} s. It continues.`
            : `The ${direction} of ${space.name} on ${first.node} failed: ${job.detail}`,
          { job_id: first.jobId },
        );
      }
      return {
        status: 'ok' as const,
        direction,
        node: first.node,
        result: withHistoryUrl(job, deps.config),
        jobs,
      };
    },
  }),
];
