import { PROPOSAL_WAIT_MS } from '../../contract/projects/proposals.ts';
import { proposalWorkflowId } from '../../contract/names.ts';
import type { Executor } from '../connect.ts';
import { toProposal } from '../proposal-rows.ts';
import { singleLine } from '../single-line.ts';
import { proposals } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { recordAudit } from './record-audit.ts';

/** Characters of a title that are kept. */
const LONGEST_TITLE = 200;

/** What a proposal is made of. */
export interface NewProposal {
  /** The same for the same result, so that recording it twice makes one: derived from the lease of the attempt, say. */
  readonly id: string;
  readonly taskId: string;
  /** Its bytes are the worker's whole output, of which `readProposal` (contract/projects/proposal-content.ts) gave the rest of this. */
  readonly artifactId: string;
  readonly projectId: string;
  /** The node whose worker made it. */
  readonly workerId: string;
  readonly agentSlug: string;
  readonly title: string;
  readonly kind: 'patch' | 'file';
  readonly path: string | null;
  readonly expectedVersion: string | null;
  /** The control plane's clock, epoch ms. */
  readonly now: number;
}

/**
 * Records a proposal as waiting for a person, in the transaction that records the task's result. Call it last there: it emits an event,
 * for which it takes the lock of events.
 * @returns whether it is new; one of this id that is there already stays as it is
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
      title: singleLine(given.title, LONGEST_TITLE),
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
