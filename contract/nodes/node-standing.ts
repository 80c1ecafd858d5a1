import { z } from 'zod';
import { nodeQueue, nodeTaskQueue, poolQueue } from '../names.ts';

/** A node counts as online while its last heartbeat is at most this old: two and a half intervals of 10 s. */
export const ONLINE_WITHIN_MS = 25_000;

/** A machine on the original's agent reports every 10 s, and backs off to once a minute; in milliseconds. */
export const ORIGINAL_WITHIN_MS = 90_000;

/**
 * How far a node's clock may be off before its work cannot succeed, in milliseconds. S3 stores refuse requests from
 * 15 minutes on.
 */
export const MAX_WORKING_CLOCK_OFF_MS = 14 * 60_000;

const Sentence = z.string().max(500);

/** What a node found when it last checked whether it can work. */
export const NodeWork = z.object({
  /** The task queues of Temporal that it polls. */
  queues: z.array(z.string().max(200)).max(64),
  /** Why Temporal cannot be used; null when it answers. */
  engine: Sentence.nullable(),
  /** Why the object store cannot be used; null when it answers. */
  store: Sentence.nullable(),
  /** How far its clock is ahead of the control plane's, in milliseconds; null while unknown. */
  clock_ahead_ms: z.number().int().nullable(),
  /** Why the program for tasks cannot be used (not found, or not signed in); null when no problem is known. */
  program: Sentence.nullable(),
  /** Tasks that have ended and whose results wait for the object store. */
  waits: z.array(z.string().max(64)).max(64),
});
export type NodeWork = z.infer<typeof NodeWork>;

/** The standing of a node: whether it is online, what it can take, and why not. */
export const NodeStanding = z.object({
  presence: z.enum(['online', 'offline', 'unknown']),
  /** Whether syncs, clones and other work for this node can be done now. */
  takes_work: z.boolean(),
  /** Whether it can be given tasks now. */
  takes_tasks: z.boolean(),
  /** One sentence for people: "online, takes work". */
  sentence: z.string(),
});
export type NodeStanding = z.infer<typeof NodeStanding>;

/** What is known about a node. Times are epoch ms by the control plane's clock. */
export interface NodeReport {
  readonly id: string;
  readonly lastHeartbeat: number | null;
  readonly drained: boolean;
  readonly dryrun: boolean;
  readonly capabilities: { readonly claude_cli: boolean; readonly labels: readonly string[] };
  readonly sandbox: { readonly refuses: boolean; readonly detail: string | null } | null;
  /** Null for an agent that does not report it (before 0.5): then a heartbeat is enough. */
  readonly work: NodeWork | null;
}

/**
 * Decides the standing of a node from its last report. The sentence never says "takes work" of a node that cannot
 * work.
 * @param now the control plane's clock, epoch ms
 */
export function decideStanding(report: NodeReport, now: number): NodeStanding {
  const { lastHeartbeat } = report;
  const away = { takes_work: false, takes_tasks: false } as const;
  if (lastHeartbeat === null) return { presence: 'unknown', ...away, sentence: 'has never reported' };
  if (now - lastHeartbeat > ONLINE_WITHIN_MS) return { presence: 'offline', ...away, sentence: 'offline' };
  const all = findObstaclesToWork(report);
  const tasks = findObstaclesToTasks(report);
  const sentence =
    all.length > 0
      ? `online, does not take work: ${all.join('; ')}`
      : tasks.length > 0
        ? `online, takes no tasks: ${tasks.join('; ')}`
        : 'online, takes work';
  const takesWork = all.length === 0;
  return {
    presence: 'online',
    takes_work: takesWork,
    takes_tasks: takesWork && tasks.length === 0,
    sentence: `${sentence}${waitingResults(report)}`,
  };
}

/**
 * Decides the standing of a machine with the original's agent: it only reports, so it takes nothing.
 * @param lastHeard when it last reported, in epoch ms; null for one that a person named
 * @param now the control plane's clock, epoch ms
 */
export function standingOfOriginal(lastHeard: number | null, now: number): NodeStanding {
  const presence =
    lastHeard === null ? 'unknown' : now - lastHeard <= ORIGINAL_WITHIN_MS ? 'online' : 'offline';
  const sentence = {
    unknown: 'has never reported',
    online: "online, takes no work: it runs the original's agent",
    offline: 'offline',
  }[presence];
  return { presence, takes_work: false, takes_tasks: false, sentence };
}

/** Returns what keeps a node from any work. */
function findObstaclesToWork({ id, work }: NodeReport): string[] {
  if (work === null) return [];
  const found: string[] = [];
  const off = work.clock_ahead_ms ?? 0;
  const isClockOff = Math.abs(off) > MAX_WORKING_CLOCK_OFF_MS;
  if (isClockOff) found.push(clockSentence(id, off));
  if (work.engine !== null) found.push(`it does not reach Temporal (${work.engine})`);
  else if (!work.queues.includes(nodeQueue(id))) found.push('it does not poll its queue in Temporal yet');
  // A store refuses a request with a wrong time. Then the clock is the reason to report.
  if (work.store !== null && !isClockOff) found.push(`it does not reach the object store (${work.store})`);
  return found;
}

/** Describes how far a node's clock is off: "the clock of node x is 16 minutes off (ahead)". */
export function clockSentence(node: string, aheadMs: number): string {
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  return `the clock of node ${node} is ${minutes} minutes off (${aheadMs > 0 ? 'ahead' : 'behind'})`;
}

/** Returns what keeps a node only from tasks. */
function findObstaclesToTasks({ id, work, drained, dryrun, capabilities, sandbox }: NodeReport): string[] {
  const found: string[] = [];
  if (drained) found.push('it is drained');
  if (dryrun) found.push('it is in dry run');
  if (sandbox?.refuses === true) found.push(sandbox.detail ?? 'it has no sandbox to run tasks in');
  if (work !== null && work.program !== null) found.push(work.program);
  else if (!capabilities.claude_cli && found.length === 0) found.push('it has no program to run tasks with');
  if (found.length > 0 || work === null) return found;
  const wanted = [nodeTaskQueue(id), ...['default', ...capabilities.labels].map(poolQueue)];
  const polled = new Set(work.queues);
  if (!wanted.every((queue) => polled.has(queue))) found.push('it does not poll the queues of tasks yet');
  return found;
}

function waitingResults({ work }: NodeReport): string {
  const count = work?.waits.length ?? 0;
  if (count === 0) return '';
  return count === 1
    ? `; the result of ${work?.waits[0]} waits for the object store`
    : `; the results of ${count} tasks wait for the object store`;
}
