import { Problem } from '../../../contract/api.ts';

/** A request that failed, told in words that a person can act on. */
export class ApiProblem extends Error {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;

  /** @param facts.detail the sentence shown to people */
  constructor(facts: { status: number; code: string; detail: string; requestId?: string | null }) {
    super(facts.detail);
    this.name = 'ApiProblem';
    this.status = facts.status;
    this.code = facts.code;
    this.requestId = facts.requestId ?? null;
  }
}

/**
 * Reads the body of a failed answer.
 * @param status the HTTP status
 * @param body the parsed JSON, or null when it was none
 * @returns the contract's problem in words; a general sentence when the body is not one
 */
export function problemOf(status: number, body: unknown): ApiProblem {
  const parsed = Problem.safeParse(body);
  if (!parsed.success) {
    const detail = `The server answered ${status} without saying why. A proxy in between may be the cause.`;
    return new ApiProblem({ status, code: 'unknown', detail });
  }
  const fields = (parsed.data.fields ?? []).map(({ field, problem }) => `${field}: ${problem}`);
  const detail = [parsed.data.detail, ...fields.filter((text) => !parsed.data.detail.includes(text))].join(
    ' · ',
  );
  return new ApiProblem({ status, code: parsed.data.code, detail, requestId: parsed.data.request_id });
}

/** Whether an error says that nobody is signed in. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

/** The sentence to show for anything that was thrown. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
