import type { InferSelectModel } from 'drizzle-orm';
import type { Proposal } from '../contract/projects/proposals.ts';
import type { proposals } from './schema.ts';

export type ProposalRow = InferSelectModel<typeof proposals>;

/**
 * Returns a proposal as the API shows it. The API fills in `history_url`, because it knows the address of the
 * Temporal UI.
 */
export function toProposal(row: ProposalRow): Proposal {
  return { ...row, history_url: null };
}
