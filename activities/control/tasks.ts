import type { Client } from '@temporalio/client';
import { MESSAGES, llmTaskId } from '../../contract/names.ts';
import type { Recorded, Route, TaskSpec } from '../../contract/task-workflow.ts';
import type { Database } from '../../db/connect.ts';
import { findRoute } from '../../db/queries/find-route.ts';
import { recordTask, type TaskRecordInput } from '../../db/queries/record-task.ts';
import { tellWorkflow } from '../../engine/tell.ts';

/** Activities of LLM tasks beside the API. All of them may run twice with the effect of once. */
export function createTaskControlActivities({ db, client }: { db: Database; client: Client }) {
  return {
    /** Writes what happened to a task. */
    async recordTask(input: TaskRecordInput): Promise<Recorded> {
      return await recordTask(db, input);
    },

    /** Where a queued task is to go now. */
    async routeTask({ spec, worker }: { spec: TaskSpec; worker: string | null }): Promise<Route> {
      return await db.run((sql) => findRoute(sql, { spec, worker, now: Date.now() }));
    },

    /** Tells tasks that one they wait for has ended. */
    async tellDependents({ taskIds }: { taskIds: string[] }): Promise<void> {
      for (const id of taskIds) await tellWorkflow(client, llmTaskId(id), MESSAGES.dependencyEnded);
    },
  };
}
