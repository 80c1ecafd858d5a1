import type { InferSelectModel } from 'drizzle-orm';
import type { Proposal } from '../contract/projects/proposals.ts';
import type { proposals } from './schema.ts';

export type ProposalRow = InferSelectModel<typeof proposals>;

/** A proposal as the API shows it; `history_url` is filled in by the API, which knows where the Temporal UI is. */
export function toProposal(row: ProposalRow): Proposal {
  return { ...row, history_url: null };
}
