import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { SyncTrigger } from '../../contract/http/primitives.ts';
import type { SyncRequest, SyncRoundResult, WavePage } from '../../contract/workflows.ts';
import type { Database } from '../../db/connect.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import { recordRoundFinished } from '../../db/queries/record-round-finished.ts';
import { planWave } from '../../db/queries/plan-wave.ts';
import { recordWave, type RecordedWave } from '../../db/queries/record-wave.ts';
import { recordRoundStarted } from '../../db/queries/record-round-started.ts';
import { requestSync } from '../../engine/memory-workflows.ts';
import { toFailure } from '../failures.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { createLeadershipActivities } from './leadership.ts';
import { createProjectControlActivities } from './projects.ts';
import { createTaskControlActivities } from './tasks.ts';
import { createProposalControlActivities } from './proposals.ts';
import { createTaskScheduleActivities } from './task-schedules.ts';
import { createWebhookActivities, type WebhookAccess } from './webhooks.ts';

/** A round of syncMemory as recorded in PostgreSQL. */
export interface RoundStarted {
  readonly space: SpaceConfig;
  readonly node: string;
  readonly requests: (SyncRequest & { readonly requestedAt: number })[];
  readonly workflowId: string;
  readonly runId: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

export interface RoundFinished extends RoundStarted {
  readonly result: SyncRoundResult;
  /** Epoch milliseconds. */
  readonly finishedAt: number;
}

/**
 * Control plane activities for memory: status for people, and which nodes sync next. All of them are
 * idempotent.
 */
export function createControlActivities(dependencies: {
  db: Database;
  client: Client;
  store: ObjectStore;
  gitHosts: readonly string[];
  webhooks: WebhookAccess;
}) {
  const { db, client } = dependencies;

  async function ask(
    space: SpaceConfig,
    nodes: string[],
    request: Omit<SyncRequest, 'jobId'>,
  ): Promise<void> {
    // Uses each node's current configuration. A space that was deleted or renamed in the meantime yields
    // none.
    const configs = await getNodeSpaceConfigs(db, { cid: space.cid, nodes });
    const asked = await Promise.allSettled(
      [...configs].map(([node, config]) => {
        return requestSync(client, { space: config, node }, { jobId: deterministicJobId(node), ...request });
      }),
    );
    // A single node that could not be asked is asked at the next catch-up. If none could be, Temporal is
    // away.
    const failed = asked.filter((each) => each.status === 'rejected');
    if (failed[0] !== undefined && failed.length === asked.length) throw failed[0].reason;
  }

  const liveNodes = (): Promise<string[]> =>
    listLiveNodes(db, { withinMs: ONLINE_WITHIN_MS, now: Date.now() });

  const activities = {
    ...createProjectControlActivities(dependencies),
    ...createLeadershipActivities(dependencies),
    ...createTaskControlActivities(dependencies),
    ...createProposalControlActivities(dependencies),
    ...createWebhookActivities(dependencies),
    ...createTaskScheduleActivities(dependencies),

    /** Shows the round's jobs as running. */
    async recordRoundStarted(round: RoundStarted): Promise<void> {
      await recordRoundStarted(db, round);
    },

    /** Shows the round's jobs as completed or failed, with their figures. */
    async recordRoundFinished(round: RoundFinished): Promise<void> {
      await recordRoundFinished(db, round);
    },

    /** Makes every live node pull, except a node that is the only source of the new memories. */
    async pullOnOtherNodes({ space, sources }: { space: SpaceConfig; sources: string[] }): Promise<void> {
      const only = sources.length === 1 ? sources[0] : undefined;
      const others = (await liveNodes()).filter((node) => node !== only);
      await ask(space, others, { action: 'pull', trigger: 'fan-out' });
    },

    /**
     * Makes nodes sync through their own workflows: nodes that came back, and those that a wave could not
     * serve.
     * @param input.tell whether each node's workflow reports its sync to the space's workflow
     */
    async syncNodes(input: {
      space: SpaceConfig;
      nodes: string[];
      trigger?: SyncTrigger;
      tell?: boolean;
    }): Promise<void> {
      const { space, nodes, trigger = 'returned', tell = false } = input;
      await ask(space, nodes, { action: 'sync', trigger, ...(tell ? { tell } : {}) });
    },

    /**
     * Returns the nodes that a wave serves, page by page, each with its current configuration.
     * @param input.only these nodes; null for every live one
     * @param input.after the last node of the previous page; empty for the first page
     */
    async planWave(input: { cid: string; only: string[] | null; after: string }): Promise<WavePage> {
      return await planWave(db, { ...input, withinMs: ONLINE_WITHIN_MS, now: Date.now() });
    },

    /** Records what a wave did on its nodes. */
    async recordWave(wave: RecordedWave): Promise<void> {
      await recordWave(db, wave);
    },

    /** Makes every live node push and pull. */
    async syncLiveNodes({ space }: { space: SpaceConfig }): Promise<void> {
      await ask(space, await liveNodes(), { action: 'sync', trigger: 'catch-up' });
    },
  };
  return withFailures(activities);
}

/** Returns a job's id. It is deterministic, so that a retried activity gives no node a second job. */
function deterministicJobId(node: string): string {
  const { workflowExecution, activityId } = Context.current().info;
  const name = `${workflowExecution?.runId ?? ''}/${activityId}/${node}`;
  return `job_${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}

export type ControlActivities = ReturnType<typeof createControlActivities>;

/** Converts every activity's errors to Temporal's form. */
function withFailures<T extends Record<string, (input: never) => Promise<unknown>>>(activities: T): T {
  const wrapped = Object.entries(activities).map(([name, activity]) => [
    name,
    async (input: never): Promise<unknown> => {
      try {
        return await activity(input);
      } catch (error) {
        throw toFailure(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}
