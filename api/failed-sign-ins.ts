import type { RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';
import { MembridgeError } from '../contract/errors.ts';
import { sendProblem } from './problems.ts';

/** Failed attempts a minute from one address to trade a secret (the API key, an enrolment token) for a new one. */
const FAILURES_PER_MINUTE = 20;

/** Counts only attempts that failed, and refuses more of them from the same address for the rest of the minute. */
export function failedSignInLimit(): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit: FAILURES_PER_MINUTE,
    skipSuccessfulRequests: true,
    requestWasSuccessful: (_req, res) => res.statusCode !== 401,
    standardHeaders: 'draft-7',
    legacyHeaders: false,
    handler: (_req, res) => {
      sendProblem(
        res,
        new MembridgeError(
          'too_many_requests',
          'Too many failed attempts from this address; wait a minute and try again.',
        ),
      );
    },
  });
}
