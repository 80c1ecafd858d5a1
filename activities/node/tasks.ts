import { CancelledFailure } from '@temporalio/common';
import { toFailure } from '../failures.ts';
import type { RunReport, RunSpec } from '../../contract/tasks/runs.ts';

/** An agent's work on an attempt at a task; see agent/tasks/. */
export interface TaskPort {
  /**
   * Claims the attempt, runs its program to the end, and stores its output.
   * @throws ApplicationFailure no_slot, released, claim_refused; the cancellation
   */
  run(spec: RunSpec): Promise<RunReport>;
}

/** Activities of LLM tasks on one node. */
export function createTaskActivities(port: TaskPort) {
  return {
    /** Runs one attempt at a task. */
    async runTask(spec: RunSpec): Promise<RunReport> {
      try {
        return await port.run(spec);
      } catch (error) {
        throw error instanceof CancelledFailure ? error : toFailure(error);
      }
    },
  };
}

export type TaskActivities = ReturnType<typeof createTaskActivities>;
