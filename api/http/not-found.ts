import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { MembridgeError } from '../../contract/errors.ts';
import type { Space } from '../../contract/memory/memory.ts';
import type { Node } from '../../contract/nodes/nodes.ts';
import { getNode } from '../../db/queries/get-node.ts';
import { getOriginalAgent } from '../../db/queries/original-agents.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import type { Deps } from '../deps.ts';
import { onOriginalAgent } from '../original/original-agent-line.ts';

/** Makes the error for a thing that does not exist, naming it. */
export function notFoundError(what: string, name: string): MembridgeError {
  return new MembridgeError('not_found', `There is no ${what} ${name}.`);
}

/** Returns the space of a canonical id, also of a former one. @throws MembridgeError not_found */
export async function requireSpace(deps: Deps, cid: string): Promise<Space> {
  const space = await getSpace(deps.db, { cid });
  if (space === null) throw notFoundError('space', cid);
  return space;
}

/** Returns the space of a project's name, also of a former one. @throws MembridgeError not_found */
export async function requireProject(deps: Deps, name: string): Promise<Space> {
  const space = await getSpace(deps.db, { cid: canonicalId(name) });
  if (space === null) throw notFoundError('project', name);
  return space;
}

/**
 * Returns a node. @throws MembridgeError not_found; conflict for a machine with the original's agent, which accepts
 * no requests
 */
export async function requireNode(deps: Deps, id: string): Promise<Node> {
  const node = await getNode(deps.db, { id, now: deps.now() });
  if (node !== null) return node;
  const original = await getOriginalAgent(deps.db, { name: id, now: deps.now() });
  throw original === null ? notFoundError('node', id) : onOriginalAgent(id, deps);
}
