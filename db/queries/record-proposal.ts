import { eq } from 'drizzle-orm';
import { nextProposalStatus } from '../../contract/projects/proposal-state.ts';
import { assertNever } from '../../contract/http/primitives.ts';
import type { Proposal } from '../../contract/projects/proposals.ts';
import type { Database, Executor } from '../connect.ts';
import { toProposal, type ProposalRow } from '../proposal-rows.ts';
import { singleLine } from '../single-line.ts';
import { auditLogs, proposals } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { findApprovedTree } from './find-approved-tree.ts';
import { recordAudit } from './record-audit.ts';

/** Maximum number of characters stored of a failure. */
const MAX_FAILURE_CHARS = 2_000;

/** A step of a proposal, with its data. */
export type ProposalChange =
  | {
      readonly step: 'approve';
      readonly by: string;
      readonly runId: string;
      /** Undefined keeps the proposal's own. */
      readonly expectedVersion?: string | null | undefined;
      /** The tree that the person looked at; undefined for an approval that names none. */
      readonly treeHash?: string | undefined;
    }
  | { readonly step: 'apply'; readonly node: string }
  | { readonly step: 'succeed'; readonly commit: string; readonly branch: string }
  | { readonly step: 'fail'; readonly code: string; readonly message: string }
  | { readonly step: 'reject'; readonly by: string; readonly reason: string }
  | { readonly step: 'expire' };

/**
 * The outcome of a change. `refused`: the proposal is unchanged; its status is the reason, or `why` gives it.
 */
type ProposalOutcome =
  | { readonly outcome: 'recorded' | 'refused'; readonly proposal: Proposal; readonly why?: string }
  | { readonly outcome: 'missing' };

/**
 * Takes a proposal one step further if its status allows it, with the audit entry and the event, all or
 * nothing.
 * @param input.key identifies this change: a repeated one is not recorded again, but reported as recorded
 * @param input.cause why, for people
 */
export async function recordProposal(
  db: Database,
  input: { id: string; change: ProposalChange; key: string; cause: string; now: number },
): Promise<ProposalOutcome> {
  return await db.transaction(async (tx) => await changeProposal(tx, input));
}

async function changeProposal(
  tx: Executor,
  input: { id: string; change: ProposalChange; key: string; cause: string; now: number },
): Promise<ProposalOutcome> {
  const { id, change, now } = input;
  const eventKey = `proposal:${id}:${change.step}:${input.key}`;
  // Locked, so that of two concurrent decisions the second sees the first.
  const [row] = await tx.select().from(proposals).where(eq(proposals.id, id)).for('update');
  if (row === undefined) return { outcome: 'missing' };
  const [known] = await tx
    .select({ id: auditLogs.id })
    .from(auditLogs)
    .where(eq(auditLogs.event_key, eventKey));
  if (known !== undefined) return { outcome: 'recorded', proposal: toProposal(row) };
  const status = nextProposalStatus(row.status, change.step);
  if (status === null || isUntimely(row, change, now))
    return { outcome: 'refused', proposal: toProposal(row) };
  const seen = change.step === 'approve' ? await findApprovedTree(tx, row, change) : null;
  if (seen !== null && 'why' in seen) return { outcome: 'refused', proposal: toProposal(row), why: seen.why };
  const [changed] = await tx
    .update(proposals)
    .set({ ...columnsOf(change, now), ...seen, status, updated_at: now })
    .where(eq(proposals.id, id))
    .returning();
  if (changed === undefined) throw new Error(`proposal ${id} was deleted while it was locked`);
  await recordAudit(tx, [
    {
      eventKey,
      action: ACTION_BY_STEP[change.step],
      entity_type: 'proposal',
      entity_id: id,
      actor: 'by' in change ? change.by : change.step === 'succeed' ? (row.node_id ?? 'engine') : 'engine',
      detail: changed.detail,
      cause: input.cause,
      correlation_id: row.task_id,
      timestamp: now,
    },
  ]);
  const proposal = toProposal(changed);
  await emitEvents(tx, [{ type: 'proposal', proposal }], now);
  return { outcome: 'recorded', proposal };
}

const ACTION_BY_STEP: Readonly<Record<ProposalChange['step'], string>> = {
  approve: 'proposal_approved',
  apply: 'proposal_applying',
  succeed: 'proposal_applied',
  fail: 'proposal_failed',
  reject: 'proposal_rejected',
  expire: 'proposal_expired',
};

/**
 * Returns whether the step comes too late or too early: no decision after the deadline, and no expiry before
 * it.
 */
function isUntimely(row: ProposalRow, { step }: ProposalChange, now: number): boolean {
  const isOver = now >= row.expires_at;
  if (step === 'expire') return !isOver;
  return isOver && row.status === 'pending' && (step === 'approve' || step === 'reject');
}

function columnsOf(change: ProposalChange, now: number): Partial<typeof proposals.$inferInsert> {
  switch (change.step) {
    case 'approve':
      return {
        decided_by: change.by,
        decided_at: now,
        run_id: change.runId,
        node_id: null,
        error_code: null,
        detail:
          change.treeHash === undefined
            ? `approved by ${change.by}`
            : `approved by ${change.by}: tree ${change.treeHash.slice(0, 12)}`,
        ...(change.expectedVersion === undefined ? {} : { expected_version: change.expectedVersion }),
      };
    case 'apply':
      return { node_id: change.node, detail: `${change.node} commits it` };
    case 'succeed':
      return { commit: change.commit, detail: `${change.commit.slice(0, 12)} on ${change.branch}` };
    case 'fail':
      return { error_code: change.code, detail: singleLine(change.message, MAX_FAILURE_CHARS) };
    case 'reject':
      return {
        decided_by: change.by,
        decided_at: now,
        detail: singleLine(
          change.reason === '' ? `rejected by ${change.by}` : `rejected by ${change.by}: ${change.reason}`,
          MAX_FAILURE_CHARS,
        ),
      };
    case 'expire':
      return { detail: 'no decision was made in time' };
    default:
      return assertNever(change);
  }
}
