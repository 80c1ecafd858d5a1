import { gunzipSync } from 'node:zlib';
import { errorMessage } from '../../contract/errors.ts';
import type { Proposal, ProposalPreview, ShownProposal } from '../../contract/projects/proposals.ts';
import { getProject } from '../../db/queries/list-projects.ts';
import { getProposal } from '../../db/queries/list-proposals.ts';
import { getPreview } from '../../db/queries/proposal-previews.ts';
import { requestPreview } from '../../engine/proposal-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { notFoundError } from '../http/not-found.ts';

/** How long a failed preview stays before somebody's look makes it again, in milliseconds. */
const RETRY_MS = 30_000;

/** How long requesting a diff may delay a reader, in milliseconds. */
const ASK_MS = 2_000;

/** The largest packed diff that is accepted from the database, in bytes. */
const MAX_DIFF_BYTES = 16 * 1_048_576;

type Kept = NonNullable<Awaited<ReturnType<typeof getPreview>>>;

/**
 * Returns the tree that a node built from a proposal, and git's own diff. Asks a node when there is none, or when the
 * branch has moved, so that the present one can no longer be approved.
 * @param options.canBeMade whether the proposal's content still exists
 * @param options.isAsked make it again in any case
 */
export async function showPreview(
  deps: Deps,
  proposal: Proposal,
  options: { canBeMade: boolean; isAsked: boolean },
): Promise<Pick<ShownProposal, 'diff' | 'preview'>> {
  const kept = await getPreview(deps.db, { id: proposal.id });
  const isOpen = proposal.status === 'pending' || proposal.status === 'failed';
  const isWanted = options.isAsked || isOutdated(proposal, kept, deps.now());
  if (!isOpen || !options.canBeMade || !isWanted) return toShown(kept);
  const project = await getProject(deps.db, { id: proposal.project_id });
  try {
    await callEngine(
      deps.engine,
      (client) =>
        requestPreview(client, { proposalId: proposal.id, project: project?.name ?? proposal.project_id }),
      ASK_MS,
    );
  } catch (error) {
    return {
      diff: null,
      preview: {
        ...NO_PREVIEW,
        state: 'failed',
        error_code: 'engine_unavailable',
        detail: errorMessage(error),
      },
    };
  }
  return { diff: null, preview: { ...NO_PREVIEW, state: 'making' } };
}

/**
 * Asks a node to make the diff again, over the present branch.
 * @throws MembridgeError not_found
 */
export async function remakePreview(deps: Deps, id: string): Promise<ProposalPreview> {
  const found = await getProposal(deps.db, { id });
  if (found === null) throw notFoundError('proposal', id);
  const { preview } = await showPreview(deps, found.proposal, {
    canBeMade: found.blob !== null,
    isAsked: true,
  });
  return preview ?? { ...NO_PREVIEW, state: 'failed', detail: 'The store no longer has its content.' };
}

const NO_PREVIEW = {
  error_code: null,
  detail: '',
  branch: null,
  base: null,
  tree: null,
  files: [],
  node_id: null,
  made_at: null,
} satisfies Partial<ProposalPreview>;

function isOutdated(proposal: Proposal, kept: Kept | null, now: number): boolean {
  if (kept === null) return true;
  if (kept.tree === null) return now - kept.made_at > RETRY_MS;
  return proposal.error_code === 'version_conflict' && kept.made_at < proposal.updated_at;
}

function toShown(kept: Kept | null): Pick<ShownProposal, 'diff' | 'preview'> {
  if (kept === null) return { diff: null, preview: null };
  const { proposal_id: _id, packed_diff: packed, ...shown } = kept;
  const diff =
    packed === null
      ? null
      : gunzipSync(Buffer.from(packed, 'base64'), { maxOutputLength: MAX_DIFF_BYTES }).toString('utf8');
  return { diff, preview: { ...shown, state: kept.tree === null ? 'failed' : 'ready' } };
}
