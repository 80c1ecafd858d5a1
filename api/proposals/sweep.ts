import { errorMessage } from '../../contract/errors.ts';
import type { Proposal } from '../../contract/projects/proposals.ts';
import { expireProposals } from '../../db/queries/expire-proposals.ts';
import { listOpenProposals } from '../../db/queries/list-proposals.ts';
import { recordProposal } from '../../db/queries/record-proposal.ts';
import { describeOutcome } from '../../engine/describe-outcome.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';

/** How often the sweep runs, in milliseconds. */
const SWEEP_MS = 60_000;

/** A workflow that ends records that itself within this time. After it, the workflow was terminated and never will. */
const SILENT_MS = 30_000;

/** How long Temporal may take to describe one workflow. */
const DESCRIBE_MS = 3_000;

/**
 * Expires undecided proposals, and detects those whose workflow somebody terminated.
 * @returns a function that stops it
 */
export function watchProposals(deps: Deps): () => void {
  const timer = setInterval(() => void sweepProposals(deps), SWEEP_MS);
  return () => clearInterval(timer);
}

/** Runs one round. Never throws: the next round repeats what failed. */
export async function sweepProposals(deps: Deps): Promise<void> {
  try {
    const ended = await expireProposals(deps.db, { now: deps.now() });
    if (ended > 0) deps.logger.info({ proposals: ended }, 'proposals expired');
    for (const proposal of await listOpenProposals(deps.db)) await lookAt(deps, proposal);
  } catch (error) {
    deps.logger.warn({ reason: errorMessage(error) }, 'proposals could not be checked');
  }
}

async function lookAt(deps: Deps, proposal: Proposal): Promise<void> {
  const now = deps.now();
  if (now - proposal.updated_at < SILENT_MS) return;
  const { id, workflow_id: workflowId, run_id: runId } = proposal;
  const ended = await callEngine(
    deps.engine,
    (client) => describeOutcome(client, { workflowId, runId }),
    DESCRIBE_MS,
  );
  if (ended === null) return;
  const message = `Its workflow ${ended} without a result. If the commit had been pushed, approving again finds it.`;
  await recordProposal(deps.db, {
    id,
    change: { step: 'fail', code: 'internal', message },
    key: `sweep:${runId}:${proposal.decided_at ?? 0}`,
    cause: `the workflow ${ended}`,
    now,
  });
}
