import { randomUUID } from 'node:crypto';
import {
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
  type Workflow,
} from '@temporalio/client';
import { errorMessage } from '../contract/errors.ts';
import { CONTROL_QUEUE, MESSAGES, llmTaskId } from '../contract/names.ts';
import type { Claimed } from '../contract/tasks/runs.ts';
import type {
  ClaimRequest,
  Fence,
  FinishRequest,
  LeaseRequest,
  LeaseState,
  LlmTaskInput,
  TaskState,
} from '../contract/tasks/task-workflow.ts';
import { searchAttributes } from './search-attributes.ts';

function startOf(input: LlmTaskInput) {
  return new WithStartWorkflowOperation('llmTask', {
    workflowId: llmTaskId(input.spec.id),
    taskQueue: CONTROL_QUEUE,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    // A new task has only one run; a task that is queued again continues in a later run.
    workflowIdReusePolicy: input.state === null ? 'REJECT_DUPLICATE' : 'ALLOW_DUPLICATE',
    staticSummary: `${input.spec.agentSlug}: task ${input.spec.id}`,
    typedSearchAttributes: searchAttributes({
      task: input.spec.id,
      project: input.spec.projectId,
      pool: input.spec.pool,
    }),
  });
}

/**
 * Makes a workflow accept a task: once this resolves, it is in PostgreSQL, and Temporal does not lose it.
 * @returns its state, also when it was accepted before; null when that was so long ago that it has ended
 */
export async function acceptTask(client: Client, input: LlmTaskInput): Promise<TaskState | null> {
  try {
    return await client.workflow.executeUpdateWithStart<Workflow, TaskState, []>(MESSAGES.acceptTask, {
      startWorkflowOperation: startOf(input),
      updateId: 'accept',
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
    throw error;
  }
}

/** Queues a failed or dead task again; its workflow continues, or a new run starts from its state. */
export async function requeueTask(client: Client, input: LlmTaskInput, by: string): Promise<TaskState> {
  return await client.workflow.executeUpdateWithStart<Workflow, TaskState, [{ by: string }]>(
    MESSAGES.requeueTask,
    { startWorkflowOperation: startOf(input), args: [{ by }], updateId: randomUUID() },
  );
}

/** The updates of a running task's workflow, with their results. */
interface TaskUpdates {
  leaseTask: { args: LeaseRequest; answer: LeaseState };
  renewLease: { args: Fence; answer: LeaseState };
  finishTask: { args: FinishRequest; answer: TaskState };
  releaseLease: { args: Fence & { by: string; reason: string }; answer: TaskState };
  dispatchTask: {
    args: { by: string; worker: string | null; ttlMs: number | null; once: boolean };
    answer: TaskState;
  };
  cancelTask: { args: { by: string; reason: string }; answer: TaskState };
}

/**
 * Sends an update to a task, and waits until it is done and recorded.
 * @throws WorkflowNotFoundError when the task has ended; WorkflowUpdateFailedError with type conflict when it
 * is refused
 */
export async function updateTask<N extends keyof TaskUpdates>(
  client: Client,
  taskId: string,
  name: N,
  args: TaskUpdates[N]['args'],
): Promise<TaskUpdates[N]['answer']> {
  return await client.workflow
    .getHandle(llmTaskId(taskId))
    .executeUpdate<TaskUpdates[N]['answer'], [TaskUpdates[N]['args']]>(MESSAGES[name], { args: [args] });
}

/**
 * Has the task's workflow mint the lease of an attempt. The answer says that the lease is recorded. A claim that is repeated because
 * its answer was lost gets the same answer.
 * @throws an error for which `describeRefusal` gives the reason when the workflow refuses; other errors of Temporal
 */
export async function claimTask(client: Client, taskId: string, claim: ClaimRequest): Promise<Claimed> {
  return await client.workflow
    .getHandle(llmTaskId(taskId))
    .executeUpdate<Claimed, [ClaimRequest]>(MESSAGES.claimTask, {
      args: [claim],
      updateId: `claim-${claim.token}-${claim.worker}`,
    });
}

/** Returns why a workflow refused an update, as a sentence; null for an error that says nothing about the workflow. */
export function describeRefusal(error: unknown): string | null {
  const isRefusal = error instanceof WorkflowUpdateFailedError || error instanceof WorkflowNotFoundError;
  return isRefusal ? errorMessage(error.cause ?? error) : null;
}
