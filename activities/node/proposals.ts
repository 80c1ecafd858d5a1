import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { MembridgeError } from '../../contract/errors.ts';
import type { CloneProgress, CloneSpec } from '../../contract/projects/projects.ts';
import { readProposal } from '../../contract/projects/proposal-content.ts';
import type { ApplyResult, ApplySpec, PreviewResult } from '../../contract/projects/proposals.ts';
import type { Blob } from '../../contract/tasks/runs.ts';
import { applyProposal } from '../../git/apply-proposal.ts';
import { NO_CREDENTIAL, type GitContext } from '../../git/context.ts';
import type { ProposalWork } from '../../git/proposal-clone.ts';
import { previewProposal } from '../../git/proposal-tree.ts';
import { Gate } from '../../git/turns.ts';
import { toFailure } from '../failures.ts';
import type { ProjectActivityOptions } from './projects.ts';

export interface ProposalInput {
  readonly spec: CloneSpec;
  readonly proposal: ApplySpec;
  /** The worker's output, which contains the patch or the file's text. */
  readonly output: Blob;
  /** Time limit for the whole activity, in milliseconds. */
  readonly timeoutMs: number;
}

export interface ProposalActivityOptions extends ProjectActivityOptions {
  /**
   * Fetches bytes from the object store.
   * @throws MembridgeError not_found, store_unavailable, store_refused
   */
  readonly contentOf: (blob: Blob) => Promise<Buffer>;
}

/** Proposals committed concurrently per node. The others wait. */
const MAX_CONCURRENT_PROPOSALS = 4;

/** How often a running activity sends a heartbeat, in milliseconds. */
const HEARTBEAT_MS = 1_000;

/** Activities of proposals on one node. */
export function createProposalActivities(options: ProposalActivityOptions) {
  const { reposBase, workDir, node, dryrun, credentialOf, contentOf } = options;
  const gate = new Gate(MAX_CONCURRENT_PROPOSALS);

  /** Does one proposal's work in its turn, with its project's credential. */
  async function run<T>(
    act: (work: ProposalWork, context: GitContext) => Promise<T>,
    { spec, proposal, output, timeoutMs }: ProposalInput,
  ): Promise<T> {
    let latest: CloneProgress = { phase: 'starting', percent: null, bytes: 0 };
    heartbeat(latest);
    const timer = setInterval(() => heartbeat(latest), HEARTBEAT_MS);
    const signal = cancellationSignal();
    const progress = (told: CloneProgress): void => {
      latest = told;
    };
    const onWait = (): void => progress({ phase: 'waiting for its turn', percent: null, bytes: 0 });
    try {
      return await gate.pass(signal, onWait, async () => {
        const content = extractContent(await contentOf(output), proposal);
        const credential = spec.hasCredential ? await credentialOf(spec) : NO_CREDENTIAL;
        const context = { reposBase, workDir, credential, signal, progress, timeoutMs };
        return await act({ spec, proposal, content }, context);
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw toFailure(error);
    } finally {
      clearInterval(timer);
    }
  }

  return {
    /**
     * Computes the tree that a proposal would produce on its project's branch, and git's own diff of it.
     * Commits nothing.
     */
    async previewProposal(input: ProposalInput): Promise<PreviewResult> {
      return await run(previewProposal, input);
    },

    /**
     * Commits an approved proposal on its project's branch and pushes it; a repeated call makes one commit.
     */
    async applyProposal(input: ProposalInput): Promise<ApplyResult> {
      if (dryrun) {
        throw toFailure(
          new MembridgeError(
            'conflict',
            `Node ${node} runs with MEMBRIDGE_AGENT_DRYRUN=1: nothing was committed to ${input.spec.name}.`,
          ),
        );
      }
      return await run(applyProposal, input);
    },
  };
}

export type ProposalActivities = ReturnType<typeof createProposalActivities>;

/**
 * Extracts the proposed content from the output, as when the proposal was made: equal output gives equal
 * content.
 */
function extractContent(output: Buffer, { kind, path }: ApplySpec): Buffer {
  const read = readProposal(output.toString('utf8'));
  if (!read.ok) throw new MembridgeError('patch_rejected', read.problem);
  if (read.proposal.kind !== kind || read.proposal.path !== path) {
    throw new MembridgeError('patch_rejected', 'The output differs from the approved proposal.');
  }
  return Buffer.from(read.proposal.content);
}
