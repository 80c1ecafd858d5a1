import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { isTerminal } from '../contract/tasks/task-status.ts';
import type { LlmTaskInput, TaskState } from '../contract/tasks/task-workflow.ts';
import * as messages from './llm-task-messages.ts';
import { TaskCoordinator } from './task-coordinator.ts';

/**
 * Runs one LLM task from acceptance until its end. Only this workflow decides what happens to the task.
 * Everything is an event of the state machine (task-state.ts). An update is answered only after its result is
 * in PostgreSQL. The worker is an agent or an HTTP client. An agent takes the task from a Temporal task queue
 * and claims it here; an HTTP client leases it. A failed or dead task that is queued again continues in a new
 * run.
 *
 * What may interleave here, and why it is safe: handlers and the main loop interleave only at an `await`.
 * - A validator's answer is outdated once its handler has waited. Therefore `TaskRecord.apply` checks every event again
 *   and changes the state without waiting; it refuses a stale lease by its id or lease epoch.
 * - `step` remembers the state that it decided on, and continues after an `await` only if that state is still
 *   current.
 * - While a lease over HTTP is being given, `step` schedules no attempt. A queued attempt is withdrawn first; a late
 *   claim of it is refused, because its scope is canceled or its token is no longer current.
 * - `TaskRecord` writes changes one after another, so PostgreSQL receives them in the order of the events.
 * - The run ends only after all handlers have finished, and then checks the state again: one of them may have queued
 *   the task again.
 */
export async function llmTask(input: LlmTaskInput): Promise<TaskState> {
  const task = new TaskCoordinator(input);

  setHandler(messages.acceptTask, () => task.accept());
  setHandler(messages.claimTask, (claim) => task.claim(claim), {
    validator: (claim) => task.checkClaim(claim),
  });
  setHandler(messages.leaseTask, (lease) => task.lease(lease), {
    validator: (lease) => task.checkLease(lease),
  });
  setHandler(messages.renewLease, (fence) => task.renew(fence), {
    validator: (fence) => task.checkRenew(fence),
  });
  setHandler(messages.finishTask, (end) => task.finish(end), { validator: (end) => task.checkFinish(end) });
  setHandler(messages.releaseLease, (by) => task.release(by), { validator: (by) => task.checkRelease(by) });
  setHandler(messages.dispatchTask, (by) => task.dispatch(by), { validator: (by) => task.checkDispatch(by) });
  setHandler(messages.cancelTask, (by) => task.cancel(by), { validator: (by) => task.checkCancel(by) });
  setHandler(messages.requeueTask, (by) => task.requeue(by), { validator: (by) => task.checkRequeue(by) });
  setHandler(messages.dependencyEnded, () => task.dependencyEnded());

  for (;;) {
    await task.step();
    if (!task.isOver && !workflowInfo().continueAsNewSuggested) continue;
    const { isOver } = task;
    await condition(allHandlersFinished);
    // The task may have been queued again during that wait.
    if (isTerminal(task.state.status)) return task.state;
    if (!isOver) await continueAsNew<typeof llmTask>({ ...input, state: task.state });
  }
}
