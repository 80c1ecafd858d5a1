import { WorkflowNotFoundError } from '@temporalio/client';
import { errorMessage } from '../../contract/errors.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import { CloneProgress, type ProjectNodeStatus } from '../../contract/projects/projects.ts';
import { listMissingClones } from '../../db/queries/list-clone-targets.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { recordCloneFinished } from '../../db/queries/record-clone.ts';
import {
  listOpenClones,
  recordCloneMoment,
  type CloneMoment,
} from '../../db/queries/record-clone-progress.ts';
import { listOpenPropagations, recordPropagation } from '../../db/queries/record-propagation.ts';
import { signalCloneFailed } from '../../engine/project-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { describePending, nodeActivity } from '../engine/pending-activity.ts';
import { joinNode } from './requests.ts';

/** How often running clones are checked, in milliseconds: as often as an agent's heartbeat reports them. */
const CHECK_MS = 1_000;
/** How often a clone that waits for an absent node is checked. */
const AWAY_MS = 10_000;
/** How often propagations, and nodes that should join, are checked. */
const SLOW_MS = 5_000;
/** How many workflows are described at the same time. */
const MAX_CONCURRENT_DESCRIBES = 8;
/** How long Temporal may take to describe one. */
const DESCRIBE_MS = 3_000;
/** A workflow that ends records that itself within this time. After it, the workflow was terminated and never will. */
const SILENT_MS = 10_000;

/**
 * Shows the progress of clones from the heartbeats of their activities, and what waiting clones wait for. It also
 * detects workflows that somebody terminated, so that nothing shows as cloning forever. And it asks newly enrolled
 * nodes to join the projects that want them.
 * @returns a function that stops it
 */
export function watchProjects(deps: Deps): () => void {
  const lookedAt = new Map<string, number>();
  let slowAt = 0;
  let stopped = false;
  let timer: NodeJS.Timeout;
  const look = async (): Promise<void> => {
    try {
      const now = deps.now();
      const isSlow = now - slowAt >= SLOW_MS;
      const open = await listOpenClones(deps.db);
      const live = new Set(
        open.length === 0 ? [] : await listLiveNodes(deps.db, { withinMs: ONLINE_WITHIN_MS, now }),
      );
      const due = open.filter(({ id, node_id }) => {
        const every = live.has(node_id) ? CHECK_MS : AWAY_MS;
        return now - (lookedAt.get(id) ?? 0) >= every - CHECK_MS / 2;
      });
      const known = new Set(open.map(({ id }) => id));
      for (const id of lookedAt.keys()) if (!known.has(id)) lookedAt.delete(id);
      for (let at = 0; at < due.length && !stopped; at += MAX_CONCURRENT_DESCRIBES) {
        await Promise.all(
          due.slice(at, at + MAX_CONCURRENT_DESCRIBES).map(async (status) => {
            lookedAt.set(status.id, now);
            // A failure for one clone must not keep the others from being shown.
            await lookAtClone(deps, status, live.has(status.node_id)).catch((error: unknown) => {
              const { project_id, node_id } = status;
              deps.logger.warn(
                { project_id, node_id, reason: errorMessage(error) },
                'a clone was not checked',
              );
            });
          }),
        );
      }
      if (isSlow && !stopped) {
        slowAt = now;
        await lookAtPropagations(deps);
        await joinMissing(deps);
      }
    } catch (error) {
      deps.logger.warn({ reason: errorMessage(error) }, 'clones could not be checked');
    } finally {
      if (!stopped) timer = setTimeout(() => void look(), CHECK_MS);
    }
  };
  timer = setTimeout(() => void look(), CHECK_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

async function lookAtClone(deps: Deps, was: ProjectNodeStatus, online: boolean): Promise<void> {
  const description = await describe(deps, was);
  const now = deps.now();
  if (description === null || description.status.name !== 'RUNNING') {
    if (now - was.updated_at < SILENT_MS) return;
    const how = description === null ? 'is gone' : `ended as ${description.status.name.toLowerCase()}`;
    const ref = {
      projectId: was.project_id,
      node: was.node_id,
      workflowId: was.workflow_id,
      runId: was.run_id,
    };
    const message = `Its workflow ${how} without a result; clone it again.`;
    const outcome = { kind: 'failed' as const, code: 'clone_failed', message };
    // Notified first: once the end is recorded, nobody checks this clone again.
    await callEngine(deps.engine, (client) =>
      signalCloneFailed(client, { projectId: was.project_id, node: was.node_id, error: message }),
    );
    await recordCloneFinished(deps.db, { ...ref, action: 'clone', outcome, now, onlyIfOpen: true });
    return;
  }
  const pending = nodeActivity(description.raw.pendingActivities ?? [], was.node_id);
  if (pending === null) return;
  const progress = pending.started ? CloneProgress.safeParse(pending.heartbeat) : null;
  const moment: CloneMoment = {
    status: pending.started ? 'cloning' : 'pending',
    detail: describePending(pending, { node: was.node_id, online, now }) ?? 'cloning',
    progress: progress?.success === true ? progress.data : null,
  };
  const same =
    moment.status === was.clone_status &&
    moment.detail === was.detail &&
    JSON.stringify(moment.progress) === JSON.stringify(was.progress);
  if (!same) await recordCloneMoment(deps.db, { was, moment, now });
}

async function lookAtPropagations(deps: Deps): Promise<void> {
  for (const { projectId, propagation } of await listOpenPropagations(deps.db)) {
    const description = await describe(deps, propagation);
    if (description?.status.name === 'RUNNING') continue;
    const now = deps.now();
    await recordPropagation(deps.db, {
      projectId,
      propagation: { ...propagation, state: 'cancelled', finished_at: now },
      now,
      onlyIfOpen: true,
    });
  }
}

async function joinMissing(deps: Deps): Promise<void> {
  for (const missing of await listMissingClones(deps.db)) {
    try {
      await joinNode(deps, missing);
    } catch (error) {
      deps.logger.warn({ ...missing, reason: errorMessage(error) }, 'a new node could not be asked to clone');
    }
  }
}

/** Describes a workflow's run; null when Temporal knows none. */
async function describe(deps: Deps, { workflow_id, run_id }: { workflow_id: string; run_id: string }) {
  try {
    return await callEngine(
      deps.engine,
      (client) => client.workflow.getHandle(workflow_id, run_id).describe(),
      DESCRIBE_MS,
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}
