import { PROPOSAL_WAIT_MS } from '../../contract/projects/proposals.ts';
import { proposalWorkflowId } from '../../contract/names.ts';
import type { Executor } from '../connect.ts';
import { toProposal } from '../proposal-rows.ts';
import { singleLine } from '../single-line.ts';
import { proposals } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { recordAudit } from './record-audit.ts';

/** Maximum number of characters stored of a title. */
const MAX_TITLE_CHARS = 200;

/** The content of a new proposal. */
export interface NewProposal {
  /**
   * Equal for equal results, so that a repeated record creates one proposal: derived, for example, from the
   * attempt's lease.
   */
  readonly id: string;
  readonly taskId: string;
  /**
   * The artifact holds the worker's whole output, from which `readProposal` (contract/projects/proposal-content.ts)
   * extracted the other fields.
   */
  readonly artifactId: string;
  readonly projectId: string;
  /** The node whose worker made it. */
  readonly workerId: string;
  readonly agentSlug: string;
  readonly title: string;
  readonly kind: 'patch' | 'file';
  readonly path: string | null;
  readonly expectedVersion: string | null;
  /** The control plane's clock, epoch milliseconds. */
  readonly now: number;
}

/**
 * Records a proposal as waiting for a person, in the transaction that records the task's result. Call it last
 * there: it emits an event, for which it takes the lock of events.
 * @returns whether it is new; an existing one with this id is unchanged
 */
export async function insertProposal(tx: Executor, given: NewProposal): Promise<boolean> {
  const { id, taskId, workerId, agentSlug, kind, path, now } = given;
  const [row] = await tx
    .insert(proposals)
    .values({
      id,
      task_id: taskId,
      artifact_id: given.artifactId,
      project_id: given.projectId,
      worker_id: workerId,
      agent_slug: agentSlug,
      title: singleLine(given.title, MAX_TITLE_CHARS),
      kind,
      path,
      expected_version: given.expectedVersion,
      status: 'pending',
      detail: 'waits for a person to approve or reject it',
      created_at: now,
      updated_at: now,
      expires_at: now + PROPOSAL_WAIT_MS,
      workflow_id: proposalWorkflowId(id),
      run_id: '',
    })
    .onConflictDoNothing()
    .returning();
  if (row === undefined) return false;
  await recordAudit(tx, [
    {
      eventKey: `proposal:${id}:created`,
      action: 'proposal_created',
      entity_type: 'proposal',
      entity_id: id,
      actor: workerId,
      detail:
        kind === 'patch' ? `${agentSlug} proposes a patch` : `${agentSlug} proposes ${path ?? 'a file'}`,
      cause: `task ${taskId} completed`,
      correlation_id: taskId,
      timestamp: now,
    },
  ]);
  await emitEvents(tx, [{ type: 'proposal', proposal: toProposal(row) }], now);
  return true;
}
