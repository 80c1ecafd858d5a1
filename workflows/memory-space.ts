import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import { MESSAGES } from '../contract/names.ts';
import type { SpaceConfig } from '../contract/memory.ts';
import type { MemorySpaceInput, NodePushed } from '../contract/workflows.ts';

export const nodePushed = defineSignal<[NodePushed]>(MESSAGES.nodePushed);
export const nodeReturned = defineSignal<[string]>(MESSAGES.nodeReturned);
export const configureSpace = defineSignal<[SpaceConfig]>(MESSAGES.configureSpace);
export const closeSpace = defineSignal(MESSAGES.closeSpace);
export const spaceState = defineQuery<{ space: SpaceConfig; pushed: string[]; returned: string[] }>(
  'spaceState',
);

/** How often every live node is asked to sync although nobody told of anything: signals and heads are hints. */
const CATCH_UP = '10 minutes';

const control = proxyLocalActivities<ControlActivities>({
  startToCloseTimeout: '20 seconds',
  retry: { maximumInterval: '5 seconds' },
});

/**
 * One per space. Hears that a node pushed and has every other live node pull; has a node that returns sync; asks
 * everybody once in a while. What comes in while nodes are being asked shares the next round; a timer to gather more
 * would cost a second (the resolution of the engine's timers). Continues as new when its history grows long.
 */
export async function memorySpace(input: MemorySpaceInput): Promise<void> {
  let { space } = input;
  let closed = false;
  const pushed = new Set<string>(input.pushed);
  const returned = new Set<string>(input.pending);
  // A first run knows nothing of the nodes yet, so it begins by catching up with all of them.
  let catchUp = input.catchUp ?? workflowInfo().continuedFromExecutionRunId === undefined;

  setHandler(nodePushed, ({ node }) => void pushed.add(node));
  setHandler(nodeReturned, (node) => void returned.add(node));
  setHandler(closeSpace, () => {
    closed = true;
  });
  setHandler(configureSpace, (config) => {
    if (JSON.stringify(config) !== JSON.stringify(space)) catchUp = true;
    space = config;
  });
  setHandler(spaceState, () => ({ space, pushed: [...pushed], returned: [...returned] }));

  while (!closed) {
    const news = (): boolean => closed || catchUp || pushed.size > 0 || returned.size > 0;
    if (!(await condition(news, CATCH_UP))) catchUp = true;
    if (closed) break;

    const sources = [...pushed];
    const back = [...returned];
    const everybody = catchUp;
    pushed.clear();
    returned.clear();
    catchUp = false;
    if (everybody) await control.syncLiveNodes({ space });
    else {
      if (sources.length > 0) await control.pullOnOtherNodes({ space, sources });
      if (back.length > 0) await control.syncNodes({ space, nodes: back });
    }

    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      if (closed) break;
      await continueAsNew<typeof memorySpace>({
        space,
        pending: [...returned],
        pushed: [...pushed],
        catchUp,
      });
    }
  }
}
