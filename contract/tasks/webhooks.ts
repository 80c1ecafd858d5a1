import { z } from 'zod';
import { EpochMs } from '../http/primitives.ts';
import type { TaskStatus } from './tasks.ts';

/**
 * The body of the call when a task has ended. It holds neither prompt nor output: a receiver that needs them requests
 * them.
 */
export interface WebhookBody {
  readonly type: `task.${TaskStatus}`;
  /** Names the delivery; every try has the same id. */
  readonly id: string;
  readonly created_at: number;
  readonly task: {
    readonly id: string;
    readonly status: TaskStatus;
    readonly context_id: string;
    readonly agent_slug: string;
    readonly project_id: string | null;
    readonly attempts: number;
    readonly worker_id: string | null;
    readonly error_code: string | null;
    readonly error_message: string | null;
    readonly artifact_id: string | null;
    readonly created_at: number;
    readonly finished_at: number;
  };
}

/** One end of a task; a task that is queued again has another. */
export interface TaskEnd {
  readonly taskId: string;
  /** The transition that ended it. */
  readonly seq: number;
  readonly status: TaskStatus;
  readonly attempts: number;
  readonly error: { readonly code: string; readonly message: string } | null;
  /** The last worker, and the lease. */
  readonly worker: string | null;
  readonly leaseId: string | null;
  /** Epoch ms. */
  readonly at: number;
}

export interface DeliverWebhookInput {
  readonly taskId: string;
  readonly deliveryId: string;
  /** Every try sends the same bytes. */
  readonly body: string;
}

/** How a delivery ended, for the audit log. */
export interface WebhookOutcome {
  readonly taskId: string;
  readonly deliveryId: string;
  readonly delivered: boolean;
  /** For people, with the status code when there was one. */
  readonly detail: string;
}

/** `GET` and `POST /api/runtime/webhook-secret`. */
export const WebhookSecret = z.strictObject({
  /** The key of `Membridge-Signature`, as it is, in UTF-8. */
  secret: z.string(),
  /** When it was made. */
  made_at: EpochMs,
});
export type WebhookSecret = z.infer<typeof WebhookSecret>;
