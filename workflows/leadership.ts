import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { PrimaryActivities } from '../activities/node/primary.ts';
import type { SpaceConfig } from '../contract/memory.ts';
import {
  MESSAGES,
  nodeQueue,
  type LeadershipInput,
  type LeadershipState,
  type SelectRequest,
} from '../contract/workflows.ts';
import { failureOf } from './failure-of.ts';

export const selectPrimary = defineUpdate<LeadershipState, [SelectRequest]>(MESSAGES.selectPrimary);
export const closeLeadership = defineSignal(MESSAGES.closeLeadership);

/** The lease is renewed when a third of it has passed, so that two renewals may fail before it runs out. */
const RENEW_PART = 3;
/** How soon a renewal is tried again when the primary does not answer, in milliseconds. */
const RENEW_AGAIN_MS = 10_000;
/** How often the primary takes a snapshot, in milliseconds: at most a day of segments is read by a new node. */
const SNAPSHOT_EVERY_MS = 24 * 3_600_000;
/** How often it looks whether the mirror is to be published anew. One that has nothing new costs a small request. */
const MIRROR_EVERY_MS = 15 * 60_000;
/** How soon what failed is tried again. */
const AGAIN_MS = 10 * 60_000;

const control = proxyLocalActivities<ControlActivities>({
  startToCloseTimeout: '20 seconds',
  retry: { maximumInterval: '5 seconds' },
});

/**
 * Who is primary of one space or project. A person selects a node; its lease is renewed while the node lives, and runs out when
 * it does not: then nobody is, until a person selects again. Each change of the primary is a new epoch, which everything that
 * a primary does carries, so that one that was deposed is refused. Losing every primary loses no memory: any node may write.
 */
export async function leadership(input: LeadershipInput): Promise<void> {
  const { cid } = input;
  let state = input.state;
  let closed = false;
  let changes = 0;
  let busy = false;
  const due = { snapshot: input.lastSnapshotAt, mirror: input.lastMirrorAt };
  /** One change at a time: an epoch is given once. */
  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    await condition(() => !busy);
    busy = true;
    try {
      return await work();
    } finally {
      busy = false;
    }
  };

  setHandler(selectPrimary, async ({ node, leaseSeconds, by }) =>
    alone(async () => {
      const now = Date.now();
      const isRenewal = state?.primary === node;
      const next: LeadershipState = {
        cid,
        primary: node,
        epoch: isRenewal ? (state?.epoch ?? 0) : (state?.epoch ?? 0) + 1,
        leaseSeconds,
        issuedAt: isRenewal ? (state?.issuedAt ?? now) : now,
        expiresAt: now + leaseSeconds * 1_000,
        issuedBy: by,
      };
      await control.recordLeadership({ state: next, event: isRenewal ? null : 'selected', by });
      state = next;
      changes += 1;
      return next;
    }),
  );
  setHandler(closeLeadership, () => {
    closed = true;
  });

  let renewAt = 0;
  // Beside the loop: a snapshot may take longer than the lease, which has to be renewed meanwhile.
  let leading: Promise<void> | null = null;
  while (!closed) {
    const now = Date.now();
    const seen = changes;
    const wakeAt =
      state?.primary == null
        ? null
        : Math.min(renewAt, state.expiresAt, ...(leading === null ? [nextWork(due)] : []));
    const wasLeading = leading !== null;
    const news = (): boolean => closed || changes !== seen || wasLeading !== (leading !== null);
    if (wakeAt === null) await condition(news);
    else if (wakeAt > now) await condition(news, wakeAt - now);
    if (closed) break;
    if (changes !== seen && state !== null) renewAt = Date.now() + (state.leaseSeconds * 1_000) / RENEW_PART;
    if (Date.now() >= renewAt) renewAt = await alone(renew);
    if (state?.primary != null && leading === null && Date.now() >= nextWork(due)) {
      leading = lead(state, due).finally(() => {
        leading = null;
      });
    }

    if (workflowInfo().continueAsNewSuggested && leading === null && allHandlersFinished() && !closed) {
      await continueAsNew<typeof leadership>({
        cid,
        state,
        lastSnapshotAt: due.snapshot,
        lastMirrorAt: due.mirror,
      });
    }
  }
  await condition(allHandlersFinished);

  /** Renews the lease while its node lives; ends it when its time is over. @returns when to look again, epoch ms */
  async function renew(): Promise<number> {
    if (state?.primary == null) return 0;
    const { primary, leaseSeconds } = state;
    const isLive = await control.isNodeLive({ node: primary });
    const now = Date.now();
    if (isLive) {
      state = { ...state, expiresAt: now + leaseSeconds * 1_000 };
      await control.recordLeadership({ state, event: null, by: 'engine' });
      setCurrentDetails(`${primary} is primary in epoch ${state.epoch}`);
      return now + (leaseSeconds * 1_000) / RENEW_PART;
    }
    if (now < state.expiresAt) return Math.min(now + RENEW_AGAIN_MS, state.expiresAt);
    state = { ...state, primary: null };
    await control.recordLeadership({ state, event: 'expired', by: 'engine' });
    setCurrentDetails(`the lease of ${primary} (epoch ${state.epoch}) ran out; nobody is primary`);
    return 0;
  }
}

const nextWork = (due: { snapshot: number; mirror: number }): number =>
  Math.min(due.snapshot + SNAPSHOT_EVERY_MS, due.mirror + MIRROR_EVERY_MS);

/** What being primary means: snapshots for new nodes, and the mirror for machines still on the original's scripts. */
async function lead(state: LeadershipState, due: { snapshot: number; mirror: number }): Promise<void> {
  const { cid, epoch } = state;
  const node = state.primary ?? '';
  let snapshotOf: SpaceConfig | null = null;
  for (const what of ['snapshot', 'mirror'] as const) {
    const every = what === 'snapshot' ? SNAPSHOT_EVERY_MS : MIRROR_EVERY_MS;
    const now = Date.now();
    if (now < due[what] + every) continue;
    due[what] = now;
    const space = await control.spaceToLead({ cid, node, what });
    if (space === null) continue;
    try {
      const work = onNode(node, `${what} of ${space.projectId} in epoch ${epoch}`);
      if (what === 'snapshot') await work.takeSnapshot({ space, epoch });
      else await work.publishMirror({ space, epoch });
      await control.recordPrimaryAction({ cid, node, epoch, what, error: null });
      if (what === 'snapshot') snapshotOf = space;
    } catch (error) {
      const failure = failureOf(error, {
        code: 'sync_timeout',
        message: `${node} did not take the ${what} in time`,
      });
      due[what] = Date.now() - every + Math.min(AGAIN_MS, every);
      await control.recordPrimaryAction({ cid, node, epoch, what, error: failure.message });
    }
  }
  if (snapshotOf !== null) await collectEverywhere(snapshotOf);
}

/** Each node removes what it wrote and nobody needs any more. One that cannot does it after the next snapshot. */
async function collectEverywhere(space: SpaceConfig): Promise<void> {
  const nodes = await control.liveSpaceConfigs({ cid: space.cid });
  // Failures stay in the history.
  await Promise.allSettled(
    nodes.map(([node, config]) =>
      onNode(node, `collection of ${space.projectId}`).collectMemory({ space: config, epoch: 0 }),
    ),
  );
}

function onNode(node: string, summary: string): PrimaryActivities {
  return proxyActivities<PrimaryActivities>({
    taskQueue: nodeQueue(node),
    scheduleToStartTimeout: '15 seconds',
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '2 seconds', maximumAttempts: 3 },
    summary,
  });
}
