import { errorMessage } from '../../contract/errors.ts';
import { findNodeAccess } from '../../db/queries/find-node-access.ts';
import type { KeyLookup } from '../../gateway/node-sockets.ts';
import type { Deps } from '../deps.ts';

/**
 * How long changes of nodes are collected, in milliseconds. A memory that reaches a hundred nodes changes each of
 * them; they are looked up together.
 */
const COLLECT_MS = 100;

/** Returns how sockets of nodes look up the key that opened them. */
export function keyLookup({ db, logger }: Pick<Deps, 'db' | 'logger'>): KeyLookup {
  return {
    findAccess: (keyHashes) => findNodeAccess(db, { keyHashes }),
    failed: (nodes, error) =>
      logger.warn(
        { nodes, reason: errorMessage(error) },
        'keys of nodes could not be looked up; trying again',
      ),
  };
}

/** Has sockets follow removed nodes, changed keys and pools, by the events of all control planes. */
export function followKeys(
  { events }: Pick<Deps, 'events'>,
  sockets: { recheck(nodes: readonly string[]): Promise<void>; recheckAll(): Promise<void> },
): void {
  const changed = new Set<string>();
  const recheckChanged = (): void => {
    const nodes = [...changed];
    changed.clear();
    void sockets.recheck(nodes);
  };
  events.subscribe(({ event }) => {
    if (event.type === 'node-removed') void sockets.recheck([event.id]);
    else if (event.type === 'reset') void sockets.recheckAll();
    else if (event.type === 'node') {
      if (changed.size === 0) setTimeout(recheckChanged, COLLECT_MS).unref();
      changed.add(event.node.id);
    }
  });
}
