import { isAllowedHost, parseGitUrl } from '../../contract/projects/git-url.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { CloneSpec, ManagedProject } from '../../contract/projects/projects.ts';
import { whyRefused } from '../../contract/projects/proposal-state.ts';
import type { ApplySpec, Approval, ApprovalAnswer } from '../../contract/projects/proposals.ts';
import type { Blob } from '../../contract/tasks/runs.ts';
import type { Database } from '../../db/connect.ts';
import { toCloneSpec } from '../../db/project-rows.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { getProject } from '../../db/queries/list-projects.ts';
import { getProposal } from '../../db/queries/list-proposals.ts';
import { recordPreview, type PreviewOutcome } from '../../db/queries/proposal-previews.ts';
import { recordProposal, type ProposalChange } from '../../db/queries/record-proposal.ts';

/** The content of an approved proposal's commit, and the node that makes it. */
export interface ApplyPlan {
  readonly node: string;
  readonly spec: CloneSpec;
  readonly proposal: ApplySpec;
  readonly output: Blob;
}

/** Why it cannot be committed, as a code of the error table. */
interface ApplyProblem {
  readonly code: string;
  readonly message: string;
}

/** Control plane activities for proposals. All of them are idempotent. */
export function createProposalControlActivities({
  db,
  gitHosts,
}: {
  db: Database;
  gitHosts: readonly string[];
}) {
  /** Finds the node for a proposal, and the work to do there. */
  async function makePlan(id: string): Promise<(ApplyPlan & { decidedBy: string | null }) | ApplyProblem> {
    const found = await getProposal(db, { id });
    if (found === null) return { code: 'not_found', message: `Proposal ${id} no longer exists.` };
    const { proposal, blob } = found;
    const project = await getProject(db, { id: proposal.project_id });
    if (project === null) return { code: 'not_found', message: 'Its project was deleted.' };
    if (blob === null) {
      return { code: 'not_found', message: 'The content of the proposal was removed from the object store.' };
    }
    const { host } = parseGitUrl(project.repo_url);
    if (!isAllowedHost(host, gitHosts)) {
      return { code: 'forbidden', message: `${host} is not among the hosts of MEMBRIDGE_GIT_HOSTS.` };
    }
    const live = await listLiveNodes(db, { withinMs: ONLINE_WITHIN_MS, now: Date.now() });
    const node = chooseNode(project, live);
    if (typeof node !== 'string') return node;
    const { approved_tree: tree, approved_base: base } = proposal;
    return {
      node,
      decidedBy: proposal.decided_by,
      spec: toCloneSpec(project, gitHosts),
      proposal: {
        proposalId: id,
        taskId: proposal.task_id,
        agentSlug: proposal.agent_slug,
        title: proposal.title,
        kind: proposal.kind,
        path: proposal.path,
        expectedVersion: proposal.expected_version,
        approved: tree === null || base === null ? null : { tree, base },
      },
      output: blob,
    };
  }

  return {
    /** Records a person's approval if the proposal's status still allows it. */
    async recordProposalApproved(input: {
      proposalId: string;
      approval: Approval;
      runId: string;
    }): Promise<ApprovalAnswer> {
      const { proposalId: id, approval, runId } = input;
      const { by, expectedVersion, treeHash, requestId: key } = approval;
      const recorded = await recordProposal(db, {
        id,
        change: { step: 'approve', by, runId, expectedVersion, treeHash },
        key,
        cause: `${by} approved it`,
        now: Date.now(),
      });
      if (recorded.outcome === 'missing')
        return { outcome: 'missing', detail: `There is no proposal ${id}.` };
      if (recorded.outcome === 'recorded') return { outcome: 'approved', detail: recorded.proposal.detail };
      return { outcome: 'refused', detail: recorded.why ?? whyRefused(recorded.proposal, 'approved') };
    },

    /**
     * Chooses the node that commits a proposal, and records that it begins.
     * @returns the node's work, or why no node can do it
     */
    async beginProposal(input: { proposalId: string; key: string }): Promise<ApplyPlan | ApplyProblem> {
      const { proposalId: id, key } = input;
      const plan = await makePlan(id);
      if ('code' in plan) return plan;
      const begun = await recordProposal(db, {
        id,
        change: { step: 'apply', node: plan.node },
        key,
        cause: `${plan.decidedBy ?? 'a person'} approved it`,
        now: Date.now(),
      });
      if (begun.outcome !== 'recorded') {
        return { code: 'conflict', message: 'Another request changed the status of the proposal.' };
      }
      const { node, spec, proposal, output } = plan;
      return { node, spec, proposal, output };
    },

    /**
     * Chooses the node that computes a proposal's tree and diff.
     * @returns the node's work, or why no node can do it
     */
    async planPreview(input: { proposalId: string }): Promise<ApplyPlan | ApplyProblem> {
      const plan = await makePlan(input.proposalId);
      if ('code' in plan) return plan;
      const { node, spec, proposal, output } = plan;
      // The preview applies to the current branch; the approval checks whether that is the expected version.
      return { node, spec, proposal: { ...proposal, expectedVersion: null }, output };
    },

    /** Stores a node's preview of a proposal, or why there is none. */
    async recordPreview(input: { proposalId: string; outcome: PreviewOutcome }): Promise<void> {
      await recordPreview(db, { id: input.proposalId, outcome: input.outcome, now: Date.now() });
    },

    /** Records how the proposal ended. */
    async recordProposalEnded(input: {
      proposalId: string;
      change: Extract<ProposalChange, { step: 'succeed' | 'fail' }>;
      key: string;
      cause: string;
    }): Promise<void> {
      const { proposalId: id, change, key, cause } = input;
      await recordProposal(db, { id, change, key, cause, now: Date.now() });
    },
  };
}

/** Returns the primary; without one, a node that is online and has a clone. */
function chooseNode(project: ManagedProject, live: readonly string[]): string | ApplyProblem {
  const { name, primary_node_id: primary } = project;
  if (primary !== null) {
    return live.includes(primary)
      ? primary
      : {
          code: 'node_offline',
          message: `${primary}, the primary node of ${name}, is offline. Approve it again when it is back, or make another node primary.`,
        };
  }
  const cloned = project.nodes.filter(({ clone_status }) => clone_status === 'cloned');
  const node = cloned.map(({ node_id }) => node_id).find((id) => live.includes(id));
  return (
    node ?? {
      code: 'node_offline',
      message:
        cloned.length === 0
          ? `${name} has no primary node and no clone on any node. Clone it, and approve it again.`
          : `${name} has no primary node, and no node that has a clone of it is online. Approve it again when one is back.`,
    }
  );
}
