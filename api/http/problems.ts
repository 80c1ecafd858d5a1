import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import type { Logger } from 'pino';
import type { z } from 'zod';
import {
  ERRORS,
  MembridgeError,
  errorMessage,
  problemType,
  type FieldProblem,
} from '../../contract/errors.ts';
import type { Problem } from '../../contract/http/api.ts';
import { NodeProblem } from '../../gateway/node-problem.ts';
import { translateEngineError } from '../engine/engine-calls.ts';

/** A MembridgeError whose problem body has members besides the standard ones (RFC 9457 section 3.2). */
export class ProblemError extends MembridgeError {
  readonly members: Readonly<Record<string, string>>;

  constructor(code: MembridgeError['code'], message: string, members: Readonly<Record<string, string>>) {
    super(code, message);
    this.members = members;
  }
}

/** Answers a request with an error as RFC 9457 problem+json. */
export function sendProblem(res: Response, error: MembridgeError): void {
  const { status, title } = ERRORS[error.code];
  const problem: Problem = {
    type: problemType(error.code, basePathOfApp(res)),
    title,
    status,
    detail: error.message,
    code: error.code,
    request_id: String(res.getHeader('X-Request-ID') ?? ''),
    error: error.message,
    ...(error.fields.length > 0 ? { fields: [...error.fields] } : {}),
  };
  const members = error instanceof ProblemError ? error.members : {};
  res
    .status(status)
    .type('application/problem+json')
    .send(JSON.stringify({ ...problem, ...members }));
}

/** Returns the base path that the app serves (`app.locals`), or '' where it has none. */
export function basePathOfApp(res: Response): string {
  const basePath: unknown = res.app.locals['basePath'];
  return typeof basePath === 'string' ? basePath : '';
}

/**
 * Makes the error of a request that a schema refused, naming each field.
 * @param where "body", "query" or "path"
 * @param code unprocessable (422) on paths of the original's control plane, bad_request (400) on others
 */
export function invalidInputError(
  where: string,
  error: z.ZodError,
  code: 'bad_request' | 'unprocessable' = 'bad_request',
): MembridgeError {
  const fields = error.issues.flatMap((issue): FieldProblem[] => {
    const at = issue.path.map(String).join('.');
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ field: at === '' ? key : `${at}.${key}`, problem: 'unknown field' }));
    }
    return [{ field: at === '' ? where : at, problem: issue.message }];
  });
  const said = fields.map(({ field, problem }) => `${field}: ${problem}`).join('; ');
  return new MembridgeError(code, `The ${where} is not valid. ${said}`, { fields });
}

/** Answers a request that no route took. @param basePath the path below which callers find everything, or '' */
export const refuseUnknownPath =
  (basePath: string): RequestHandler =>
  (req, res) => {
    const detail = `There is no ${req.method} ${basePath}${req.path}. GET ${basePath}/docs lists what there is.`;
    sendProblem(res, new MembridgeError('not_found', detail));
  };

/** The last handler. Every error becomes a problem; one outside the error table is logged whole and reported as internal. */
export function handleErrors(logger: Logger): ErrorRequestHandler {
  return (thrown: unknown, _req, res, next) => {
    const error = toMembridgeError(thrown);
    if (error.code === 'internal') {
      logger.error({ err: thrown, request_id: res.getHeader('X-Request-ID') }, 'request failed');
    } else if (ERRORS[error.code].status >= 500) {
      const reason = error instanceof NodeProblem ? 'a node reported it' : error.message;
      logger.warn({ code: error.code, reason, request_id: res.getHeader('X-Request-ID') }, 'refused');
    }
    // Too late for an answer: Express then cuts the connection.
    if (res.headersSent) next(thrown);
    else sendProblem(res, error);
  };
}

function toMembridgeError(thrown: unknown): MembridgeError {
  const error = translateEngineError(thrown);
  if (error instanceof MembridgeError) return error;
  return (
    toBodyError(error) ??
    new MembridgeError(
      'internal',
      'Something went wrong here; the log of the control plane has it under this request id.',
    )
  );
}

/** Converts Express's own errors: the JSON parser's (by `type`) and the router's on a path that does not decode. */
function toBodyError(error: unknown): MembridgeError | null {
  if (typeof error !== 'object' || error === null) return null;
  const type = 'type' in error ? error.type : '';
  const status = 'status' in error ? error.status : 0;
  if (type === 'entity.too.large') {
    return new MembridgeError('too_large', 'The body is larger than 1 MB, the most a request may send.');
  }
  if (type === 'entity.parse.failed') {
    return new MembridgeError('bad_request', `The body is not JSON: ${errorMessage(error)}`);
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new MembridgeError('bad_request', errorMessage(error));
  }
  return null;
}
