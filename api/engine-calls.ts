import {
  ServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcServiceError,
  type Client,
} from '@temporalio/client';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import type { Engine } from '../engine/connect.ts';

/** How long a call to Temporal may take, in milliseconds, before the request is answered 503. */
const ENGINE_DEADLINE_MS = 8_000;

/**
 * Calls Temporal with a deadline.
 * @param deadlineMs how long the call may take; 8 s unless told
 * @throws MembridgeError engine_unavailable when it does not answer in time; other errors as they are
 */
export async function callEngine<T>(
  engine: Engine,
  work: (client: Client) => Promise<T>,
  deadlineMs = ENGINE_DEADLINE_MS,
): Promise<T> {
  try {
    return await engine.client.withDeadline(Date.now() + deadlineMs, () => work(engine.client));
  } catch (error) {
    throw translateEngineError(error, engine.address.address);
  }
}

/** gRPC statuses that mean "Temporal is not there": DEADLINE_EXCEEDED, UNAVAILABLE, CANCELLED. */
const GONE = new Set([1, 4, 14]);

/** Turns an error that means "Temporal does not answer" into MembridgeError engine_unavailable; gives others back. */
export function translateEngineError(error: unknown, address = 'TEMPORAL_ADDRESS'): unknown {
  const grpc = findGrpcError(error);
  const gone =
    error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || (grpc !== null && GONE.has(grpc.code));
  if (!gone) return error;
  return new MembridgeError(
    'engine_unavailable',
    `Temporal at ${address} does not answer: ${errorMessage(grpc ?? error)}. The call may be repeated.`,
    { cause: error },
  );
}

function findGrpcError(error: unknown): { code: number; message: string } | null {
  if (isGrpcServiceError(error)) return error;
  if (error instanceof ServiceError) return findGrpcError(error.cause);
  return null;
}
