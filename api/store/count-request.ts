import { MembridgeError } from '../../contract/errors.ts';
import type { Deps } from '../deps.ts';

/** Counts one request of a node to the store by its result: `ok`, or the code of its error. @throws whatever `work` throws */
export async function countRequest<T>(
  { metrics }: Pick<Deps, 'metrics'>,
  { node, method }: { node: string; method: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    const result = await work();
    metrics.agentStoreRequests.inc({ node, method, outcome: 'ok' });
    return result;
  } catch (error) {
    const outcome = error instanceof MembridgeError ? error.code : 'internal';
    metrics.agentStoreRequests.inc({ node, method, outcome });
    throw error;
  }
}
