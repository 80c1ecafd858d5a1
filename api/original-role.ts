import type { OriginalRole } from '../contract/original.ts';
import type { Deps } from './deps.ts';

/**
 * What a node is to a project, as the answer to the original's heartbeat tells it.
 * @param _input.cid the project's canonical id; node the one that reports
 */
export async function roleOf(
  _deps: Pick<Deps, 'db' | 'now'>,
  _input: { cid: string; node: string },
): Promise<OriginalRole> {
  return await Promise.resolve('unknown');
}
