import { z } from 'zod';
import { SyncAction } from '../http/primitives.ts';
import { SyncRoundResult } from '../workflows.ts';

/** How long the control plane waits for the end of a sync before it answers without a result, in milliseconds. */
export const SYNC_ANSWER_MS = 7_000;

/** An agent asks for a sync of its own node. The agent repeats the same request until it gets a result. */
export const AgentSync = z.strictObject({
  job_id: z.string().regex(/^job_[0-9a-f]{16}$/),
  action: SyncAction,
});

/** The result of the sync; null while it runs. */
export const AgentSyncAnswer = z.strictObject({ result: SyncRoundResult.nullable() });

/** An agent begins the attempt that it took from its task queue. */
export const AgentClaim = z.strictObject({
  epoch: z.number().int().positive(),
  token: z.string().min(1).max(200),
});
export type AgentClaim = z.infer<typeof AgentClaim>;
