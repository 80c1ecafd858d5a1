import { ERRORS, type ErrorCode } from './error-table.ts';

export { ERRORS, type ErrorCode } from './error-table.ts';

/**
 * Returns the URI that names a kind of error in problem+json (RFC 9457 `type`). It leads to the explanation of the error. It always
 * ends in `#` and the code. Programs should compare `code`, because the part before depends on where the control plane is.
 * @param controlPlane the address or base path of the control plane, '' at the root of its host
 */
export function problemType(code: ErrorCode, controlPlane: string): string {
  return `${controlPlane}/docs/errors#${code}`;
}

/** One failed field of a request body or query. */
export interface FieldProblem {
  readonly field: string;
  readonly problem: string;
}

/**
 * The one error class of the product: a code of the error table, and a message that names the thing and what to do. It is mapped in
 * two places: api/ makes RFC 9457 problem+json from it, activities/ Temporal's ApplicationFailure.
 */
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
