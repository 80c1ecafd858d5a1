import { errorMessage } from '../../contract/errors.ts';
import { findNodeAccess } from '../../db/queries/find-node-access.ts';
import type { KeyLookup } from '../../gateway/node-sockets.ts';
import type { Deps } from '../deps.ts';

/** Returns how sockets of nodes look up the key that opened them. */
export function keyLookup({ db, logger }: Pick<Deps, 'db' | 'logger'>): KeyLookup {
  return {
    findAccess: (keyHash) => findNodeAccess(db, { keyHash }),
    failed: (node, error) =>
      logger.warn({ node, reason: errorMessage(error) }, "a node's key could not be looked up; trying again"),
  };
}

/** Has sockets follow removed nodes, changed keys and labels, by the events of all control planes. */
export function followKeys(
  { events }: Pick<Deps, 'events'>,
  sockets: { recheck(node: string): Promise<void>; recheckAll(): Promise<void> },
): void {
  events.subscribe(({ event }) => {
    if (event.type === 'node') void sockets.recheck(event.node.id);
    else if (event.type === 'node-removed') void sockets.recheck(event.id);
    else if (event.type === 'reset') void sockets.recheckAll();
  });
}
