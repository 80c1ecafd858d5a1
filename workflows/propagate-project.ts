import {
  CancellationScope,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Propagation } from '../contract/projects/projects.ts';
import { MESSAGES } from '../contract/names.ts';
import type { NodeSettled, PropagateInput, PropagateResult } from '../contract/workflows.ts';
import { control } from './control.ts';

export const nodeSettled = defineSignal<[NodeSettled]>(MESSAGES.nodeSettled);
export const addNodes = defineSignal<[string[] | null]>(MESSAGES.addNodes);
/** Cancels earlier requests; nodes that are added later are served. */
export const cancelPropagation = defineSignal(MESSAGES.cancelPropagation);

/** A day longer than a clone waits for a node that is away, in milliseconds; no answer comes after that. */
const DEADLINE_MS = 8 * 24 * 3_600_000;

/**
 * Clones, updates or inspects one project on many nodes, with bounded concurrency. A failure does not stop
 * the others. A node that is away is served when it returns, and uses no slot until then. A request that
 * arrives during the run adds its nodes.
 */
export async function propagateProject(input: PropagateInput): Promise<PropagateResult> {
  const { projectId, action, resume } = input;
  const { workflowId, runId } = workflowInfo();
  const startedAt = resume?.startedAt ?? Date.now();
  const queue: string[] = [...(resume?.queue ?? [])];
  /** Nodes that were asked and have not answered. */
  const busy = new Set<string>(resume?.busy);
  /** Nodes that are away. */
  const waiting = new Set<string>(resume?.waiting);
  /** Canceled nodes that have not answered: their next answer belongs to the earlier request. */
  const ending = new Set<string>(resume?.ending);
  const settled = new Map<string, NodeSettled>(resume?.settled.map((told) => [told.node, told]));
  const more: (string[] | null)[] = resume === undefined ? [input.nodes] : [];
  let cancels = resume?.isCancelled === true ? 1 : 0;
  /**
   * Nodes to update once more after the current update, which may have fetched before the new commits
   * arrived.
   */
  const again = new Set<string>();
  let heard = 0;
  setHandler(nodeSettled, (told) => {
    heard += 1;
    // "pending" does not answer the cancellation.
    if (told.status === 'pending' && ending.has(told.node)) return;
    if (ending.delete(told.node) && (busy.has(told.node) || queue.includes(told.node))) return;
    busy.delete(told.node);
    waiting.delete(told.node);
    if (told.status === 'pending') waiting.add(told.node);
    else if (again.delete(told.node)) queue.push(told.node);
    else settled.set(told.node, told);
  });
  setHandler(addNodes, (nodes) => {
    heard += 1;
    more.push(nodes);
  });
  setHandler(cancelPropagation, () => {
    heard += 1;
    cancels += 1;
    more.splice(0);
    again.clear();
    for (const node of queue.splice(0)) settled.set(node, { node, status: 'cancelled', error: null });
    for (const asked of [busy, waiting]) {
      for (const node of asked) ending.add(node);
      asked.clear();
    }
  });

  const record = async (state: Propagation['state']): Promise<void> => {
    const nodes = [...new Set([...queue, ...busy, ...waiting, ...ending, ...settled.keys()])];
    setCurrentDetails(`${state}: ${settled.size} of ${nodes.length} nodes done`);
    // Inspecting clones does not change the project's state.
    if (action !== 'clone') return;
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
  const cancelAll = async (): Promise<void> =>
    await control.cancelClones({ projectId, nodes: [...busy, ...waiting, ...ending] });

  // The previous run has already canceled the nodes.
  let cancelled = cancels;
  try {
    let shown: Propagation['state'] | null = null;
    for (;;) {
      // Messages that arrive from here on are handled in the next turn.
      const known = heard;
      if (cancels > cancelled) {
        cancelled = cancels;
        // Wait for their answers: they come once git is dead.
        await cancelAll();
      }
      for (const nodes of more.splice(0)) {
        for (const node of await control.listCloneTargets({ projectId, action, nodes })) {
          if (action === 'update' && busy.has(node)) again.add(node);
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
      const state =
        busy.size + queue.length + ending.size > 0 ? 'running' : waiting.size > 0 ? 'waiting' : 'done';
      const told = state === 'done' && cancelled > 0 ? 'cancelled' : state;
      if (told !== shown) await record(told);
      shown = told;
      if (heard !== known) continue;
      if (state === 'done') break;
      if (workflowInfo().continueAsNewSuggested && allHandlersFinished()) {
        await continueAsNew<typeof propagateProject>({
          ...input,
          resume: {
            startedAt,
            queue: [...queue, ...again],
            busy: [...busy],
            waiting: [...waiting],
            ending: [...ending],
            settled: [...settled.values()],
            isCancelled: cancelled > 0,
          },
        });
      }
      const left = startedAt + DEADLINE_MS - Date.now();
      if (left <= 0 || !(await condition(() => heard !== known, left))) {
        for (const node of [...queue, ...busy, ...waiting, ...ending]) {
          settled.set(node, { node, status: 'failed', error: 'its node did not come back in time' });
        }
        for (const open of [busy, waiting, ending]) open.clear();
        queue.splice(0);
        await record('done');
        break;
      }
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    // A person canceled the whole workflow, for example on Temporal's page.
    await CancellationScope.nonCancellable(async () => {
      await cancelAll();
      await record('cancelled');
    });
    throw error;
  }
  return { results: [...settled.values()] };
}
