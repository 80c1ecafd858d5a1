import { z } from 'zod';
import { RepoUrl } from './git-url.ts';
import { CanonicalId, EpochMs, NodeId, ReportedId } from '../http/primitives.ts';

/**
 * A project's name, which is also the name of its folder. It follows the original's alphabet, anchored, and is the
 * same on the control plane and on every node.
 */
export const ManagedProjectName = z
  .string()
  .min(1)
  // The original allowed 256 characters. As a folder name it must fit into 255 bytes.
  .max(255)
  .regex(
    /^[A-Za-z0-9_](?:[A-Za-z0-9_. -]*[A-Za-z0-9_-])?$/,
    'must be letters, digits, "_", "-", "." or spaces, starting with a letter, a digit or "_" and not ending with "." or a space',
  );

/** The path of a clone on a node, inside the node's folder of repositories. */
export const TargetPath = z
  .string()
  .min(1)
  .max(512)
  .regex(
    /^(?:~\/|\/)?[A-Za-z0-9_.][A-Za-z0-9_. -]*(?:\/[A-Za-z0-9_.][A-Za-z0-9_. -]*)*\/?$/,
    'must be a path of letters, digits, "_", "-", "." and spaces, in which no name starts with "-"',
  )
  .refine(
    (path) => !path.split('/').some((part) => part === '..' || part === '.'),
    'must not contain ".." or "."',
  );

/** A branch, by the rules of git-check-ref-format that matter here. It can never look like an option. */
export const BranchName = z
  .string()
  .min(1)
  .max(255)
  .regex(
    /^[A-Za-z0-9_+@#](?:[A-Za-z0-9_./+@#-]*[A-Za-z0-9_+@#-])?$/,
    'must be a branch name that git accepts',
  )
  .refine(
    (name) => !/\.\.|\/\/|@\{|\.lock(?:\/|$)|\/\./.test(name) && name !== '@',
    'must be a branch name that git accepts',
  );

/** A cron expression of five fields, in UTC: minute, hour, day of month, month, day of week. */
export const CronExpression = z
  .string()
  .max(128)
  .regex(
    /^[0-9*,/-]+ [0-9*,/-]+ [0-9*,/-]+ [0-9A-Za-z*,/-]+ [0-9A-Za-z*,/-]+$/,
    'must be a cron expression of five fields, such as "0 */6 * * *"',
  );

/** The options of a clone. */
export const CloneOptions = z.strictObject({
  /** The branch to check out; null: the remote's default branch. */
  branch: BranchName.nullable(),
  /** How many commits of history to fetch; null: all. */
  depth: z.number().int().min(1).max(1_000_000).nullable(),
  submodules: z.boolean(),
});
export type CloneOptions = z.infer<typeof CloneOptions>;

/** The status of one clone. `pending` waits for its node or its turn; the original knew all but the last. */
export const CloneStatus = z.enum(['pending', 'cloning', 'cloned', 'failed', 'cancelled']);
export type CloneStatus = z.infer<typeof CloneStatus>;

/** The status of a project, from its clones, in the original's words. `partial`: some nodes have it and some failed. */
export const ProjectCloneStatus = z.enum([
  'pending',
  'cloning',
  'cloned',
  'failed',
  'propagating',
  'synced',
  'partial',
  'cancelled',
]);
export type ProjectCloneStatus = z.infer<typeof ProjectCloneStatus>;

/** What git is doing now. */
export const CloneProgress = z.strictObject({
  /** The phase, for people: `receiving objects`, `checking out files`, … */
  phase: z
    .string()
    .max(64)
    // oxlint-disable-next-line no-control-regex -- control characters are what it refuses
    .regex(/^[^\x00-\x1f\x7f-\x9f]*$/),
  /** Percent of this phase, 0 to 100; null when git does not report it. */
  percent: z.number().min(0).max(100).nullable(),
  /** Bytes received so far. */
  bytes: z.number().int().nonnegative(),
});
export type CloneProgress = z.infer<typeof CloneProgress>;

/** How a clone differs from its remote, and what exists only in the clone. */
export const Drift = z.strictObject({
  /** Commits that the clone lacks; null when there is no remote branch. */
  behind: z.number().int().nonnegative().nullable(),
  /** Commits that the remote branch lacks. */
  ahead: z.number().int().nonnegative().nullable(),
  /** Files that differ from the last commit, untracked ones included. */
  dirty: z.number().int().nonnegative(),
});
export type Drift = z.infer<typeof Drift>;

/** What an activity on a node must do with one project's clone. It never holds a secret. */
export const CloneSpec = z.strictObject({
  projectId: z.string(),
  name: ManagedProjectName,
  repoUrl: RepoUrl,
  targetPath: TargetPath.nullable(),
  options: CloneOptions,
  /** Whether the control plane holds a credential, which the node then requests. */
  hasCredential: z.boolean(),
  /** The hosts that git may contact (MEMBRIDGE_GIT_HOSTS), for submodules and redirects too; absent: all. */
  hosts: z.array(z.string()).optional(),
});
export type CloneSpec = z.infer<typeof CloneSpec>;

/**
 * `clone` makes the clone, or updates an existing one. `fetch` only asks the remote and reports the drift. `update`
 * updates existing clones on online nodes.
 */
export const CloneAction = z.enum(['clone', 'fetch', 'update']);
export type CloneAction = z.infer<typeof CloneAction>;

/** The actions on one node's clone. `reset` makes it equal to the remote, and keeps the former state on a branch. */
export const NodeCloneAction = z.enum([...CloneAction.options, 'reset']);
export type NodeCloneAction = z.infer<typeof NodeCloneAction>;

/** The result of a clone action. */
export const CloneResult = z.strictObject({
  /**
   * `cloned`: it was missing before. `updated`: it moved forward. `unchanged`: it had everything. `kept`: it has
   * local changes or commits and was left alone. `fetched`: it was only compared.
   */
  outcome: z.enum(['cloned', 'updated', 'unchanged', 'kept', 'fetched']),
  /** Full hash; null for an empty repository. */
  commit: z.string().nullable(),
  branch: z.string().nullable(),
  /** Absolute, on the node. */
  path: z.string(),
  sizeBytes: z.number().int().nonnegative(),
  drift: Drift,
  /** What was done, and what was left alone and why, for people. */
  detail: z.string(),
  ms: z.number(),
});
export type CloneResult = z.infer<typeof CloneResult>;

/** One node's clone of a project, as the API shows it. */
export const ProjectNodeStatus = z.strictObject({
  id: z.string(),
  project_id: z.string(),
  node_id: NodeId,
  clone_status: CloneStatus,
  /** What happened last, or what it waits for, for people. */
  detail: z.string(),
  progress: CloneProgress.nullable(),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  repo_path: z.string().nullable(),
  commit: z.string().nullable(),
  branch: z.string().nullable(),
  size_bytes: z.number().int().nullable(),
  behind: z.number().int().nullable(),
  ahead: z.number().int().nullable(),
  dirty: z.number().int().nullable(),
  /** When the remote was last asked. */
  checked_at: EpochMs.nullable(),
  /** When the clone was last made or updated. */
  last_sync_at: EpochMs.nullable(),
  updated_at: EpochMs,
  workflow_id: z.string(),
  run_id: z.string(),
  history_url: z.string().nullable(),
});
export type ProjectNodeStatus = z.infer<typeof ProjectNodeStatus>;

/** The public part of a project's credential. The API never shows the secret again. */
export const CredentialInfo = z.strictObject({
  kind: z.enum(['ssh-key', 'token']),
  /** The user name that belongs to a token. */
  username: z.string().nullable(),
  /** `SHA256:…` of an ssh key, as ssh-keygen prints it; the last four characters of a token. */
  hint: z.string(),
  set_at: EpochMs,
});
export type CredentialInfo = z.infer<typeof CredentialInfo>;

/** A repeated action of a Temporal Schedule. */
export const ProjectSchedule = z.strictObject({
  cron: CronExpression,
  /** When it runs next, in epoch ms; null while unknown. */
  next_at: EpochMs.nullable().default(null),
});

/** `GET /api/runtime/projects/:id/schedules`: when each runs next. */
export const ProjectSchedules = z.strictObject({
  memory: ProjectSchedule.nullable(),
  fetch: ProjectSchedule.nullable(),
  update: ProjectSchedule.nullable(),
});
export type ProjectSchedules = z.infer<typeof ProjectSchedules>;

/** An action that runs on several nodes. */
export const Propagation = z.strictObject({
  action: CloneAction,
  /** `waiting`: every online node is done; the others follow when they return. */
  state: z.enum(['running', 'waiting', 'done', 'cancelled']),
  nodes: z.array(NodeId),
  started_at: EpochMs,
  finished_at: EpochMs.nullable(),
  workflow_id: z.string(),
  run_id: z.string(),
  history_url: z.string().nullable(),
});
export type Propagation = z.infer<typeof Propagation>;

/** A managed project. Field names follow the original. */
export const ManagedProject = z.strictObject({
  id: z.string(),
  name: z.string(),
  repo_url: z.string(),
  canonical_id: CanonicalId,
  /** Canonical ids that belonged to its earlier names. */
  aliases: z.array(CanonicalId),
  target_path: z.string().nullable(),
  branch: z.string().nullable(),
  depth: z.number().int().nullable(),
  submodules: z.boolean(),
  clone_status: ProjectCloneStatus,
  primary_node_id: ReportedId.nullable(),
  /** The memory space that belongs to it: a canonical id, or null. */
  space: CanonicalId.nullable(),
  tags: z.array(z.string()),
  /** Whether nodes that enrol later also get a clone. */
  new_nodes: z.boolean(),
  credential: CredentialInfo.nullable(),
  /** Host keys for ssh, as in a known_hosts file; null: the node's own file. */
  known_hosts: z.string().nullable(),
  /** When every node syncs the memory of its space, besides the continual sync. */
  memory_schedule: ProjectSchedule.nullable(),
  /** When every clone fetches from its remote. */
  fetch_schedule: ProjectSchedule.nullable(),
  /** When existing clones are updated. */
  update_schedule: ProjectSchedule.nullable(),
  /** When the secret of its push webhook was made; null: it has none. The API shows the secret once. */
  push_webhook: z.strictObject({ made_at: EpochMs }).nullable(),
  propagation: Propagation.nullable(),
  created_at: EpochMs,
  updated_at: EpochMs,
  error_message: z.string().nullable(),
  nodes: z.array(ProjectNodeStatus),
});
export type ManagedProject = z.infer<typeof ManagedProject>;

/** Counts of a project's clones by status. The last four count existing clones. */
export const CloneCounts = z.strictObject({
  total: z.number().int(),
  pending: z.number().int(),
  cloning: z.number().int(),
  cloned: z.number().int(),
  failed: z.number().int(),
  cancelled: z.number().int(),
  /** Clones that exist, as far as is known, including those whose last update failed. */
  present: z.number().int(),
  /** Clones that were compared with their remote. */
  compared: z.number().int(),
  behind: z.number().int(),
  ahead: z.number().int(),
  dirty: z.number().int(),
});
export type CloneCounts = z.infer<typeof CloneCounts>;

/** Counts clones by status. */
export function countClones(
  clones: readonly Pick<ProjectNodeStatus, 'clone_status' | 'commit' | 'behind' | 'ahead' | 'dirty'>[],
): CloneCounts {
  const isPresent = (clone: (typeof clones)[number]) =>
    clone.clone_status === 'cloned' || clone.commit !== null;
  const present = clones.filter(isPresent);
  const compared = present.filter(({ dirty }) => dirty !== null);
  const by = (status: CloneStatus) => clones.filter(({ clone_status }) => clone_status === status).length;
  return {
    total: clones.length,
    pending: by('pending'),
    cloning: by('cloning'),
    cloned: by('cloned'),
    failed: by('failed'),
    cancelled: by('cancelled'),
    present: present.length,
    compared: compared.length,
    behind: compared.filter(({ behind }) => (behind ?? 0) > 0).length,
    ahead: compared.filter(({ ahead }) => (ahead ?? 0) > 0).length,
    dirty: compared.filter(({ dirty }) => (dirty ?? 0) > 0).length,
  };
}

/** A managed project as lists and events show it: counts instead of its clones. */
export const ProjectSummary = ManagedProject.omit({ nodes: true }).extend({
  propagation: Propagation.omit({ nodes: true }).nullable(),
  clones: CloneCounts,
});
export type ProjectSummary = z.infer<typeof ProjectSummary>;

/** The settings and the state of a project: the common part of its summary and its full form. */
export type ProjectFacts = Omit<ProjectSummary, 'clones'>;

/** `GET /api/runtime/projects/:id/clones`. */
export const ListClones = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  /** The last node of the previous page: X-Next-Cursor. */
  cursor: NodeId.optional(),
  status: CloneStatus.optional(),
  /** Nodes whose id contains this. */
  q: z.string().max(128).optional(),
});
export type ListClones = z.infer<typeof ListClones>;

/**
 * Returns the status of a project, derived only from its clones, so that it cannot contradict them.
 * @param propagation whether several nodes are being updated together, and how that ended
 */
export function projectStatus(
  nodes: readonly Pick<ProjectNodeStatus, 'clone_status'>[],
  propagation: Pick<Propagation, 'state'> | null,
): ProjectCloneStatus {
  const has = (status: CloneStatus): boolean => nodes.some((node) => node.clone_status === status);
  if (propagation?.state === 'running') return 'propagating';
  if (has('cloning')) return 'cloning';
  if (!has('cloned'))
    return has('pending') || nodes.length === 0 ? 'pending' : has('failed') ? 'failed' : 'cancelled';
  if (nodes.some((node) => node.clone_status !== 'cloned')) return 'partial';
  return propagation === null ? 'cloned' : 'synced';
}

const Tags = z
  .array(
    z
      .string()
      .min(1)
      .max(64)
      .refine((tag) => /^[\p{L}\p{N}_. -]+$/u.test(tag), 'must be letters, digits, "_", ".", "-" or spaces'),
  )
  .max(32);

const settings = {
  target_path: TargetPath.nullable(),
  branch: BranchName.nullable(),
  depth: CloneOptions.shape.depth,
  submodules: z.boolean(),
  /** As in the original, a node that is unknown is accepted. */
  primary_node_id: ReportedId.nullable(),
  space: CanonicalId.nullable(),
  tags: Tags,
  new_nodes: z.boolean(),
  known_hosts: z.string().max(16_384).nullable(),
  memory_schedule: z.strictObject({ cron: CronExpression }).nullable(),
  fetch_schedule: z.strictObject({ cron: CronExpression }).nullable(),
  update_schedule: z.strictObject({ cron: CronExpression }).nullable(),
};

/** `POST /api/runtime/projects`. */
export const CreateManagedProject = z.strictObject({
  name: ManagedProjectName,
  repo_url: RepoUrl,
  ...z.strictObject(settings).partial().shape,
});
export type CreateManagedProject = z.infer<typeof CreateManagedProject>;

/** `PATCH /api/runtime/projects/:id`: changes the given fields. */
export const UpdateManagedProject = z
  .strictObject({ name: ManagedProjectName, repo_url: RepoUrl, ...settings })
  .partial()
  .refine((given) => Object.keys(given).length > 0, 'name at least one setting to change');
export type UpdateManagedProject = z.infer<typeof UpdateManagedProject>;

/** `PUT /api/runtime/projects/:id/credential`. */
export const PutCredential = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('ssh-key'),
    /** An OpenSSH or PEM private key without a passphrase. */
    private_key: z.string().min(32).max(32_768),
  }),
  z.strictObject({
    kind: z.literal('token'),
    username: z
      .string()
      .min(1)
      .max(128)
      // oxlint-disable-next-line no-control-regex -- control characters are what it refuses
      .regex(/^[^\s:\x00-\x1f\x7f-\x9f]+$/, 'must not contain spaces or ":"')
      .default('git'),
    token: z
      .string()
      .min(1)
      .max(4_096)
      .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces'),
  }),
]);
export type PutCredential = z.infer<typeof PutCredential>;

/** The credential that a cloning node receives, with its own key and over HTTP: no part of it enters a workflow. */
export const NodeCredential = z.strictObject({
  credential: PutCredential.nullable(),
  known_hosts: z.string().nullable(),
});
export type NodeCredential = z.infer<typeof NodeCredential>;

/** Whether the call waits until the work has ended (like the original, within 60 s) or returns immediately. */
const wait = z.boolean().default(true);

/** `POST /api/runtime/projects/:id/clone`: on the primary unless a node is named. */
export const CloneProject = z.strictObject({ node_id: ReportedId.optional(), wait });

/** `POST /api/runtime/projects/:id/reset`: makes one node's clone equal to the remote; a branch keeps the former state. */
export const ResetClone = z.strictObject({
  node_id: NodeId,
  /** The commit that the page showed (`commit`). When the clone is at another one, nothing is changed. */
  commit: z.string().regex(/^[0-9a-f]{40,64}$/, 'must be the full hash of a commit'),
  wait,
});

/** `POST /api/runtime/projects/:id/propagate` and `…/fetch`: every node, unless some are named. */
export const PropagateProject = z.strictObject({
  nodes: z.array(NodeId).min(1).max(1_000).optional(),
  /** How many nodes may run at the same time. */
  concurrency: z.number().int().min(1).max(64).default(4),
  wait,
});

/**
 * `POST /api/runtime/projects/:id/push-webhook`: what to enter at GitHub, GitLab, Gitea or Forgejo. The API shows it
 * only this once.
 */
export const PushWebhook = z.strictObject({
  /** The path of this server for the forge to call. */
  path: z.string(),
  /** The full address; null unless MEMBRIDGE_PUBLIC_URL is set. */
  url: z.string().nullable(),
  secret: z.string(),
  made_at: EpochMs,
});

/** `POST /api/runtime/projects/:id/push`: the effect of a forge's call. */
export const PushAnswer = z.strictObject({
  /**
   * `updating`: the clones on online nodes are being updated. `ignored`: the call was not about a push, or no clone
   * exists.
   */
  status: z.enum(['updating', 'ignored']),
});

/** `POST /api/runtime/projects/:id/cancel`: one node's clone, or everything that is in progress. */
export const CancelProject = z.strictObject({ node_id: NodeId.optional() });

/** `POST /api/runtime/projects/:id/sync-memory`: on the primary unless a node is named; `all` means every live node. */
export const SyncProjectMemory = z.strictObject({
  direction: z.enum(['push', 'pull', 'sync']).default('push'),
  node_id: ReportedId.optional(),
  all: z.boolean().default(false),
  wait,
});

export const CloneProjectResponse = z.strictObject({
  /** The original's: `cloned`. With `wait: false`: `cloning`. */
  status: CloneStatus,
  node: NodeId,
  workflow_id: z.string(),
  /** Null before the node was ever asked. */
  result: z
    .strictObject({
      ...ProjectNodeStatus.shape,
      /** The original's: what its agent answered. */
      ok: z.boolean(),
      action: z.enum(['clone', 'pull']),
      path: z.string().nullable(),
      project_name: z.string(),
      stdout: z.string(),
      stderr: z.string(),
    })
    .nullable(),
});
export const PropagateProjectResponse = z.strictObject({
  /** `waiting`: the rest follows when their nodes return. `propagating`: it is still running. */
  status: z.enum(['synced', 'partial', 'waiting', 'propagating', 'nothing_to_propagate', 'cancelled']),
  workflow_id: z.string().nullable(),
  results: z.array(z.strictObject({ node_id: NodeId, status: CloneStatus, error: z.string().optional() })),
});
