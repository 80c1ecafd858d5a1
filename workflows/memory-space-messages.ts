import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import { MESSAGES } from '../contract/names.ts';
import type { NodePushed } from '../contract/workflows.ts';

/** A node pushed, so the others must pull. */
export const nodePushed = defineSignal<[NodePushed]>(MESSAGES.nodePushed);
/** claude-mem wrote something on a node, so the node must push. */
export const nodeNoticed = defineSignal<[node: string]>(MESSAGES.nodeNoticed);
/** A node came back, so it must push and pull. */
export const nodeReturned = defineSignal<[node: string]>(MESSAGES.nodeReturned);
/** A node's own workflow has synced it, after no wave could. */
export const nodeServed = defineSignal<[node: string]>(MESSAGES.nodeServed);
/**
 * The space's current configuration. Keeps a space open that is being closed, because it was created again.
 */
export const configureSpace = defineSignal<[SpaceConfig]>(MESSAGES.configureSpace);
/** The space was deleted. */
export const closeSpace = defineSignal(MESSAGES.closeSpace);
/** Makes a run begun by version 0.4 continue as one that serves nodes in waves. */
export const useWaves = defineSignal(MESSAGES.useWaves);
export const spaceState = defineQuery<{ space: SpaceConfig; pushed: string[]; returned: string[] }>(
  'spaceState',
);
