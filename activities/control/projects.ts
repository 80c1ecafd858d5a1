import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { isAllowedHost, parseGitUrl } from '../../contract/projects/git-url.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { CloneAction, NodeCloneAction, Propagation } from '../../contract/projects/projects.ts';
import { MESSAGES, type NodeSettled } from '../../contract/workflows.ts';
import type { Database } from '../../db/connect.ts';
import { listCloneTargets } from '../../db/queries/list-clone-targets.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { getCloneSpec, getProject } from '../../db/queries/list-projects.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import {
  recordCloneFinished,
  recordCloneWaiting,
  type CloneOutcome,
  type CloneRef,
} from '../../db/queries/record-clone.ts';
import { recordPropagation } from '../../db/queries/record-propagation.ts';
import { requestSync } from '../../engine/memory-workflows.ts';
import { cancelClone, requestClone } from '../../engine/project-workflows.ts';

/** Control plane activities for managed projects. All of them are idempotent. */
export function createProjectControlActivities({
  db,
  client,
  gitHosts,
}: {
  db: Database;
  client: Client;
  /** Hosts that projects may be cloned from; empty for all. */
  gitHosts: readonly string[];
}) {
  return {
    /** Shows a clone as waiting. Returns whether its project and node still exist. */
    async recordCloneWaiting(
      input: CloneRef & { action: NodeCloneAction; detail: string },
    ): Promise<boolean> {
      return await recordCloneWaiting(db, { ...input, now: Date.now() });
    },

    /** Shows how the work on a clone ended. */
    async recordCloneFinished(
      input: CloneRef & { action: NodeCloneAction; outcome: CloneOutcome },
    ): Promise<void> {
      await recordCloneFinished(db, { ...input, now: Date.now() });
    },

    /** Shows the state of a propagation. */
    async recordPropagation(input: {
      projectId: string;
      propagation: Omit<Propagation, 'history_url'>;
    }): Promise<void> {
      await recordPropagation(db, { ...input, now: Date.now() });
    },

    /** Returns the nodes of a propagation, in order. */
    async listCloneTargets(input: {
      projectId: string;
      action: CloneAction;
      nodes: string[] | null;
    }): Promise<string[]> {
      return await listCloneTargets(db, { ...input, liveSince: Date.now() - ONLINE_WITHIN_MS });
    },

    /**
     * Asks one node to work on a project in its current form. If the project was deleted or may not be
     * cloned, reports that to the waiting workflow.
     */
    async requestClone(input: {
      projectId: string;
      node: string;
      action: CloneAction;
      notify: string;
    }): Promise<void> {
      const { projectId, node, action, notify } = input;
      const settle = (status: NodeSettled['status'], error: string): Promise<void> =>
        client.workflow.getHandle(notify).signal(MESSAGES.nodeSettled, { node, status, error });
      const spec = await getCloneSpec(db, { id: projectId, hosts: gitHosts });
      if (spec === null) return await settle('cancelled', 'the project was deleted');
      const { host } = parseGitUrl(spec.repoUrl);
      if (!isAllowedHost(host, gitHosts)) {
        return await settle('failed', `${host} is not among the hosts of MEMBRIDGE_GIT_HOSTS.`);
      }
      await requestClone(client, { projectId, node }, { action, spec, notify });
    },

    /** Cancels the work of nodes on a project. */
    async cancelClones(input: { projectId: string; nodes: string[] }): Promise<void> {
      for (const node of input.nodes) await cancelClone(client, input.projectId, node);
    },

    /**
     * Makes every live node push and pull in a project's space; does nothing when it has none.
     * @param input.runId of the workflow: job ids contain it, so that a retry asks for the same jobs
     */
    async syncProjectMemory({ projectId, runId }: { projectId: string; runId: string }): Promise<void> {
      const project = await getProject(db, { id: projectId });
      if (project === null) return;
      const nodes = await listLiveNodes(db, { withinMs: ONLINE_WITHIN_MS, now: Date.now() });
      const cid = project.space ?? project.canonical_id;
      const configs = await getNodeSpaceConfigs(db, { cid, nodes });
      await Promise.all(
        [...configs].map(async ([node, space]) => {
          const name = createHash('sha256').update(`${runId}/${node}`).digest('hex').slice(0, 16);
          const request = { jobId: `job_${name}`, action: 'sync', trigger: 'schedule' } as const;
          await requestSync(client, { space, node }, request);
        }),
      );
    },
  };
}
