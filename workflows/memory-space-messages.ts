import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { SpaceConfig } from '../contract/memory.ts';
import { MESSAGES } from '../contract/names.ts';
import type { NodePushed } from '../contract/workflows.ts';

/** A node pushed: the others are to pull. */
export const nodePushed = defineSignal<[NodePushed]>(MESSAGES.nodePushed);
/** claude-mem wrote something on a node: it is to push. */
export const nodeNoticed = defineSignal<[node: string]>(MESSAGES.nodeNoticed);
/** A node that was away is back: it is to push and pull. */
export const nodeReturned = defineSignal<[node: string]>(MESSAGES.nodeReturned);
/** A node that no wave could serve has synced by its own workflow. */
export const nodeServed = defineSignal<[node: string]>(MESSAGES.nodeServed);
/** What the space is from now on. A space that is being closed stays open: it was made again. */
export const configureSpace = defineSignal<[SpaceConfig]>(MESSAGES.configureSpace);
/** The space was deleted. */
export const closeSpace = defineSignal(MESSAGES.closeSpace);
/** Has a run that version 0.4 began continue as one that serves nodes in waves. */
export const useWaves = defineSignal(MESSAGES.useWaves);
export const spaceState = defineQuery<{ space: SpaceConfig; pushed: string[]; returned: string[] }>(
  'spaceState',
);
