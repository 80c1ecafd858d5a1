import type { Request, Response } from 'express';
import type { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { IGNORED_HEADER, ignoredNames, parseTolerantly } from '../../contract/http/tolerant.ts';

/**
 * Reads the body of one of the original's paths. As on the control plane, unknown fields are dropped and named in a
 * header.
 * @param code the error code of a wrong field; the original's agent answered 422
 * @throws MembridgeError naming each wrong field
 */
export function readOriginal<T extends z.ZodType>(
  schema: T,
  request: Request,
  response: Response,
  code: 'unprocessable' | 'bad_request' = 'unprocessable',
): z.infer<T> {
  const { parsed, ignored } = parseTolerantly('body', schema, request.body ?? {});
  if (ignored.length > 0) response.set(IGNORED_HEADER, ignoredNames(ignored));
  if (parsed.success) return parsed.data as z.infer<T>;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new MembridgeError(code, `The body is not valid. ${problems.join('; ')}`);
}
