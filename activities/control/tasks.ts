import type { Blob } from '../../contract/tasks/runs.ts';
import type { Client } from '@temporalio/client';
import { MembridgeError } from '../../contract/errors.ts';
import { MESSAGES, llmTaskId } from '../../contract/names.ts';
import type { LlmTaskInput, Recorded, Route, TaskSpec } from '../../contract/tasks/task-workflow.ts';
import type { Database } from '../../db/connect.ts';
import { findRoute } from '../../db/queries/find-route.ts';
import { recordTask, type TaskRecordInput } from '../../db/queries/record-task.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { getBlob, restoreBlob } from '../../storage/blobs.ts';
import { readProposal, type ProposalContent } from '../../contract/projects/proposal-content.ts';
import { PROPOSAL_TYPE } from '../../contract/projects/proposals.ts';
import { signalWorkflow } from '../../engine/signal-workflow.ts';

/** What happened to a task, as its workflow tells it. */
type TaskChanges = Omit<TaskRecordInput, 'row' | 'proposal'> & {
  readonly row: (LlmTaskInput['row'] & { readonly createdBy: string }) | null;
};

/** Activities of LLM tasks beside the API. All of them may run twice with the effect of once. */
export function createTaskControlActivities({
  db,
  client,
  store,
}: {
  db: Database;
  client: Client;
  store: ObjectStore;
}) {
  return {
    /** Writes what happened to a task. */
    async recordTask(input: TaskChanges): Promise<Recorded> {
      const row = input.row === null ? null : { ...input.row, prompt: await promptOf(store, input.spec) };
      const proposal = await proposalOf(store, input);
      const { expiredBlobs, ...recorded } = await recordTask(db, { ...input, row, proposal });
      for (const sha256 of expiredBlobs) await restoreBlob(store, sha256);
      return recorded;
    },

    /**
     * Does nothing. Called as an activity of the queue, and not beside the workflow, its end says that the engine has written down all
     * that came before.
     */
    async writtenDown(): Promise<void> {},

    /** Where a queued task is to go now. */
    async routeTask({ spec, worker }: { spec: TaskSpec; worker: string | null }): Promise<Route> {
      return await db.run((sql) => findRoute(sql, { spec, worker, now: Date.now() }));
    },

    /** Tells tasks that one they wait for has ended. */
    async tellDependents({ taskIds }: { taskIds: string[] }): Promise<void> {
      for (const id of taskIds) await signalWorkflow(client, llmTaskId(id), MESSAGES.dependencyEnded);
    },
  };
}

/** The prompt itself: a long one is not in the workflow's history, only where it lies. */
async function promptOf(store: ObjectStore, { prompt }: TaskSpec): Promise<string> {
  return 'text' in prompt ? prompt.text : (await keptBlob(store, prompt.blob)).toString();
}

/** What a task that has just completed proposes. */
async function proposalOf(
  store: ObjectStore,
  { spec, changes }: TaskChanges,
): Promise<ProposalContent | undefined> {
  if (spec.artifactType !== PROPOSAL_TYPE) return undefined;
  const last = changes.at(-1);
  const artifact = last?.artifacts.find(({ type }) => type === PROPOSAL_TYPE);
  if (last?.state.status !== 'completed' || artifact === undefined) return undefined;
  const read = readProposal((await keptBlob(store, artifact)).toString());
  return read.ok ? read.proposal : undefined;
}

/** Bytes that a record refers to, brought back where retention has just set them aside. */
async function keptBlob(store: ObjectStore, blob: Blob): Promise<Buffer> {
  try {
    return await getBlob(store, blob);
  } catch (error) {
    if (!(error instanceof MembridgeError && error.code === 'not_found')) throw error;
    await restoreBlob(store, blob.sha256);
    return await getBlob(store, blob);
  }
}
