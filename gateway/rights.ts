import { nodeQueue, nodeTaskQueue, poolQueue } from '../contract/names.ts';
import { DEFAULT_POOL } from '../contract/tasks/tasks.ts';

/** What a node may do at Temporal. */
export interface Rights {
  readonly node: string;
  readonly namespace: string;
  /** The task queues that it may poll: its own, and those of the pools that it serves. */
  readonly queues: ReadonlySet<string>;
}

/**
 * Returns a node's rights.
 * @param labels pools that the node serves besides the default one
 */
export function rightsOf(node: string, namespace: string, labels: readonly string[]): Rights {
  const pools = [DEFAULT_POOL, ...labels].map(poolQueue);
  return { node, namespace, queues: new Set([nodeQueue(node), nodeTaskQueue(node), ...pools]) };
}
