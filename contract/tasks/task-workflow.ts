import { z } from 'zod';
import type { AuditEntry } from '../audit.ts';
import { EpochMs, NodeId } from '../http/primitives.ts';
import { PromptSource, RunError, RunLimits, type RunReport } from './runs.ts';
import { TaskStatus } from './tasks.ts';

/** What a task is, for good; what happens to it is in TaskState. */
export const TaskSpec = z.strictObject({
  id: z.string(),
  contextId: z.string(),
  agentSlug: z.string(),
  prompt: PromptSource,
  hints: z.array(z.string()),
  limits: RunLimits,
  format: z.enum(['json', 'text']),
  maxAttempts: z.number().int(),
  pool: z.string(),
  projectId: z.string().nullable(),
  priority: z.number().int(),
  fairnessKey: z.string(),
  dependsOn: z.array(z.string()),
  ttlMs: z.number().int(),
  artifactType: z.string(),
  tags: z.array(z.string()),
  hasWebhook: z.boolean(),
});
export type TaskSpec = z.infer<typeof TaskSpec>;

/** A lease, as the workflow keeps it; times are epoch ms. */
export const LeaseState = z.strictObject({
  id: z.string(),
  epoch: z.number().int(),
  worker: NodeId,
  kind: z.enum(['agent', 'http']),
  startedAt: EpochMs,
  lastHeartbeat: EpochMs,
  ttlMs: z.number().int(),
  expiresAt: EpochMs,
});
export type LeaseState = z.infer<typeof LeaseState>;

/** How a task stands. Only workflows/task-state.ts makes one out of another. */
export const TaskState = z.strictObject({
  status: TaskStatus,
  /** Counts transitions: what is written to PostgreSQL is ordered by it. */
  seq: z.number().int(),
  /** The fencing token: of the newest lease. */
  epoch: z.number().int(),
  attempts: z.number().int(),
  maxAttempts: z.number().int(),
  /** Whether agents may take it. */
  dispatched: z.boolean(),
  /** The only node that may take it. */
  worker: NodeId.nullable(),
  ttlMs: z.number().int(),
  /** Whether a failure of the worker ends it, whatever attempts are left; absent in tasks that 0.4 dispatched. */
  once: z.boolean().optional(),
  notBefore: EpochMs.nullable(),
  lease: LeaseState.nullable(),
  /** A cancellation that its worker has not confirmed. */
  cancel: z.strictObject({ by: z.string(), at: EpochMs }).nullable(),
  error: RunError.nullable(),
  /** For people: what happened last. */
  detail: z.string(),
});
export type TaskState = z.infer<typeof TaskState>;

/** Which lease a writer speaks for. */
export interface Fence {
  readonly leaseId?: string | undefined;
  readonly epoch?: number | undefined;
  readonly worker?: string | undefined;
}

export type TaskEvent =
  | { type: 'dispatch'; by: string; worker: string | null; ttlMs: number | null; once?: boolean }
  | {
      type: 'claim';
      worker: string;
      leaseId: string;
      kind: 'agent' | 'http';
      /** Of an agent: the epoch it was given to claim. */
      epoch: number | null;
      ttlMs: number | null;
    }
  | { type: 'renew'; fence: Fence }
  | { type: 'complete'; fence: Fence }
  | { type: 'fail'; fence: Fence; error: RunError }
  | { type: 'expire'; epoch: number }
  | { type: 'release'; fence: Fence; by: string; reason: string }
  | { type: 'cancel'; by: string; reason: string }
  | { type: 'stopped'; epoch: number }
  | { type: 'refuse'; error: RunError }
  | { type: 'requeue'; by: string };

/** How a lease ended. */
export interface LeaseEnd {
  readonly lease: LeaseState;
  readonly status: 'expired' | 'released' | 'failed';
  readonly reason: string;
}

/** What is told to the audit log of a transition; the rest of an entry follows from the task. */
export type AuditNote = Pick<AuditEntry, 'action' | 'actor' | 'detail' | 'cause'>;

/** An artifact that came with an ended attempt. */
export interface NewArtifact {
  readonly type: string;
  readonly name: string;
  readonly mediaType: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly tags: readonly string[];
}

/** One transition, as it is written to PostgreSQL: what the task is now, and what happened. */
export interface TaskChange {
  readonly state: TaskState;
  readonly at: number;
  /** The lease that ended by it. */
  readonly ended: LeaseEnd | null;
  readonly audit: readonly AuditNote[];
  /** What an attempt came to, when one ended with a report. */
  readonly report: RunReport | null;
  readonly artifacts: readonly NewArtifact[];
}

/** Where a queued task is to go, and whether it may. */
export interface Route {
  /** Epoch ms at which this was so. */
  readonly at: number;
  /** The node that last served the context, when it is there. */
  readonly sticky: string | null;
  /** Where the project's clone is, the best node first; null: every node of the pool will do. */
  readonly project: {
    readonly name: string;
    readonly targetPath: string | null;
    readonly nodes: readonly string[];
  } | null;
  /** Tasks that must complete first and have not. */
  readonly unmet: readonly string[];
  /** Why it may not run at all. */
  readonly refuse: RunError | null;
}

/** What a record came to. */
export interface Recorded {
  readonly route: Route | null;
  /** Tasks that wait for this one, when it has ended. */
  readonly dependents: readonly string[];
}

export interface LlmTaskInput {
  readonly spec: TaskSpec;
  /** Null where the task is made by this very run. */
  readonly state: TaskState | null;
  readonly createdBy: string;
  /** What only PostgreSQL needs to know of a new task. */
  readonly row: {
    readonly policy: unknown;
    readonly webhookUrl: string | null;
    readonly scheduleId: string | null;
    readonly requestHash: string;
    readonly createdAt: number;
  };
  readonly first: Pick<TaskState, 'dispatched' | 'worker' | 'notBefore'>;
}

/** What an agent claims a task with. */
export interface ClaimRequest {
  readonly epoch: number;
  readonly token: string;
  readonly worker: string;
}
/** What a worker over HTTP asks for. */
export interface LeaseRequest {
  readonly worker: string;
  readonly ttlMs: number;
}
/** What a worker over HTTP reports at the end. */
export interface FinishRequest {
  readonly fence: Fence;
  readonly report: Omit<RunReport, 'worker'>;
  readonly artifacts: readonly NewArtifact[];
}
