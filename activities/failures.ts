import { ApplicationFailure } from '@temporalio/common';
import { MembridgeError, errorMessage } from '../contract/errors.ts';

/**
 * How an error leaves an activity: with its code as the failure's type, its sentence as the message, and marked as final
 * when trying again cannot help. Errors that are none of ours may pass, so they are tried again.
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
