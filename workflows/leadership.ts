import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { PrimaryActivities } from '../activities/node/primary.ts';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import type { MirrorOutcome, MirrorRequest } from '../contract/memory/mirror.ts';
import { MESSAGES, nodeQueue } from '../contract/names.ts';
import type { LeadershipInput, LeadershipState, SelectRequest } from '../contract/workflows.ts';
import { failureOf } from './activity-failure.ts';
import { control } from './control.ts';

export const selectPrimary = defineUpdate<LeadershipState, [SelectRequest]>(MESSAGES.selectPrimary);
export const closeLeadership = defineSignal(MESSAGES.closeLeadership);
export const publishMirror = defineSignal<[MirrorRequest]>(MESSAGES.publishMirror);

/** The lease is renewed after a third of its duration, so that two renewals may fail before it expires. */
const RENEW_PART = 3;
/**
 * Retry interval for a renewal when the primary does not answer, and for writing the lease object, in
 * milliseconds.
 */
const RENEW_RETRY_MS = 10_000;
/** Snapshot interval of the primary, in milliseconds: a new node then reads at most a day of segments. */
const SNAPSHOT_EVERY_MS = 24 * 3_600_000;
/**
 * How often the primary imports what machines on the original's scripts pushed, and publishes the mirror,
 * until the node sets the interval (MEMBRIDGE_MIRROR_MINUTES). A round without news costs a small request.
 */
const MIRROR_EVERY_MS = 15 * 60_000;
/** Shortest mirror interval, even if a node sets a shorter one. */
const MIN_MIRROR_MS = 1_000;
/** Retry interval for failed work. */
const RETRY_WORK_MS = 10 * 60_000;

/** The workflow itself retries writing the lease object, because the store may be away for days. */
const store = proxyLocalActivities<Pick<ControlActivities, 'writeLease'>>({
  startToCloseTimeout: '20 seconds',
  retry: { maximumAttempts: 2 },
});

/**
 * Holds the leadership of one space or project. A person selects a node, and its lease is renewed while the
 * node is alive. When the lease expires, no node is primary until a person selects one. Each change of the
 * primary starts a new leadership epoch. Every action of a primary carries the epoch, so a deposed primary is
 * refused. Without a primary no memory is lost, because every node may write.
 *
 * PostgreSQL decides about epochs; the lease object, which nodes check before they publish, follows it.
 *
 * What may interleave here, and why it is safe: changes of the state run one at a time through `alone`. A
 * snapshot runs beside the loop, because it may take longer than the lease. It carries its leadership epoch, so its
 * results are refused if another primary was selected during it.
 */
export async function leadership(input: LeadershipInput): Promise<void> {
  const { cid } = input;
  let state = input.state;
  let closed = false;
  let changes = 0;
  /** Whether the lease object is still to be written. */
  let isLeaseOpen = input.leaseOpen ?? false;
  const work: Work = {
    snapshot: { every: SNAPSHOT_EVERY_MS, doneAt: input.lastSnapshotAt, notBefore: 0, asked: [] },
    mirror: {
      every: input.mirrorEveryMs ?? MIRROR_EVERY_MS,
      doneAt: input.lastMirrorAt,
      notBefore: 0,
      asked: [],
    },
  };
  // One change at a time, in order, so that each leadership epoch is assigned once. `condition` would release
  // two waiting changes together.
  let last: Promise<unknown> = Promise.resolve();
  const alone = <T>(change: () => Promise<T>): Promise<T> => {
    const done = last.then(change, change);
    last = done;
    return done;
  };

  /**
   * Records a state; if PostgreSQL has a newer one, adopts that.
   * @returns whether the given state was recorded
   */
  const adopt = async (
    next: LeadershipState,
    event: 'selected' | 'expired' | 'released' | null,
    by: string,
  ): Promise<boolean> => {
    const { recorded, known } = await control.recordLeadership({ state: next, event, by });
    state = recorded ? next : known;
    if (event === 'selected') for (const part of Object.values(work)) part.notBefore = 0;
    changes += 1;
    isLeaseOpen = state !== null;
    return recorded;
  };

  setHandler(selectPrimary, ({ node, leaseSeconds, by, above = 0 }) =>
    alone(async () => {
      // The space was created again before the workflow of the former one ended.
      if (node !== null) closed = false;
      for (;;) {
        const now = Date.now();
        // A machine on the original's scripts took the lease since then: its leadership epoch is behind ours,
        // so a renewal would go back.
        const isOvertaken = above > (state?.epoch ?? 0);
        const isRenewal = node !== null && state?.primary === node && !isOvertaken;
        const next: LeadershipState = {
          cid,
          primary: node,
          epoch: isRenewal ? (state?.epoch ?? 0) : Math.max(state?.epoch ?? 0, above) + 1,
          leaseSeconds,
          issuedAt: isRenewal ? (state?.issuedAt ?? now) : now,
          expiresAt: node === null ? now : now + leaseSeconds * 1_000,
          issuedBy: by,
        };
        const event = isRenewal ? null : node === null ? 'released' : 'selected';
        // PostgreSQL knew another leadership epoch than this workflow; the next try uses the one above it.
        if (await adopt(next, event, by)) return next;
      }
    }),
  );
  setHandler(closeLeadership, () => {
    closed = true;
  });
  setHandler(publishMirror, (request) => {
    work.mirror.asked.push(request);
  });

  let renewAt = 0;
  let writeAt = 0;
  let handled = 0;
  // Runs beside the loop, because a snapshot may take longer than the lease, which must be renewed during it.
  let leading: Promise<void> | null = null;
  do {
    await untilClosed();
    await refuseAsked(state, work, 'The space was removed.');
    await condition(allHandlersFinished);
    // A primary may have been selected during the shutdown, and its lease needs renewals.
  } while (!closed);

  async function untilClosed(): Promise<void> {
    while (!closed) {
      if (changes !== handled) {
        handled = changes;
        // Recording may have taken longer than the lease; then check it at once.
        renewAt =
          state === null
            ? Number.MAX_SAFE_INTEGER
            : Math.min(Date.now() + (state.leaseSeconds * 1_000) / RENEW_PART, state.expiresAt);
        writeAt = 0;
      }
      const now = Date.now();
      const wakes = [
        ...(isLeaseOpen ? [writeAt] : []),
        ...(state?.primary == null ? [] : [renewAt, state.expiresAt]),
        ...(state?.primary == null || leading !== null ? [] : [nextWorkAt(work)]),
      ];
      const wakeAt = wakes.length === 0 ? null : Math.min(...wakes);
      const wasLeading = leading !== null;
      const asked = work.mirror.asked.length;
      const news = (): boolean =>
        closed ||
        changes !== handled ||
        wasLeading !== (leading !== null) ||
        asked !== work.mirror.asked.length;
      if (wakeAt === null) await condition(news);
      else if (wakeAt > now) await condition(news, wakeAt - now);
      if (closed) break;
      if (changes !== handled) continue;
      if (state?.primary == null)
        await refuseAsked(
          state,
          work,
          'No node is primary, so none can publish the mirror. Select a primary.',
        );
      if (Date.now() >= renewAt) renewAt = await alone(renew);
      if (isLeaseOpen && Date.now() >= writeAt) writeAt = await alone(writeLease);
      if (state?.primary != null && leading === null && Date.now() >= nextWorkAt(work)) {
        leading = doPrimaryWork(state, work).finally(() => {
          leading = null;
        });
      }

      if (workflowInfo().continueAsNewSuggested && leading === null && allHandlersFinished() && !closed) {
        await continueAsNew<typeof leadership>({
          cid,
          state,
          lastSnapshotAt: work.snapshot.doneAt,
          lastMirrorAt: work.mirror.doneAt,
          mirrorEveryMs: work.mirror.every,
          leaseOpen: isLeaseOpen,
        });
      }
    }
  }

  /**
   * Renews the lease while its node is alive; ends it when it expires.
   * @returns when to check again, epoch milliseconds
   */
  async function renew(): Promise<number> {
    if (state?.primary == null) return Number.MAX_SAFE_INTEGER;
    const { primary, leaseSeconds, epoch } = state;
    const isLive = await control.isNodeLive({ cid, node: primary });
    const now = Date.now();
    if (isLive) {
      await adopt({ ...state, expiresAt: now + leaseSeconds * 1_000 }, null, 'engine');
      setCurrentDetails(`${primary} is primary in leadership epoch ${epoch}`);
      return now + (leaseSeconds * 1_000) / RENEW_PART;
    }
    if (now < state.expiresAt) return Math.min(now + RENEW_RETRY_MS, state.expiresAt);
    await adopt({ ...state, primary: null }, 'expired', 'engine');
    setCurrentDetails(`the lease of ${primary} (leadership epoch ${epoch}) expired; no node is primary`);
    return Number.MAX_SAFE_INTEGER;
  }

  /**
   * Writes the lease object.
   * @returns when to retry after a failure, epoch milliseconds
   */
  async function writeLease(): Promise<number> {
    if (state === null) return 0;
    try {
      await store.writeLease({ state });
      isLeaseOpen = false;
    } catch (error) {
      const { message } = failureOf(error, {
        code: 'store_unavailable',
        message: 'The lease was not written',
      });
      setCurrentDetails(`the lease could not be written, and is tried again: ${message}`);
    }
    return Date.now() + RENEW_RETRY_MS;
  }
}

/** The work of a primary for its space, and its timing. */
type Work = Record<'snapshot' | 'mirror', WorkPart>;

interface WorkPart {
  every: number;
  doneAt: number;
  notBefore: number;
  /** Requests that were not served yet, in order. */
  readonly asked: MirrorRequest[];
}

const dueAt = ({ every, doneAt, notBefore, asked }: WorkPart): number =>
  asked.length > 0 ? 0 : Math.max(doneAt + every, notBefore);
const nextWorkAt = (work: Work): number => Math.min(...Object.values(work).map(dueAt));

/** Does a primary's work: snapshots for new nodes, and the mirror for machines on the original's scripts. */
async function doPrimaryWork(state: LeadershipState, work: Work): Promise<void> {
  const { cid, epoch } = state;
  const node = state.primary ?? '';
  let snapshotOf: SpaceConfig | null = null;
  for (const what of ['snapshot', 'mirror'] as const) {
    const part = work[what];
    const now = Date.now();
    if (now < dueAt(part)) continue;
    const request = part.asked.shift() ?? null;
    // Wait before the next try, in case this one fails or finds nothing to do. A new primary need not wait
    // for it.
    part.notBefore = now + Math.min(RETRY_WORK_MS, part.every);
    const space = await control.spaceToLead({ cid, node, what });
    if (space === null && request !== null) {
      part.asked.unshift(request);
      await refuseAsked(state, work, `${node} is primary of no space whose mirror is on.`);
    }
    if (space === null) continue;
    const round = { cid, node, project: space.projectId, epoch, request, startedAt: now };
    try {
      const does = onNode(node, `${what} of ${space.projectId} in leadership epoch ${epoch}`);
      if (what === 'snapshot') await does.takeSnapshot({ space, epoch });
      else {
        const { fewer, force } = request ?? {};
        const outcome = outcomeOf(await does.publishMirror({ space, epoch, fewer, force }));
        await recordMirror(round, { outcome, error: null });
        part.every = Math.max(MIN_MIRROR_MS, outcome.everyMs);
      }
      if (!(await control.recordPrimaryAction({ cid, node, epoch, what, error: null }))) continue;
      part.doneAt = now;
      part.notBefore = 0;
      if (what === 'snapshot') snapshotOf = space;
    } catch (error) {
      const failure = failureOf(error, {
        code: 'sync_timeout',
        message: `${node} did not take the ${what} in time`,
      });
      if (what === 'mirror') await recordMirror(round, { outcome: null, error: failure });
      await control.recordPrimaryAction({ cid, node, epoch, what, error: failure.message });
    }
  }
  if (snapshotOf !== null) await collectEverywhere(snapshotOf);
}

interface MirrorRound {
  readonly cid: string;
  readonly node: string;
  readonly project: string;
  readonly epoch: number;
  readonly request: MirrorRequest | null;
  readonly startedAt: number;
}

/** Records a publication as a job. Histories recorded before these jobs existed have none. */
async function recordMirror(
  { epoch, request, ...round }: MirrorRound,
  ended: { outcome: MirrorOutcome | null; error: { code: string; message: string } | null },
): Promise<void> {
  if (!patched('mirror-jobs')) return;
  const { workflowId, runId } = workflowInfo();
  await control.recordMirrorJob({
    ...round,
    ...ended,
    jobId: request?.jobId ?? `job_mirror_${round.cid}_${epoch}_${round.startedAt}`,
    isAsked: request !== null,
    workflowId,
    runId,
  });
}

/** Ends the jobs of requests that no node can serve. */
async function refuseAsked(state: LeadershipState | null, work: Work, message: string): Promise<void> {
  const { cid = '', epoch = 0, primary = null } = state ?? {};
  for (const request of work.mirror.asked.splice(0)) {
    const round = { cid, node: primary ?? 'nobody', project: cid, epoch, request, startedAt: Date.now() };
    await recordMirror(round, { outcome: null, error: { code: 'conflict', message } });
  }
}

/** Returns the outcome of a publication; an agent of 0.4 answers with a single word. */
function outcomeOf(answer: MirrorOutcome | string): MirrorOutcome {
  if (typeof answer !== 'string') return answer;
  const figures = { imported: 0, requests: 0, bytesUp: 0, bytesDown: 0, everyMs: MIRROR_EVERY_MS };
  return { line: answer, published: answer === 'published', ...figures };
}

/**
 * Makes each live node remove its unneeded objects. A node that cannot do so now does it after the next
 * snapshot.
 */
async function collectEverywhere(space: SpaceConfig): Promise<void> {
  const nodes = await control.liveSpaceConfigs({ cid: space.cid });
  // Failures are visible in the history.
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
