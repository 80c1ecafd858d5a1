import type { Client } from '@temporalio/client';
import { ONLINE_WITHIN_MS } from '../../contract/nodes.ts';
import type { CloneAction, Propagation } from '../../contract/projects.ts';
import { cloneProjectId } from '../../contract/workflows.ts';
import type { Database } from '../../db/connect.ts';
import { toCloneSpec } from '../../db/project-rows.ts';
import { listCloneTargets } from '../../db/queries/list-clone-targets.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { getProject } from '../../db/queries/list-projects.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import {
  recordCloneFinished,
  recordCloneWaiting,
  type CloneOutcome,
  type CloneRef,
} from '../../db/queries/record-clone.ts';
import { recordPropagation } from '../../db/queries/record-propagation.ts';
import { newJobId, requestSync } from '../../engine/memory-workflows.ts';
import { cancelWorkflow, requestClone } from '../../engine/project-workflows.ts';

/** Activities of managed projects beside the API. All of them may run twice with the effect of once. */
export function createProjectControlActivities({ db, client }: { db: Database; client: Client }) {
  return {
    /** Shows that a clone waits. Gives whether its project and node are still there. */
    async recordCloneWaiting(input: CloneRef & { action: CloneAction; detail: string }): Promise<boolean> {
      return await recordCloneWaiting(db, { ...input, now: Date.now() });
    },

    /** Shows how the work on a clone ended. */
    async recordCloneFinished(
      input: CloneRef & { action: CloneAction; outcome: CloneOutcome },
    ): Promise<void> {
      await recordCloneFinished(db, { ...input, now: Date.now() });
    },

    /** Shows how a propagation stands. */
    async recordPropagation(input: {
      projectId: string;
      propagation: Omit<Propagation, 'history_url'>;
    }): Promise<void> {
      await recordPropagation(db, { ...input, now: Date.now() });
    },

    /** The nodes that a propagation is to serve, in order. */
    async listCloneTargets(input: {
      projectId: string;
      action: CloneAction;
      nodes: string[] | null;
    }): Promise<string[]> {
      return await listCloneTargets(db, { ...input, liveSince: Date.now() - ONLINE_WITHIN_MS });
    },

    /** Asks one node to work on a project as it is now. A project that was deleted meanwhile is told of as cancelled. */
    async requestClone(input: {
      projectId: string;
      node: string;
      action: CloneAction;
      notify: string;
    }): Promise<void> {
      const { projectId, node, action, notify } = input;
      const project = await getProject(db, { id: projectId });
      if (project === null) {
        const settled = { node, status: 'cancelled', error: 'the project was deleted' };
        await client.workflow.getHandle(notify).signal('nodeSettled', settled);
        return;
      }
      await requestClone(client, { projectId, node }, { action, spec: toCloneSpec(project), notify });
    },

    /** Cancels what nodes do with a project. */
    async cancelClones(input: { projectId: string; nodes: string[] }): Promise<void> {
      for (const node of input.nodes) await cancelWorkflow(client, cloneProjectId(input.projectId, node));
    },

    /** Has every live node send and fetch in a project's space; nothing when it has none any more. */
    async syncProjectMemory({ projectId }: { projectId: string }): Promise<void> {
      const project = await getProject(db, { id: projectId });
      if (project === null) return;
      const nodes = await listLiveNodes(db, { withinMs: ONLINE_WITHIN_MS, now: Date.now() });
      const cid = project.space ?? project.canonical_id;
      for (const [node, space] of await getNodeSpaceConfigs(db, { cid, nodes })) {
        const request = { jobId: newJobId(), action: 'sync', trigger: 'schedule' } as const;
        await requestSync(client, { space, node }, request);
      }
    },
  };
}
