/**
 * Every error a person or script can meet, in one table: its HTTP status, and whether the same call may succeed later.
 * Mapped once to RFC 9457 problem+json (api/http/problems.ts) and once to Temporal's ApplicationFailure (activities/failures.ts).
 */
export const ERRORS = {
  unauthorized: { status: 401, retryable: false, title: 'Unauthorized' },
  forbidden: { status: 403, retryable: false, title: 'Forbidden' },
  bad_request: { status: 400, retryable: false, title: 'Bad request' },
  unprocessable: { status: 422, retryable: false, title: 'Unprocessable content' },
  not_found: { status: 404, retryable: false, title: 'Not found' },
  conflict: { status: 409, retryable: false, title: 'Conflict' },
  too_large: { status: 413, retryable: false, title: 'Body too large' },
  too_many_requests: { status: 429, retryable: true, title: 'Too many requests' },
  internal: { status: 500, retryable: true, title: 'Internal error' },
  protocol_unsupported: { status: 426, retryable: true, title: 'This version is too old' },
  engine_busy: { status: 503, retryable: true, title: 'Temporal is busy with the same thing' },
  starting: { status: 503, retryable: true, title: 'The server is still starting' },
  engine_unavailable: { status: 503, retryable: true, title: 'Temporal is unavailable' },
  database_unavailable: { status: 503, retryable: true, title: 'PostgreSQL is unavailable' },
  control_plane_unreachable: {
    status: 502,
    retryable: true,
    title: 'The control plane elsewhere cannot be reached',
  },
  control_plane_refused: {
    status: 502,
    retryable: false,
    title: 'The control plane elsewhere did not answer as one',
  },
  sync_failed: { status: 502, retryable: false, title: 'The sync failed' },
  sync_timeout: { status: 504, retryable: true, title: 'The sync has not finished yet' },
  memory_missing: { status: 409, retryable: false, title: 'No claude-mem database on this node' },
  memory_corrupt: { status: 409, retryable: false, title: 'The claude-mem database is damaged' },
  memory_index_damaged: {
    status: 409,
    retryable: false,
    title: 'A search index of the claude-mem database is damaged',
  },
  memory_unreadable: {
    status: 409,
    retryable: false,
    title: 'The claude-mem database cannot be read or written',
  },
  memory_failed: { status: 500, retryable: false, title: 'SQLite failed on the claude-mem database' },
  memory_schema_unknown: { status: 409, retryable: false, title: 'Unknown claude-mem schema' },
  memory_locked: { status: 409, retryable: true, title: 'The claude-mem database is locked' },
  memory_in_use: { status: 409, retryable: false, title: 'Another agent syncs this database' },
  memory_guarded: {
    status: 409,
    retryable: false,
    title: 'So many memories are gone that the sync asks first',
  },
  mirror_guarded: {
    status: 409,
    retryable: false,
    title: 'The mirror would hold fewer memories than before',
  },
  ledger_failed: { status: 409, retryable: false, title: 'The sync ledger cannot be used' },
  store_unavailable: { status: 503, retryable: true, title: 'The object store is unavailable' },
  store_refused: { status: 502, retryable: false, title: 'The object store refused the request' },
  segment_invalid: { status: 502, retryable: false, title: 'A memory segment failed verification' },
  clone_failed: { status: 502, retryable: false, title: 'The clone failed' },
  clone_timeout: { status: 504, retryable: true, title: 'The clone has not finished yet' },
  clone_refused: { status: 409, retryable: false, title: 'Something else is where the clone is to go' },
  clone_stalled: { status: 504, retryable: true, title: 'The remote stopped sending' },
  git_auth_failed: { status: 502, retryable: false, title: 'The git server refused the credentials' },
  git_host_unknown: { status: 502, retryable: false, title: 'The host key of the git server is not known' },
  git_not_found: { status: 502, retryable: false, title: 'There is no such repository or branch' },
  git_unreachable: { status: 502, retryable: true, title: 'The git server cannot be reached' },
  git_busy: { status: 409, retryable: true, title: 'Another git works in the clone' },
  git_failed: { status: 502, retryable: false, title: 'git failed' },
  git_missing: { status: 409, retryable: false, title: 'git is not installed on this node' },
  version_conflict: {
    status: 409,
    retryable: false,
    title: 'The branch is not at the version that was expected',
  },
  patch_rejected: { status: 409, retryable: false, title: 'The proposal does not fit the branch' },
  push_refused: { status: 502, retryable: false, title: 'The git server did not take the commit' },
  node_offline: { status: 503, retryable: true, title: 'The node is offline' },
  disk_full: { status: 507, retryable: false, title: 'The disk of this node is full' },
  no_worker: { status: 503, retryable: true, title: 'No node can take the task' },
  task_failed: { status: 502, retryable: false, title: 'The task failed' },
  deposed: { status: 409, retryable: false, title: 'Another node is primary now' },
} as const satisfies Record<string, { status: number; retryable: boolean; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** One failed field of a request body or query. */
export interface FieldProblem {
  readonly field: string;
  readonly problem: string;
}

/** The one error class of the product: a code of the table, and a message that names the thing and what to do. */
export class MembridgeError extends Error {
  readonly code: ErrorCode;
  readonly fields: readonly FieldProblem[];

  /**
   * @param code a key of ERRORS
   * @param message what happened, to which thing, and what to do
   * @param options.cause the error underneath; options.fields the body fields that were wrong
   */
  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; fields?: readonly FieldProblem[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MembridgeError';
    this.code = code;
    this.fields = options.fields ?? [];
  }

  /** Whether the same call may succeed later without anyone changing anything. */
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The error of one field of a body that only the world can find wrong, in the form of those that a schema refuses. */
export function badField(field: string, problem: string): MembridgeError {
  return new MembridgeError('bad_request', `The body is not valid. ${field}: ${problem}`, {
    fields: [{ field, problem }],
  });
}
