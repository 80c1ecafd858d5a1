import { Problem } from '../../../contract/http/api.ts';
import type { FieldProblem } from '../../../contract/errors.ts';

/** A failed request, in words that a person can act on. */
export class ApiProblem extends Error {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  /** The wrong fields of the body, each with its problem. */
  readonly fields: readonly FieldProblem[];

  /** @param facts.detail the sentence shown to people */
  constructor(facts: {
    status: number;
    code: string;
    detail: string;
    requestId?: string | null;
    fields?: readonly FieldProblem[];
  }) {
    super(facts.detail);
    this.name = 'ApiProblem';
    this.status = facts.status;
    this.code = facts.code;
    this.requestId = facts.requestId ?? null;
    this.fields = facts.fields ?? [];
  }
}

/**
 * Reads the body of a failed answer.
 * @param status the HTTP status
 * @param body the parsed JSON; null when it is not JSON
 * @returns the contract's problem in words; a general sentence when the body has another form
 */
export function toApiProblem(status: number, body: unknown): ApiProblem {
  const parsed = Problem.safeParse(body);
  if (!parsed.success) {
    const detail = `The server answered ${status} without a reason. A proxy on the way may be the cause.`;
    return new ApiProblem({ status, code: 'unknown', detail });
  }
  const fields = (parsed.data.fields ?? []).map(({ field, problem }) => `${field}: ${problem}`);
  const detail = [parsed.data.detail, ...fields.filter((text) => !parsed.data.detail.includes(text))].join(
    ' · ',
  );
  return new ApiProblem({
    status,
    code: parsed.data.code,
    detail,
    requestId: parsed.data.request_id,
    fields: parsed.data.fields ?? [],
  });
}

/** Returns whether an error means that nobody is signed in. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

/** Returns the sentence to show for anything that was thrown. */
export function errorSentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Returns an error's problem with one field of a form, or with a nested one (`tags.0` in `tags`); null when there is
 * none.
 */
export function findFieldProblem(error: unknown, name: string): string | null {
  if (!(error instanceof ApiProblem)) return null;
  const found = error.fields.find(({ field }) => field === name || field.startsWith(`${name}.`));
  if (found === undefined) return null;
  return found.problem.charAt(0).toUpperCase() + found.problem.slice(1);
}

/**
 * Returns the part of an error to show at a form's end, when fields show their own problems.
 * @param shown the fields that show their own problems
 */
export function withoutShownFields(error: Error | null, shown: readonly string[]): Error | null {
  if (!(error instanceof ApiProblem) || error.fields.length === 0) return error;
  const isShown = (field: string): boolean => shown.includes(field.split('.')[0] ?? '');
  if (!error.fields.every(({ field }) => isShown(field))) return error;
  return new Error('Correct the marked fields, then try again.');
}

/** The values that a form sends, by the API's field names; nested fields are in an object there. */
export type FormValues = Readonly<Record<string, unknown>>;

/**
 * Removes the fields that changed since an error. A refusal without fields is about all of them.
 * @param refused what was sent
 * @param now what the form would send now
 * @returns null when nothing is left
 */
export function withoutChanged(error: Error | null, refused: FormValues, now: FormValues): Error | null {
  if (!(error instanceof ApiProblem)) return error;
  if (error.fields.length === 0) {
    const isRefusal = error.status >= 400 && error.status < 500;
    return isRefusal && JSON.stringify(refused) !== JSON.stringify(now) ? null : error;
  }
  const fields = error.fields.filter(({ field }) => valueAt(refused, field) === valueAt(now, field));
  if (fields.length === error.fields.length) return error;
  if (fields.length === 0) return null;
  const { status, code, requestId, message } = error;
  return new ApiProblem({ status, code, detail: message, requestId, fields });
}

/** Returns the value of a field such as `task.tags.0`, as text. */
function valueAt(values: FormValues, field: string): string | undefined {
  const at = (holder: unknown, step: string): unknown =>
    typeof holder === 'object' && holder !== null ? (holder as FormValues)[step] : undefined;
  return JSON.stringify(field.split('.').reduce(at, values));
}

/** Makes an error in the API's form for problems that a form finds before it sends anything. */
export function makeFormProblem(fields: readonly FieldProblem[]): ApiProblem {
  return new ApiProblem({ status: 0, code: 'bad_request', detail: 'Not accepted yet.', fields });
}
