import { z } from 'zod';
import type { AuditEntry } from '../audit.ts';
import { EpochMs, NodeId } from '../http/primitives.ts';
import { PromptSource, RunError, RunLimits, type RunReport } from './runs.ts';
import { TaskStatus } from './tasks.ts';

/** The constant facts of a task; its changing state is TaskState. */
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

/** A lease, as the workflow holds it; times are epoch ms. */
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

/** The state of a task. Only workflows/task-state.ts derives one from another. */
export const TaskState = z.strictObject({
  status: TaskStatus,
  /** Counts transitions. PostgreSQL orders its rows by it. */
  seq: z.number().int(),
  /** The lease epoch of the newest lease: the fencing token. */
  epoch: z.number().int(),
  attempts: z.number().int(),
  maxAttempts: z.number().int(),
  /** Whether agents may take it. */
  dispatched: z.boolean(),
  /** The only node that may take it. */
  worker: NodeId.nullable(),
  ttlMs: z.number().int(),
  /** Whether a worker's failure ends it even when attempts are left; absent in tasks that 0.4 dispatched. */
  once: z.boolean().optional(),
  notBefore: EpochMs.nullable(),
  lease: LeaseState.nullable(),
  /** A cancellation that its worker has not confirmed yet. */
  cancel: z.strictObject({ by: z.string(), at: EpochMs }).nullable(),
  error: RunError.nullable(),
  /** What happened last, for people. */
  detail: z.string(),
});
export type TaskState = z.infer<typeof TaskState>;

/** The lease that a writer acts for. */
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
      /** For an agent: the lease epoch that it was given to claim. */
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

/** The end of a lease. */
export interface LeaseEnd {
  readonly lease: LeaseState;
  readonly status: 'expired' | 'released' | 'failed';
  readonly reason: string;
}

/** The audit entry of a transition; the remaining fields follow from the task. */
export type AuditNote = Pick<AuditEntry, 'action' | 'actor' | 'detail' | 'cause'>;

/** An artifact of an ended attempt. */
export interface NewArtifact {
  readonly type: string;
  readonly name: string;
  readonly mediaType: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly tags: readonly string[];
}

/** One transition, as PostgreSQL stores it: the task's new state, and what happened. */
export interface TaskChange {
  readonly state: TaskState;
  readonly at: number;
  /** The lease that it ended. */
  readonly ended: LeaseEnd | null;
  readonly audit: readonly AuditNote[];
  /** The result of an attempt, when one ended with a report. */
  readonly report: RunReport | null;
  readonly artifacts: readonly NewArtifact[];
}

/** Where a queued task should run, and whether it may. */
export interface Route {
  /** When this was so, epoch ms. */
  readonly at: number;
  /** The node that last served the context, when it is online. */
  readonly sticky: string | null;
  /** The nodes that have the project's clone, the best first; null when every node of the pool will do. */
  readonly project: {
    readonly name: string;
    readonly targetPath: string | null;
    readonly nodes: readonly string[];
  } | null;
  /** Dependencies that have not completed. */
  readonly unmet: readonly string[];
  /** Why it may not run at all. */
  readonly refuse: RunError | null;
}

/** The result of recording a transition. */
export interface Recorded {
  readonly route: Route | null;
  /** Tasks that wait for this one, when it has ended. */
  readonly dependents: readonly string[];
}

export interface LlmTaskInput {
  readonly spec: TaskSpec;
  /** Null when this very run creates the task. */
  readonly state: TaskState | null;
  readonly createdBy: string;
  /** The fields of a new task that only PostgreSQL needs. */
  readonly row: {
    readonly policy: unknown;
    readonly webhookUrl: string | null;
    readonly scheduleId: string | null;
    readonly requestHash: string;
    readonly createdAt: number;
  };
  readonly first: Pick<TaskState, 'dispatched' | 'worker' | 'notBefore'>;
}

/** An agent's claim of a task. */
export interface ClaimRequest {
  readonly epoch: number;
  readonly token: string;
  readonly worker: string;
}
/** A request of a worker over HTTP for a lease. */
export interface LeaseRequest {
  readonly worker: string;
  readonly ttlMs: number;
}
/** The final report of a worker over HTTP. */
export interface FinishRequest {
  readonly fence: Fence;
  readonly report: Omit<RunReport, 'worker'>;
  readonly artifacts: readonly NewArtifact[];
}
