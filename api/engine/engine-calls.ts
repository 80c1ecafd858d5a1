import {
  ServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcServiceError,
  type Client,
} from '@temporalio/client';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { Engine } from '../../engine/connect.ts';

/** How long a call to Temporal may take before the request is answered with 503, in milliseconds. */
const ENGINE_DEADLINE_MS = 8_000;

/**
 * Calls Temporal with a deadline.
 * @param deadlineMs how long the call may take; 8 s by default
 * @throws MembridgeError engine_unavailable when Temporal does not answer in time; engine_busy when it answers
 * others, but not this call; other errors unchanged
 */
export async function callEngine<T>(
  engine: Engine,
  work: (client: Client) => Promise<T>,
  deadlineMs = ENGINE_DEADLINE_MS,
): Promise<T> {
  try {
    return await engine.client.withDeadline(Date.now() + deadlineMs, () => work(engine.client));
  } catch (error) {
    if (isOverdue(error) && (await isTemporalAnswering(engine))) {
      throw new MembridgeError(
        'engine_busy',
        `Temporal answers, but not to this call within ${deadlineMs / 1_000} s: ten requests for the same thing are the most at a time. Ask again in a few seconds.`,
        { cause: error },
      );
    }
    throw translateEngineError(error, engine.address.address);
  }
}

/**
 * Returns whether the call ran out of time. A workflow run accepts ten updates at a time; the client retries an
 * eleventh until then.
 */
function isOverdue(error: unknown): boolean {
  return error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || findGrpcError(error)?.code === 4;
}

/** Returns whether Temporal itself answers within a second. */
async function isTemporalAnswering({ client }: Engine): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + 1_000, () => client.workflowService.getSystemInfo({}));
    return true;
  } catch {
    return false;
  }
}

/** Temporal accepts 10,000 signals for one run of a workflow, and refuses further ones with INVALID_ARGUMENT. */
const TOO_MANY_SIGNALS = /exceeded workflow execution limit for signal/i;

/** gRPC statuses that mean "Temporal does not answer": DEADLINE_EXCEEDED, UNAVAILABLE, CANCELLED. */
const UNREACHABLE_STATUSES = new Set([1, 4, 14]);

/**
 * Converts an error that means "Temporal does not answer" into MembridgeError engine_unavailable, and one that means
 * "too many signals" into too_many_requests. Returns other errors unchanged.
 */
export function translateEngineError(error: unknown, address = 'TEMPORAL_ADDRESS'): unknown {
  const grpc = findGrpcError(error);
  if (grpc !== null && TOO_MANY_SIGNALS.test(grpc.message)) {
    return new MembridgeError(
      'too_many_requests',
      'Thousands of requests already wait for this node. It serves them together once it returns; try again then.',
      { cause: error },
    );
  }
  const gone =
    error instanceof WorkflowUpdateRPCTimeoutOrCancelledError ||
    (grpc !== null && UNREACHABLE_STATUSES.has(grpc.code));
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
