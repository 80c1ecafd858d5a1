import { MembridgeError } from '../../contract/errors.ts';
import { readProposal } from '../../contract/proposal-content.ts';
import type { Proposal, ShownProposal } from '../../contract/proposals.ts';
import { getProposal } from '../../db/queries/list-proposals.ts';
import { historyUrl } from '../../engine/memory-workflows.ts';
import { getBlob } from '../../storage/blobs.ts';
import type { Deps } from '../deps.ts';
import { notFound } from '../not-found.ts';

/** A proposal with the address of its history in the Temporal UI, once somebody approved it. */
export function showProposal({ config }: Pick<Deps, 'config'>, proposal: Proposal): Proposal {
  const { workflow_id: workflowId, run_id: runId } = proposal;
  if (runId === '') return proposal;
  return {
    ...proposal,
    history_url: historyUrl(config.temporalUi, config.engine.namespace, { workflowId, runId }),
  };
}

/**
 * A proposal with what it would change.
 * @throws MembridgeError not_found; store_unavailable
 */
export async function showProposalWhole(deps: Deps, id: string): Promise<ShownProposal> {
  const found = await getProposal(deps.db, { id });
  if (found === null) throw notFound('proposal', id);
  const { blob } = found;
  const proposal = showProposal(deps, found.proposal);
  if (blob === null) return { ...proposal, content: null, diff: null };
  let output: Buffer;
  try {
    output = await getBlob(deps.store, blob);
  } catch (error) {
    if (!(error instanceof MembridgeError) || error.code !== 'not_found') throw error;
    return { ...proposal, content: null, diff: null };
  }
  const read = readProposal(output.toString('utf8'));
  if (!read.ok) return { ...proposal, content: null, diff: null };
  const { kind, content } = read.proposal;
  return {
    ...proposal,
    content,
    diff: kind === 'patch' ? content : diffOfFile(proposal.path ?? '', content),
  };
}

/** A file's text as git would show it of a file that was not there. */
function diffOfFile(path: string, content: string): string {
  const head = `diff --git a/${path} b/${path}\n`;
  if (content === '') return `${head}new file mode 100644\n`;
  const ends = content.endsWith('\n');
  const lines = (ends ? content.slice(0, -1) : content).split('\n');
  return [
    `${head}new file mode 100644\n--- /dev/null\n+++ b/${path}\n@@ -0,0 +1,${lines.length} @@\n`,
    ...lines.map((line) => `+${line}\n`),
    ends ? '' : '\\ No newline at end of file\n',
  ].join('');
}
