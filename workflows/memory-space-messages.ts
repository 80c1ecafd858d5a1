import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import { MESSAGES } from '../contract/names.ts';
import type { NodePushed } from '../contract/workflows.ts';

/** A node pushed: the others are to pull. */
export const nodePushed = defineSignal<[NodePushed]>(MESSAGES.nodePushed);
/** claude-mem wrote something on a node: it is to push. */
export const nodeNoticed = defineSignal<[node: string]>(MESSAGES.nodeNoticed);
/** A node that was away is back: it is to push and pull. */
export const nodeReturned = defineSignal<[node: string]>(MESSAGES.nodeReturned);
/** A node's own workflow has synced it, after no wave could serve it. */
export const nodeServed = defineSignal<[node: string]>(MESSAGES.nodeServed);
/** The space's present configuration. It keeps a space open that is being closed: the space was made again. */
export const configureSpace = defineSignal<[SpaceConfig]>(MESSAGES.configureSpace);
/** The space was deleted. */
export const closeSpace = defineSignal(MESSAGES.closeSpace);
/** Tells a run that version 0.4 began to continue as one that serves nodes in waves. */
export const useWaves = defineSignal(MESSAGES.useWaves);
export const spaceState = defineQuery<{ space: SpaceConfig; pushed: string[]; returned: string[] }>(
  'spaceState',
);
