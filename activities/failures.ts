import { ApplicationFailure } from '@temporalio/common';
import { MembridgeError, errorMessage } from '../contract/errors.ts';

/**
 * Converts an error to an activity failure: its code becomes the type, its sentence the message. It is marked
 * final when a retry cannot help. Errors that are not ours may be temporary, so they are retried.
 */
export function toFailure(error: unknown, options: { final?: boolean } = {}): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof MembridgeError) {
    return ApplicationFailure.create({
      type: error.code,
      message: error.message,
      nonRetryable: options.final ?? !error.retryable,
      cause: error,
    });
  }
  return ApplicationFailure.create({
    type: 'internal',
    message: errorMessage(error),
    nonRetryable: options.final ?? false,
    ...(error instanceof Error ? { cause: error } : {}),
  });
}
