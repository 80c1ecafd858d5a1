import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { MemorySpaceInput } from '../contract/workflows.ts';
import { control } from './control.ts';
import {
  closeSpace,
  configureSpace,
  nodeNoticed,
  nodePushed,
  nodeReturned,
  spaceState,
  useWaves,
} from './memory-space-messages.ts';

/** How often every live node syncs without a signal, because signals and heads may be lost. */
const CATCH_UP = '10 minutes';

/**
 * The workflow of a space as version 0.4 began it: each push starts a workflow for every other node. When the
 * control plane says so, it continues as one that serves nodes in waves.
 */
export async function memorySpaceByWorkflows(input: MemorySpaceInput): Promise<void> {
  let { space } = input;
  let closed = false;
  let isToMove = false;
  const pushed = new Set<string>(input.pushed);
  const returned = new Set<string>(input.pending);
  // The first run does not know the nodes yet, so it begins by syncing all of them.
  let catchUp = input.catchUp ?? workflowInfo().continuedFromExecutionRunId === undefined;

  setHandler(nodePushed, ({ node }) => void pushed.add(node));
  setHandler(nodeReturned, (node) => void returned.add(node));
  setHandler(nodeNoticed, (node) => void returned.add(node));
  setHandler(useWaves, () => {
    isToMove = true;
  });
  setHandler(closeSpace, () => {
    closed = true;
  });
  setHandler(configureSpace, (config) => {
    if (JSON.stringify(config) !== JSON.stringify(space)) catchUp = true;
    space = config;
    // The space was created again.
    closed = false;
  });
  setHandler(spaceState, () => ({ space, pushed: [...pushed], returned: [...returned] }));

  while (!closed) {
    const news = (): boolean => closed || isToMove || catchUp || pushed.size > 0 || returned.size > 0;
    if (!(await condition(news, CATCH_UP))) catchUp = true;
    if (closed) break;
    if (isToMove) await moveOn(true);

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
      await moveOn(false);
    }
  }

  async function moveOn(waves: boolean): Promise<void> {
    await continueAsNew<(input: MemorySpaceInput) => Promise<void>>({
      space,
      pending: [...returned],
      pushed: [...pushed],
      catchUp,
      ...(waves ? { waves } : {}),
    });
  }
}
