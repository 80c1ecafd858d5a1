export interface ErrorRow {
  /** The HTTP status of an answer with this error. */
  readonly status: number;
  /** Whether the same call may succeed later without anyone changing anything. */
  readonly retryable: boolean;
  /** What happened, to which thing. */
  readonly title: string;
  /** Why it happens, where the title does not say so. */
  readonly cause?: string;
  /** What to do next. */
  readonly help: string;
}

/**
 * Every error a person or script can meet. docs/errors.md and the control plane's page /docs/errors are made from this table. After a
 * change, run `node api/write-errors.ts`.
 */
export const ERRORS = {
  unauthorized: {
    status: 401,
    retryable: false,
    title: 'The key is missing or wrong',
    help: 'Send the header that the message names, with a key that is valid today, or sign in on the page again.',
  },
  forbidden: {
    status: 403,
    retryable: false,
    title: 'The caller may not do this',
    cause: 'The key is valid, but its owner has no right to this call, or the call is switched off.',
    help: 'Read the reason in the message. It names the setting or the right that is missing.',
  },
  bad_request: {
    status: 400,
    retryable: false,
    title: 'The request is not valid',
    help: 'Correct the fields that the message and `fields` name. `/docs` describes every request.',
  },
  unprocessable: {
    status: 422,
    retryable: false,
    title: 'The request has a field with a wrong value',
    cause: 'Paths of the original control plane answer so, where other paths answer `bad_request`.',
    help: 'Correct the fields that the message and `fields` name.',
  },
  not_found: {
    status: 404,
    retryable: false,
    title: 'There is no such thing',
    help: 'Check the id or name and the path. Lists of the API and the page show what exists.',
  },
  conflict: {
    status: 409,
    retryable: false,
    title: 'The state of the thing does not allow this',
    cause: 'It changed in between, it is in use, or a thing of that name exists.',
    help: 'Load the thing again, then decide whether the call still makes sense. The message names the state.',
  },
  too_large: {
    status: 413,
    retryable: false,
    title: 'The body of the request is too large',
    help: 'Send less. The message names the limit.',
  },
  too_many_requests: {
    status: 429,
    retryable: true,
    title: 'Too many requests came at the same time',
    cause: 'An address, a key or a node used up its limit, or too many wrong keys came from one address.',
    help: 'Wait as long as `Retry-After` says, or a minute, and send the request again.',
  },
  internal: {
    status: 500,
    retryable: true,
    title: 'The control plane or the agent failed',
    cause: 'A fault in Membridge that no other code describes.',
    help: 'Look up the `request_id` in the log of the control plane, and report what you find there.',
  },
  protocol_unsupported: {
    status: 426,
    retryable: true,
    title: 'This agent is too old for the control plane',
    help: 'Upgrade Membridge on the machine that the message names. The agent continues after that.',
  },
  engine_busy: {
    status: 503,
    retryable: true,
    title: 'Temporal is busy with the same thing',
    cause: 'Temporal takes ten requests at a time for one workflow.',
    help: 'Send the request again in a few seconds.',
  },
  starting: {
    status: 503,
    retryable: true,
    title: 'The control plane is still starting',
    help: 'Wait. `GET /health` names the part that it waits for, and why.',
  },
  engine_unavailable: {
    status: 503,
    retryable: true,
    title: 'Temporal does not answer',
    help: 'Check that Temporal runs at TEMPORAL_ADDRESS. Work that was accepted continues when it is back.',
  },
  database_unavailable: {
    status: 503,
    retryable: true,
    title: 'PostgreSQL does not answer',
    help: 'Check that PostgreSQL runs at DATABASE_URL and that its disk has room.',
  },
  control_plane_unreachable: {
    status: 502,
    retryable: true,
    title: 'The remote control plane cannot be reached',
    cause: 'This process is a runtime alone, and asks a control plane at another address.',
    help: 'Check its address under Runtime, Settings, and the network between. A GET is tried again automatically.',
  },
  control_plane_refused: {
    status: 502,
    retryable: false,
    title: 'The remote control plane refused the request',
    cause: 'No control plane is set, the admin key is wrong, or something else answers at that address.',
    help: 'Correct the address or the admin key under Runtime, Settings, and choose "Test connection".',
  },
  sync_failed: {
    status: 502,
    retryable: false,
    title: 'The sync of a node failed',
    help: 'Open the job that `job_id` names. Its detail says which part failed and what to do.',
  },
  sync_timeout: {
    status: 504,
    retryable: true,
    title: 'The sync has not finished yet',
    cause: 'A request waits a limited time for a sync, 60 seconds by default. The sync itself continues.',
    help: 'Look at the job on the page or with `GET /jobs/:id`. If the node is offline, bring it back.',
  },
  memory_missing: {
    status: 409,
    retryable: false,
    title: 'There is no claude-mem database on this node',
    help: 'Start Claude Code with the claude-mem plugin once, or set CLAUDE_MEM_DB to the right file.',
  },
  memory_corrupt: {
    status: 409,
    retryable: false,
    title: 'The claude-mem database is damaged',
    help: 'Move the file away and keep it, start claude-mem once so that it makes an empty one, then run `membridge pull`.',
  },
  memory_index_damaged: {
    status: 409,
    retryable: false,
    title: 'A search index of the claude-mem database is damaged',
    cause:
      'The memories are intact. The node still sends its own, and keeps what others sent until the repair.',
    help: 'Run `membridge doctor --fix` on the node.',
  },
  memory_unreadable: {
    status: 409,
    retryable: false,
    title: 'The claude-mem database cannot be read or written',
    cause: 'The path is no file, the user has no permission, or the file system has no locks (NFS, SMB).',
    help: 'Correct what the message names, then run `membridge doctor`.',
  },
  memory_failed: {
    status: 500,
    retryable: false,
    title: 'SQLite failed on the claude-mem database',
    help: 'The next sync tries again. If the error stays, run `membridge doctor` and report what it prints.',
  },
  memory_schema_unknown: {
    status: 409,
    retryable: false,
    title: 'This Membridge does not know the tables of the claude-mem database',
    cause:
      'The database belongs to a newer claude-mem, or is not a claude-mem database. It was left untouched.',
    help: 'Upgrade Membridge on the node, or correct CLAUDE_MEM_DB.',
  },
  memory_locked: {
    status: 409,
    retryable: true,
    title: 'Another program has the claude-mem database locked',
    help: 'Nothing to do: the next sync tries again. If it stays locked, look for a long-running SQLite program.',
  },
  memory_in_use: {
    status: 409,
    retryable: false,
    title: 'Another agent syncs this claude-mem database',
    help: 'Stop one of the two agents. One database has one agent.',
  },
  memory_guarded: {
    status: 409,
    retryable: false,
    title: 'Mass deletion held for confirmation',
    cause: 'More than 50 memories, and more than 1 % of all, disappeared from this node since its last sync.',
    help: 'Run `membridge deletes approve` if you deleted them on purpose, `membridge deletes restore` if not.',
  },
  mirror_guarded: {
    status: 409,
    retryable: false,
    title: 'The mirror would hold fewer memories than the one it replaces',
    cause: 'Machines on the original scripts replace their whole database with the mirror.',
    help: 'Check what the space covers. If fewer is right, run `membridge legacy publish --fewer N` with the number in the message.',
  },
  ledger_failed: {
    status: 409,
    retryable: false,
    title: 'The sync ledger of this node cannot be used',
    help: 'Correct what the message names. If the ledger is damaged, stop the agent and delete the file: no memory is lost, and the next sync makes a new one.',
  },
  store_unavailable: {
    status: 503,
    retryable: true,
    title: 'The object store does not answer',
    help: 'Check that the store runs and that this machine reaches it. Syncs continue when it is back.',
  },
  store_refused: {
    status: 502,
    retryable: false,
    title: 'The object store refused the request',
    cause: 'The keys, the bucket or the rights of the keys are wrong.',
    help: 'Check MINIO_ACCESS_KEY, MINIO_SECRET_KEY and MINIO_BUCKET, and the reason in the message.',
  },
  segment_invalid: {
    status: 502,
    retryable: false,
    title: 'Stored memories failed verification',
    cause: 'A segment or snapshot in the store is damaged, incomplete, or not signed by a node of the fleet.',
    help: 'The writer sends damaged segments again automatically. If the error stays, check that this node is online.',
  },
  clone_failed: {
    status: 502,
    retryable: false,
    title: 'The clone of a project failed or was cancelled',
    help: 'Read the reason on the page of the project, then clone again.',
  },
  clone_timeout: {
    status: 504,
    retryable: true,
    title: 'The clone of a project has not finished yet',
    cause: 'A request waits a limited time, and one attempt on a node ends after two hours.',
    help: 'Watch the clone on the page of the project. If the node is offline, bring it back.',
  },
  clone_refused: {
    status: 409,
    retryable: false,
    title: "The clone's target path is already in use, or not allowed",
    cause:
      'Something else is at the target, the target is outside of MEMBRIDGE_REPOS_BASE, or MEMBRIDGE_GIT_HOSTS excludes the server.',
    help: 'Move away what the message names, or change the target path or the setting.',
  },
  clone_stalled: {
    status: 504,
    retryable: true,
    title: 'The git server stopped sending',
    cause: 'Nothing arrived for 60 seconds.',
    help: 'Check the network between this node and the git server. Membridge tries again automatically.',
  },
  git_auth_failed: {
    status: 502,
    retryable: false,
    title: 'The git server refused the credentials',
    help: "Set a token or an ssh key in the project's settings, or give the agent's user access.",
  },
  git_host_unknown: {
    status: 502,
    retryable: false,
    title: 'The host key of the git server is unknown or has changed',
    help: "Compare the key with the one that the server's owner publishes, then add it to the project's known_hosts.",
  },
  git_not_found: {
    status: 502,
    retryable: false,
    title: 'There is no such repository or branch',
    cause: 'GitHub and others also say so when the credentials may not see the repository.',
    help: "Correct the address or the branch in the project's settings, or give access.",
  },
  git_unreachable: {
    status: 502,
    retryable: true,
    title: 'The git server cannot be reached',
    help: 'Check the address, the network and any proxy on this node. Membridge tries again automatically.',
  },
  git_busy: {
    status: 409,
    retryable: true,
    title: 'Another git program works in the clone',
    help: 'Wait until it ends. If no git runs there, remove the lock file that the message names.',
  },
  git_failed: {
    status: 502,
    retryable: false,
    title: 'git failed on this node',
    help: 'The message has the line of git that says most. Correct that and try again.',
  },
  git_missing: {
    status: 409,
    retryable: false,
    title: 'git, ssh or Git LFS is not installed on this node',
    help: 'Install the program that the message names, and restart the agent.',
  },
  version_conflict: {
    status: 409,
    retryable: false,
    title: 'The branch moved since the proposal was made or reviewed',
    help: 'Look at the new diff on the page, and approve that.',
  },
  patch_rejected: {
    status: 409,
    retryable: false,
    title: 'The proposal cannot be applied to the branch',
    cause: 'It does not apply, changes nothing, or touches files that a proposal must not touch.',
    help: 'Read the reason in the message. Reject the proposal and run the task again, or commit by hand.',
  },
  push_refused: {
    status: 502,
    retryable: false,
    title: 'The git server did not accept the commit',
    cause: 'The branch is protected, for example, or a hook of the server refused.',
    help: "Change the server's rule or the project's branch, then approve the proposal again.",
  },
  node_offline: {
    status: 503,
    retryable: true,
    title: 'The node is offline',
    help: 'Start the agent on the machine that the message names, or choose another node.',
  },
  node_unreachable: {
    status: 503,
    retryable: true,
    title: 'The node cannot be asked now',
    cause: 'Its agent has no connection for calls to this control plane, or lost it during the call.',
    help: 'Ask again in 15 seconds. If the error stays, read the log of the agent on that machine.',
  },
  agent_outdated: {
    status: 409,
    retryable: false,
    title: 'The agent of the node is too old for this',
    help: 'Upgrade Membridge on the machine that the message names, then ask again.',
  },
  call_timeout: {
    status: 504,
    retryable: true,
    title: 'The node did not answer in time',
    cause: 'The call reached the node. Its database may be large, or a sync may be running there.',
    help: 'Ask again with a larger `deadline_seconds`.',
  },
  call_failed: {
    status: 502,
    retryable: false,
    title: 'The node could not answer',
    cause: 'The agent failed, or its answer has more than 8 MiB or another form than it should.',
    help: 'Read the reason in the message, and the log of the agent on that machine.',
  },
  disk_full: {
    status: 507,
    retryable: false,
    title: 'The disk of this node is full',
    help: 'Make room on the disk of the file that the message names. The next sync continues.',
  },
  no_worker: {
    status: 503,
    retryable: true,
    title: 'No node can take the task now',
    cause: 'No node fits, all slots are busy, or a node has no program or no sandbox to run it.',
    help: 'Read the reason in the message. The task keeps waiting if it was made with `auto_dispatch`.',
  },
  task_failed: {
    status: 502,
    retryable: false,
    title: 'The program of the task failed',
    help: 'Read the output of the task on its page. Correct the cause, then requeue the task.',
  },
  deposed: {
    status: 409,
    retryable: false,
    title: 'Another node is primary now',
    cause: 'This node lost its leadership before it could publish. Nothing was published.',
    help: 'Nothing to do: the new primary publishes.',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;
