import { MembridgeError, errorMessage } from '../contract/errors.ts';

/** Codes of the operating system and of PostgreSQL (classes 08, 57P) for a missing server. */
const GONE_CODES =
  /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|08...|57P0[1-5]|53300)$/;

/** PostgreSQL's code for a write to a read-only server; after a failover, the former primary. */
const READ_ONLY = '25006';

/** TLS error codes for a certificate that this machine does not trust. */
const UNTRUSTED_CODES =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|CERT_HAS_EXPIRED|ERR_TLS_CERT_ALTNAME_INVALID)$/;

/** Why PostgreSQL answers but cannot work now, by its error code. */
const BUSY_SENTENCES: Readonly<Record<string, string>> = {
  '53100': 'has no room left on its disk: free some there',
  '53200': 'has no memory left',
  '53400': 'has reached a limit of its configuration',
  '57014': 'ended a statement that took too long',
  '55P03': 'waited too long for a lock',
  '40001': 'ended a transaction that conflicted with another one',
  '40P01': 'ended a transaction that conflicted with another one',
};

/** PostgreSQL's codes for text that it cannot store: its text and jsonb have no NUL character. */
const NUL_CODES = new Set(['22021', '22P05']);

/** Messages of the pg driver for a broken connection, for which it sets no code. */
const GONE_MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|connection error and is not queryable|Client was closed|Query read timeout/i;

/**
 * Converts a driver error to MembridgeError database_unavailable when the server is gone or cannot work now.
 * Returns any other error unchanged, without the ORM's wrapper.
 * @param where the server's address, for the message
 */
export function translateDatabaseError(error: unknown, where: string): unknown {
  const cause = unwrap(error);
  if (cause instanceof MembridgeError) return cause;
  if (NUL_CODES.has(codeOf(cause))) {
    return new MembridgeError(
      'bad_request',
      'A text in the request contains the character U+0000; remove it.',
      {
        cause,
      },
    );
  }
  if (UNTRUSTED_CODES.test(codeOf(cause))) {
    return new MembridgeError(
      'database_unavailable',
      `PostgreSQL at ${where} (DATABASE_URL) shows a certificate that this machine does not trust: ${errorMessage(cause)}. Add its CA with ?sslmode=verify-full&sslrootcert=/path/to/ca.pem, or in NODE_EXTRA_CA_CERTS; ?sslmode=no-verify encrypts without checking who answers.`,
      { cause },
    );
  }
  if (isReadOnly(cause)) {
    return new MembridgeError(
      'database_unavailable',
      `PostgreSQL at ${where} (DATABASE_URL) takes no writes: it is a standby, as a former primary is after a failover. The connection was closed; the call may be repeated.`,
      { cause },
    );
  }
  const busy = BUSY_SENTENCES[codeOf(cause)];
  if (busy !== undefined) {
    return new MembridgeError(
      'database_unavailable',
      `PostgreSQL at ${where} (DATABASE_URL) ${busy} (${errorMessage(cause)}). The call may be repeated.`,
      { cause },
    );
  }
  if (!isServerGone(cause)) return cause;
  return new MembridgeError(
    'database_unavailable',
    `PostgreSQL at ${where} (DATABASE_URL) does not answer: ${errorMessage(cause) || codeOf(cause)}. The call may be repeated.`,
    { cause },
  );
}

/** Removes Drizzle's wrapper, which repeats the statement with its parameters; those must not reach a log. */
function unwrap(error: unknown): unknown {
  return error instanceof Error && error.constructor.name === 'DrizzleQueryError' && error.cause !== undefined
    ? error.cause
    : error;
}

/** Returns whether an error means that the server is read-only. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(unwrap(error)) === READ_ONLY;
}

function isServerGone(error: unknown): boolean {
  return GONE_CODES.test(codeOf(error)) || GONE_MESSAGES.test(errorMessage(error));
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
