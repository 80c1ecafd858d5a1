import type { NextFunction, Request, Response } from 'express';
import { z } from 'zod';
import { ERRORS, MembridgeError, errorMessage, problemType } from '../../contract/errors.ts';

/** An error of the agent's HTTP: RFC 9457 problem+json, plus the original's `error` string. */
export interface AgentProblem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly error: string;
}

/**
 * Converts any error into what people and scripts receive.
 * @param controlPlane the address of the control plane, which explains each error; null when the agent has none yet
 */
export function toProblem(error: unknown, controlPlane: string | null): AgentProblem {
  const { code, message } = toKnown(error);
  const { status, title } = ERRORS[code];
  const type = controlPlane === null ? 'about:blank' : problemType(code, controlPlane);
  return { type, title, status, detail: message, code, error: message };
}

/** The last handler of the agent's HTTP: answers with the error as problem+json. */
export function answerError(
  error: unknown,
  _request: Request,
  response: Response,
  _next: NextFunction,
): void {
  const controlPlane: unknown = response.app.locals['controlPlane'];
  const problem = toProblem(error, typeof controlPlane === 'string' ? controlPlane : null);
  response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

function toKnown(error: unknown): MembridgeError {
  if (error instanceof MembridgeError) return error;
  if (error instanceof z.ZodError) {
    const fields = error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
    return new MembridgeError('bad_request', fields.join('; '));
  }
  if (error instanceof SyntaxError && 'body' in error) {
    return new MembridgeError('bad_request', 'The body is not JSON.');
  }
  return new MembridgeError('internal', errorMessage(error));
}
