import { errorMessage } from '../../contract/errors.ts';
import { MAX_BODY_BYTES, readBody } from './read-body.ts';
import { isBusy, parseRetryAfter } from './retry.ts';

/** An answer of a control plane, read to its end. */
export interface RemoteAnswer {
  readonly status: number;
  /** Parsed JSON; undefined for an answer without a body. */
  readonly body: unknown;
  /** As the server sent it. */
  readonly retryAfter: string | null;
}

/**
 * How one try ended. `busy` and `unreachable` mean that the server is not available (except for 429: it is, and asks
 * for time). `refused`: it is available, but its answer is unusable. `aborted`: nobody waits for the answer any
 * longer.
 */
export type Attempt =
  | { readonly kind: 'answered'; readonly answer: RemoteAnswer }
  | { readonly kind: 'busy'; readonly answer: RemoteAnswer; readonly retryAfterMs: number | null }
  | { readonly kind: 'unreachable'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'aborted' };

/** One request as it is sent. */
export interface Outgoing {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, or null for none. */
  readonly body: string | null;
}

/**
 * Tries once. Never throws.
 * @param deadlineMs for everything, the body included
 * @param caller aborts when nobody waits for the answer any longer
 */
export async function attempt(
  outgoing: Outgoing,
  deadlineMs: number,
  caller: AbortSignal | undefined,
): Promise<Attempt> {
  const { url, method, headers, body } = outgoing;
  const deadline = AbortSignal.timeout(Math.max(0, Math.round(deadlineMs)));
  try {
    const response = await fetch(url, {
      method,
      headers,
      // The admin key goes only to the configured host, not to another one that it redirects to.
      redirect: 'manual',
      signal: caller === undefined ? deadline : AbortSignal.any([deadline, caller]),
      ...(body === null ? {} : { body }),
    });
    return await readAnswer(response);
  } catch (error) {
    if (caller?.aborted === true) return { kind: 'aborted' };
    if (deadline.aborted) {
      return { kind: 'unreachable', reason: `no answer within ${Math.round(deadlineMs / 100) / 10} s` };
    }
    return { kind: 'unreachable', reason: networkReason(error) };
  }
}

async function readAnswer(response: Response): Promise<Attempt> {
  const { status, headers } = response;
  if (status >= 300 && status < 400) {
    await response.body?.cancel();
    return {
      kind: 'refused',
      reason: 'it answers with a redirect, which is not followed: set its final address',
    };
  }
  const text = await readBody(response);
  if (text === null) {
    return { kind: 'refused', reason: `its answer is larger than ${MAX_BODY_BYTES / 1_048_576} MB` };
  }
  const body = parseJson(text);
  const answer = { status, body, retryAfter: headers.get('Retry-After') };
  if (isBusy(status)) {
    const retryAfterMs = parseRetryAfter(answer.retryAfter, Date.now());
    return { kind: 'busy', answer: { ...answer, body: body ?? {} }, retryAfterMs };
  }
  if (body === undefined && text !== '')
    return { kind: 'refused', reason: `its answer (${status}) is not JSON` };
  return { kind: 'answered', answer };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/**
 * Returns the reason of a failed fetch. Its message is always "fetch failed"; the causes below it name the reason,
 * one for each address.
 */
function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError && cause.errors.length > 0) return errorMessage(cause.errors[0]);
  return errorMessage(cause ?? error);
}
