import { z } from 'zod';
import { EpochMs } from '../http/primitives.ts';
import type { TaskStatus } from './tasks.ts';

/** What is told when a task has ended. Neither its prompt nor its output: whoever wants them asks for them. */
export interface WebhookBody {
  readonly type: `task.${TaskStatus}`;
  /** Names the delivery: the same for every try. */
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
  /** The transition by which it ended. */
  readonly seq: number;
  readonly status: TaskStatus;
  readonly attempts: number;
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Who had it last, and the lease. */
  readonly worker: string | null;
  readonly leaseId: string | null;
  /** Epoch ms. */
  readonly at: number;
}

export interface DeliverWebhookInput {
  readonly taskId: string;
  readonly deliveryId: string;
  /** The same bytes for every try. */
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
  /** Since when. */
  made_at: EpochMs,
});
export type WebhookSecret = z.infer<typeof WebhookSecret>;
