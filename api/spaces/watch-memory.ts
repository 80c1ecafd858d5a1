import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { errorMessage } from '../../contract/errors.ts';
import { leadershipId, memorySpaceId } from '../../contract/workflows.ts';
import { listSpaceConfigs } from '../../db/queries/list-space-configs.ts';
import { listOpenJobs, recordLostJob, type OpenJob } from '../../db/queries/open-jobs.ts';
import {
  byEngine,
  auditEntry,
  recordAudit,
  spaceAuditEntry,
  type NewAudit,
} from '../../db/queries/record-audit.ts';
import { listLeaderships } from '../../db/queries/record-leadership.ts';
import { describeOutcome } from '../../engine/describe-outcome.ts';
import { ensureLeadership } from '../../engine/leadership-workflows.ts';
import { ensureMemorySpace } from '../../engine/memory-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';

/** How often the workflows are checked, in milliseconds. */
const CHECK_MS = 15_000;
/** How long Temporal may take to describe one workflow. */
const DESCRIBE_MS = 3_000;
/** A workflow that ends records its result within this time, in milliseconds. */
const SILENT_MS = 30_000;
/** How many syncs are checked each time. */
const MAX_JOBS_PER_CHECK = 200;

/**
 * Checks that the workflows behind memories and leaderships run: those of every space, of every primary, and of every
 * sync that has not ended. A space or a leadership whose workflow ended unexpectedly gets a new one, which the audit
 * log records. Such a sync has failed.
 * @returns a function that stops it and resolves when running rounds have ended
 */
export function watchMemory(deps: Deps, lookMs = CHECK_MS): () => Promise<void> {
  const stop = new AbortController();
  const watching = (async () => {
    let after = '';
    while (!stop.signal.aborted) {
      await sleep(lookMs, undefined, { signal: stop.signal }).catch(() => undefined);
      if (stop.signal.aborted) break;
      try {
        await mendSpaces(deps);
        await mendLeaderships(deps);
        after = await endLostJobs(deps, after);
      } catch (error) {
        deps.logger.warn({ reason: errorMessage(error) }, 'the workflows of spaces could not be checked');
      }
    }
  })();
  return async () => {
    stop.abort();
    await watching;
  };
}

async function mendSpaces(deps: Deps): Promise<void> {
  const running = await listRunning(deps, 'memorySpace');
  for (const space of await listSpaceConfigs(deps.db)) {
    const workflowId = memorySpaceId(space.cid);
    await mend(deps, running, workflowId, async (client, how) => {
      await ensureMemorySpace(client, space);
      return spaceAuditEntry(
        'space_workflow_restarted',
        space.cid,
        restartEntry(space.projectId, how),
        deps.now(),
      );
    });
  }
}

async function mendLeaderships(deps: Deps): Promise<void> {
  const running = await listRunning(deps, 'leadership');
  for (const known of await listLeaderships(deps.db, { now: deps.now() })) {
    if (known.primary_node_id === null) continue;
    const id = known.canonical_id;
    await mend(deps, running, leadershipId(id), async (client, how) => {
      await ensureLeadership(client, known);
      const told = restartEntry(`the leadership of ${id}`, how);
      return auditEntry({ type: 'leadership', id }, 'leadership_workflow_restarted', told, deps.now());
    });
  }
}

const restartEntry = (what: string, how: string) => ({
  ...byEngine('it should be running'),
  detail: `The workflow of ${what} ${how}; it was started again.`,
});

/**
 * Restarts a workflow that should be running and is not.
 * @param running ids from Temporal's visibility index; a missing one may have started a moment ago
 * @param start starts it, and returns the entry for the audit log
 */
async function mend(
  deps: Deps,
  running: ReadonlySet<string>,
  workflowId: string,
  start: (client: Client, how: string) => Promise<NewAudit>,
): Promise<void> {
  if (running.has(workflowId)) return;
  const how = await callEngine(deps.engine, (client) => describeOutcome(client, { workflowId }), DESCRIBE_MS);
  if (how === null) return;
  const entry = await callEngine(deps.engine, (client) => start(client, how));
  await deps.db.transaction((tx) => recordAudit(tx, [entry]));
  deps.logger.warn({ workflowId, how }, 'a workflow that should be running was restarted');
}

async function listRunning(deps: Deps, type: string): Promise<Set<string>> {
  return await callEngine(deps.engine, async (client) => {
    const found = new Set<string>();
    const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of client.workflow.list({ query, pageSize: 1_000 })) {
      found.add(workflowId);
    }
    return found;
  });
}

/** Checks some syncs that have not ended. @returns where the next round begins */
async function endLostJobs(deps: Deps, after: string): Promise<string> {
  const open = await listOpenJobs(deps.db, {
    after,
    before: deps.now() - SILENT_MS,
    limit: MAX_JOBS_PER_CHECK,
  });
  const byRun = Map.groupBy(open, ({ workflow_id, run_id }) => `${workflow_id} ${run_id}`);
  for (const jobs of byRun.values()) {
    const [{ workflow_id: workflowId, run_id: runId }] = jobs as [OpenJob, ...OpenJob[]];
    // A later sync has the same workflow id, so only the run id finds the lost one.
    const how = await callEngine(
      deps.engine,
      (client) => describeOutcome(client, { workflowId, runId }),
      DESCRIBE_MS,
    );
    if (how === null) continue;
    for (const job of jobs) {
      if (await recordLostJob(deps.db, { job, how, now: deps.now() })) {
        deps.logger.warn({ job: job.id, how }, 'a sync failed: its workflow is over');
      }
    }
  }
  return open.length < MAX_JOBS_PER_CHECK ? '' : (open.at(-1)?.id ?? '');
}
