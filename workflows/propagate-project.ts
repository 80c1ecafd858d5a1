import {
  CancellationScope,
  condition,
  defineSignal,
  isCancellation,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { Propagation } from '../contract/projects.ts';
import {
  MESSAGES,
  type NodeSettled,
  type PropagateInput,
  type PropagateResult,
} from '../contract/workflows.ts';

export const nodeSettled = defineSignal<[NodeSettled]>(MESSAGES.nodeSettled);
export const addNodes = defineSignal<[string[] | null]>(MESSAGES.addNodes);

/** Longer than a clone waits for its node (7 days) and works (5 attempts of 2 hours). */
const DEADLINE = '8 days';

const control = proxyLocalActivities<ControlActivities>({
  startToCloseTimeout: '20 seconds',
  retry: { maximumInterval: '5 seconds' },
});

/**
 * Has many nodes clone, update or look at one project, so many at once. One that fails does not stop the others; one that is
 * away is done when it returns and holds no place meanwhile. A request that comes in while this runs adds its nodes.
 */
export async function propagateProject(input: PropagateInput): Promise<PropagateResult> {
  const { projectId, action } = input;
  const { workflowId, runId } = workflowInfo();
  const startedAt = Date.now();
  const queue: string[] = [];
  /** Nodes that were asked and have not answered. */
  const busy = new Set<string>();
  /** Nodes that are away. */
  const waiting = new Set<string>();
  const settled = new Map<string, NodeSettled>();
  const more: (string[] | null)[] = [input.nodes];
  let heard = 0;
  setHandler(nodeSettled, (told) => {
    heard += 1;
    busy.delete(told.node);
    waiting.delete(told.node);
    if (told.status === 'pending') waiting.add(told.node);
    else settled.set(told.node, told);
  });
  setHandler(addNodes, (nodes) => {
    heard += 1;
    more.push(nodes);
  });

  const record = async (state: Propagation['state']): Promise<void> => {
    const nodes = [...new Set([...queue, ...busy, ...waiting, ...settled.keys()])];
    setCurrentDetails(`${state}: ${settled.size} of ${nodes.length} nodes done`);
    // Looking at clones does not change how the project stands.
    if (action === 'fetch') return;
    const ended = state === 'done' || state === 'cancelled';
    await control.recordPropagation({
      projectId,
      propagation: {
        action,
        state,
        nodes,
        started_at: startedAt,
        finished_at: ended ? Date.now() : null,
        workflow_id: workflowId,
        run_id: runId,
      },
    });
  };

  try {
    let shown: Propagation['state'] | null = null;
    for (;;) {
      for (const nodes of more.splice(0)) {
        for (const node of await control.listCloneTargets({ projectId, action, nodes })) {
          if (queue.includes(node) || busy.has(node) || waiting.has(node)) continue;
          settled.delete(node);
          queue.push(node);
        }
        shown = null;
      }
      while (queue.length > 0 && busy.size < input.concurrency) {
        const node = queue.shift() ?? '';
        busy.add(node);
        await control.requestClone({ projectId, node, action, notify: workflowId });
      }
      const known = heard;
      const state = busy.size + queue.length > 0 ? 'running' : waiting.size > 0 ? 'waiting' : 'done';
      if (state !== shown) await record(state);
      shown = state;
      // Recording took a while: what was heard meanwhile counts.
      if (heard !== known) continue;
      if (state === 'done') break;
      if (!(await condition(() => heard !== known, DEADLINE))) break;
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(async () => {
      await control.cancelClones({ projectId, nodes: [...busy, ...waiting] });
      await record('cancelled');
    });
    throw error;
  }
  return { results: [...settled.values()] };
}
