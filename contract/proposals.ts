import { z } from 'zod';
import { EpochMs, NodeId } from './primitives.ts';

/** The type of a result that is not written anywhere before a person said so. */
export const PROPOSAL_TYPE = 'PROPOSAL';

/** pending → approved → applying → applied | failed; pending → rejected | expired. */
export const ProposalStatus = z.enum([
  'pending',
  'approved',
  'applying',
  'applied',
  'failed',
  'rejected',
  'expired',
]);
export type ProposalStatus = z.infer<typeof ProposalStatus>;

/** How long a proposal waits for a person, in milliseconds (the original's 72 h). */
export const PROPOSAL_WAIT_MS = 72 * 3_600_000;

export const Proposal = z.strictObject({
  id: z.string(),
  task_id: z.string(),
  artifact_id: z.string(),
  project_id: z.string(),
  worker_id: z.string(),
  agent_slug: z.string(),
  title: z.string(),
  /** `patch`: a unified diff; `file`: the new text of one file. */
  kind: z.enum(['patch', 'file']),
  path: z.string().nullable(),
  /** The commit that the branch must be at for it to be applied; null: whatever it is at. */
  expected_version: z.string().nullable(),
  status: ProposalStatus,
  detail: z.string(),
  error_code: z.string().nullable(),
  decided_by: z.string().nullable(),
  decided_at: EpochMs.nullable(),
  commit: z.string().nullable(),
  /** Where it was applied. */
  node_id: NodeId.nullable(),
  created_at: EpochMs,
  updated_at: EpochMs,
  expires_at: EpochMs,
  workflow_id: z.string(),
  run_id: z.string(),
  history_url: z.string().nullable(),
});
export type Proposal = z.infer<typeof Proposal>;
