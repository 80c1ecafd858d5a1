import { z } from 'zod';
import { EpochMs, NodeId } from '../http/primitives.ts';

/** The type of a result that is committed only after a person approved it. */
export const PROPOSAL_TYPE = 'PROPOSAL';

/** pending → approved → applying → applied | failed; pending → rejected | expired. */
export const ProposalStatus = z.enum([
  'pending',
  'approved',
  'applying',
  'applied',
  'failed',
  'rejected',
  'expired',
]);
export type ProposalStatus = z.infer<typeof ProposalStatus>;

/** How long a proposal waits for a person, in milliseconds (the original's 72 h). */
export const PROPOSAL_WAIT_MS = 72 * 3_600_000;

export const Proposal = z.strictObject({
  id: z.string(),
  task_id: z.string(),
  artifact_id: z.string(),
  project_id: z.string(),
  worker_id: z.string(),
  agent_slug: z.string(),
  title: z.string(),
  /** `patch`: a unified diff; `file`: the new text of one file. */
  kind: z.enum(['patch', 'file']),
  path: z.string().nullable(),
  /** The commit that the branch must be at for it to be applied; null when every commit will do. */
  expected_version: z.string().nullable(),
  status: ProposalStatus,
  detail: z.string(),
  error_code: z.string().nullable(),
  decided_by: z.string().nullable(),
  decided_at: EpochMs.nullable(),
  commit: z.string().nullable(),
  /** The tree that a person looked at and approved; null before, and for an approval that named none. */
  approved_tree: z.string().nullable(),
  /** The commit on which this tree was built. */
  approved_base: z.string().nullable(),
  /** The node that applied it. */
  node_id: NodeId.nullable(),
  created_at: EpochMs,
  updated_at: EpochMs,
  expires_at: EpochMs,
  workflow_id: z.string(),
  run_id: z.string(),
  history_url: z.string().nullable(),
});
export type Proposal = z.infer<typeof Proposal>;

/** A commit as people write it: at least seven of its hex digits. */
const CommitHash = z.string().regex(/^[0-9a-f]{7,64}$/, 'must be a commit: 7 to 64 lower-case hex digits');

/** The full name of a git object. */
const ObjectHash = z
  .string()
  .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'must be a hash: 40 or 64 lower-case hex digits');

/** Why a reader should look twice at a file. `runs`: some program runs or obeys it; `hidden`: it has invisible characters. */
const ReviewMark = z.enum([
  'runs',
  'deleted',
  'mode',
  'executable',
  'symlink',
  'submodule',
  'hidden',
  'binary',
]);
export type ReviewMark = z.infer<typeof ReviewMark>;

/** What a proposal does to one file, as git reports it. A renamed file counts as one deleted and one added. */
export const ProposedFile = z.strictObject({
  path: z.string(),
  status: z.enum(['added', 'deleted', 'modified', 'type_changed']),
  /** Modes as git writes them (`100644`); null when there is no file. */
  old_mode: z.string().nullable(),
  new_mode: z.string().nullable(),
  marks: z.array(ReviewMark),
});
export type ProposedFile = z.infer<typeof ProposedFile>;

/** The tree that a node built from a proposal, and git's own diff of it. */
export const PreviewResult = z.strictObject({
  branch: z.string(),
  /** The commit on which it was built. */
  base: ObjectHash,
  tree: ObjectHash,
  files: z.array(ProposedFile),
  /**
   * git's diff, compressed with gzip, in base64: a repository's text may hold bytes that JSON and PostgreSQL do not
   * accept.
   */
  packedDiff: z.string(),
});
export type PreviewResult = z.infer<typeof PreviewResult>;

/** What a proposal would do to its project, as far as a node has found out. */
export const ProposalPreview = z.strictObject({
  /** `making`: a node is building it; repeat the request a moment later. */
  state: z.enum(['making', 'ready', 'failed']),
  /** Why there is none; null unless it failed. */
  error_code: z.string().nullable(),
  detail: z.string(),
  branch: z.string().nullable(),
  /** The commit on which the tree was built. */
  base: z.string().nullable(),
  /** Pass it as `tree_hash` to approve exactly this tree. */
  tree: z.string().nullable(),
  files: z.array(ProposedFile),
  /** The node that built it. */
  node_id: NodeId.nullable(),
  made_at: EpochMs.nullable(),
});
export type ProposalPreview = z.infer<typeof ProposalPreview>;

/** One proposal with the changes that it would make. */
export const ShownProposal = z.strictObject({
  ...Proposal.shape,
  /** The worker's text: the patch, or the new text of the file; null when the store no longer has it. */
  content: z.string().nullable(),
  /** git's own diff of the tree that a node built; null until there is one. */
  diff: z.string().nullable(),
  /** How that diff was made; null for a decided proposal that never had one. */
  preview: ProposalPreview.nullable(),
});
export type ShownProposal = z.infer<typeof ShownProposal>;

/** `GET /api/runtime/proposals`: newest first. */
export const ListProposals = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  status: ProposalStatus.optional(),
  project_id: z.string().max(64).optional(),
  task_id: z.string().max(64).optional(),
  /** Continues where a page ended: its `X-Next-Cursor`. */
  cursor: z
    .string()
    .max(200)
    .regex(/^\d{1,15}_.{1,180}$/, 'must be the X-Next-Cursor of a page')
    .optional(),
});
export type ListProposals = z.infer<typeof ListProposals>;

/** `POST /api/runtime/proposals/:id/approve`. */
export const ApproveProposal = z.strictObject({
  /** The commit that the branch must be at, instead of the proposal's own; null when every commit will do. */
  expected_version: CommitHash.nullable().optional(),
  /**
   * The tree that the person looked at (`preview.tree`): exactly this is committed, or nothing. Without it, only
   * changes are committed that the worker's text shows in full.
   */
  tree_hash: ObjectHash.optional(),
});

/** `POST /api/runtime/proposals/:id/preview`. */
export const RequestPreview = z.strictObject({});

/** `POST /api/runtime/proposals/:id/reject`. */
export const RejectProposal = z.strictObject({ reason: z.string().max(500).optional() });

/** A person's approval, as it reaches the workflow. */
export const Approval = z.strictObject({
  /** Names this request, so that a repeated one is recorded once. */
  requestId: z.string(),
  /** The actor: `admin`, `api` or `page`. */
  by: z.string(),
  /** Undefined: the proposal's own stays. */
  expectedVersion: CommitHash.nullable().optional(),
  /** The tree that the person looked at; undefined for an approval that names none. */
  treeHash: ObjectHash.optional(),
});
export type Approval = z.infer<typeof Approval>;

/** Whether an approval was recorded, or why not, for people. */
export const ApprovalAnswer = z.strictObject({
  outcome: z.enum(['approved', 'refused', 'missing']),
  detail: z.string(),
});
export type ApprovalAnswer = z.infer<typeof ApprovalAnswer>;

/** What a node must commit. It holds no secret and no content. */
export const ApplySpec = z.strictObject({
  proposalId: z.string(),
  taskId: z.string(),
  agentSlug: z.string(),
  title: z.string(),
  kind: z.enum(['patch', 'file']),
  path: z.string().nullable(),
  /** The commit that the branch must be at; null when every commit will do. */
  expectedVersion: z.string().nullable(),
  /** What a person approved; null: the approval named no tree. Absent from a control plane of an earlier version. */
  approved: z.strictObject({ tree: ObjectHash, base: ObjectHash }).nullable().optional(),
});
export type ApplySpec = z.infer<typeof ApplySpec>;

/** The result of applying a proposal. */
export const ApplyResult = z.strictObject({
  /** Full hash. */
  commit: z.string(),
  branch: z.string(),
  /** Whether an earlier try had pushed it already. */
  wasThere: z.boolean(),
});
export type ApplyResult = z.infer<typeof ApplyResult>;

export const ApplyProposalInput = z.strictObject({ proposalId: z.string() });
export type ApplyProposalInput = z.infer<typeof ApplyProposalInput>;
