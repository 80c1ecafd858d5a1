import { eq } from 'drizzle-orm';
import type { PreviewResult } from '../../contract/projects/proposals.ts';
import type { Database } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { proposalPreviews, proposals } from '../schema.ts';

/** Maximum number of characters stored of a failure message. */
const MAX_DETAIL_CHARS = 2_000;

/** A node's preview, or why there is none. */
export type PreviewOutcome =
  | { readonly node: string; readonly result: PreviewResult }
  | { readonly node: string | null; readonly code: string; readonly message: string };

/** Replaces the stored preview of a proposal. Stores nothing for a deleted proposal. */
export async function recordPreview(
  db: Database,
  input: { id: string; outcome: PreviewOutcome; now: number },
): Promise<void> {
  const { id, outcome, now } = input;
  const values = { proposal_id: id, node_id: outcome.node, made_at: now, ...columnsOf(outcome) };
  await db.transaction(async (tx) => {
    // Locked as for an approval, so that the approved tree and the shown tree cannot cross.
    const [row] = await tx
      .select({ id: proposals.id })
      .from(proposals)
      .where(eq(proposals.id, id))
      .for('update');
    if (row === undefined) return;
    await tx
      .insert(proposalPreviews)
      .values(values)
      .onConflictDoUpdate({ target: proposalPreviews.proposal_id, set: values });
  });
}

function columnsOf(outcome: PreviewOutcome) {
  if ('code' in outcome) {
    const detail = singleLine(outcome.message, MAX_DETAIL_CHARS);
    return {
      error_code: outcome.code,
      detail,
      branch: null,
      base: null,
      tree: null,
      files: [],
      packed_diff: null,
    };
  }
  const { branch, base, tree, files, packedDiff } = outcome.result;
  return { error_code: null, detail: '', branch, base, tree, files, packed_diff: packedDiff };
}

/** Returns the stored preview of a proposal's tree; null when no node was asked yet. */
export async function getPreview(
  db: Database,
  input: { id: string },
): Promise<typeof proposalPreviews.$inferSelect | null> {
  const [row] = await db.run((executor) =>
    executor.select().from(proposalPreviews).where(eq(proposalPreviews.proposal_id, input.id)),
  );
  return row ?? null;
}
