import { defineSignal, defineUpdate } from '@temporalio/workflow';
import { MESSAGES } from '../contract/names.ts';
import type { Claimed } from '../contract/tasks/runs.ts';
import type {
  ClaimRequest,
  FinishRequest,
  Fence,
  LeaseRequest,
  LeaseState,
  TaskState,
} from '../contract/tasks/task-workflow.ts';

/** Waits until the task is recorded as accepted. */
export const acceptTask = defineUpdate<TaskState>(MESSAGES.acceptTask);
/** An agent begins the attempt that it took from its task queue. */
export const claimTask = defineUpdate<Claimed, [ClaimRequest]>(MESSAGES.claimTask);
/** An HTTP worker leases the task. */
export const leaseTask = defineUpdate<LeaseState, [LeaseRequest]>(MESSAGES.leaseTask);
export const renewLease = defineUpdate<LeaseState, [Fence]>(MESSAGES.renewLease);
export const finishTask = defineUpdate<TaskState, [FinishRequest]>(MESSAGES.finishTask);
/** A worker gives its lease back without a result. */
export const releaseLease = defineUpdate<TaskState, [ReleaseRequest]>(MESSAGES.releaseLease);
/** A person has the task offered to workers, to a given one or to any. */
export const dispatchTask = defineUpdate<TaskState, [DispatchRequest]>(MESSAGES.dispatchTask);
export const cancelTask = defineUpdate<TaskState, [{ by: string; reason: string }]>(MESSAGES.cancelTask);
/** A person queues a failed or dead task again. */
export const requeueTask = defineUpdate<TaskState, [{ by: string }]>(MESSAGES.requeueTask);
/** A dependency of this task has ended. */
export const dependencyEnded = defineSignal(MESSAGES.dependencyEnded);

export type ReleaseRequest = Fence & { by: string; reason: string };
export interface DispatchRequest {
  by: string;
  /** The only node that may run the task; null for any. */
  worker: string | null;
  ttlMs: number | null;
  once?: boolean;
}
