import { MembridgeError } from '../../contract/errors.ts';
import { readProposal } from '../../contract/projects/proposal-content.ts';
import type { Proposal, ShownProposal } from '../../contract/projects/proposals.ts';
import { getProposal } from '../../db/queries/list-proposals.ts';
import { historyUrl } from '../../engine/memory-workflows.ts';
import { getBlob } from '../../storage/blobs.ts';
import type { Blob } from '../../contract/tasks/runs.ts';
import type { Deps } from '../deps.ts';
import { notFoundError } from '../http/not-found.ts';
import { showPreview } from './preview.ts';

/** Adds the address of a proposal's history in the Temporal UI, once somebody approved it. */
export function showProposal({ config }: Pick<Deps, 'config'>, proposal: Proposal): Proposal {
  const { workflow_id: workflowId, run_id: runId } = proposal;
  if (runId === '') return proposal;
  return {
    ...proposal,
    history_url: historyUrl(config.temporalUi, config.engine.namespace, { workflowId, runId }),
  };
}

/**
 * Returns a proposal with the changes that it would make: the worker's text, and git's own diff of the tree that a
 * node built. When there is none yet, it asks a node for one.
 * @throws MembridgeError not_found; store_unavailable
 */
export async function showProposalWhole(deps: Deps, id: string): Promise<ShownProposal> {
  const found = await getProposal(deps.db, { id });
  if (found === null) throw notFoundError('proposal', id);
  const proposal = showProposal(deps, found.proposal);
  const [content, shown] = await Promise.all([
    readContent(deps, found.blob),
    showPreview(deps, found.proposal, { canBeMade: found.blob !== null, isAsked: false }),
  ]);
  return { ...proposal, content, ...shown };
}

/** Returns the worker's proposed content; null when it is gone, or is not a proposal. */
async function readContent({ store }: Deps, blob: Blob | null): Promise<string | null> {
  if (blob === null) return null;
  try {
    const read = readProposal((await getBlob(store, blob)).toString('utf8'));
    return read.ok ? read.proposal.content : null;
  } catch (error) {
    if (!(error instanceof MembridgeError) || error.code !== 'not_found') throw error;
    return null;
  }
}
