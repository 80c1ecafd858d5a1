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

/** Events of a task, as reported by its workflow. */
type TaskChanges = Omit<TaskRecordInput, 'row' | 'proposal'> & {
  readonly row: (LlmTaskInput['row'] & { readonly createdBy: string }) | null;
};

/** Control plane activities for LLM tasks. All of them are idempotent. */
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
    /** Records what happened to a task. */
    async recordTask(input: TaskChanges): Promise<Recorded> {
      const row = input.row === null ? null : { ...input.row, prompt: await readPrompt(store, input.spec) };
      const proposal = await readTaskProposal(store, input);
      const { expiredBlobs, ...recorded } = await recordTask(db, { ...input, row, proposal });
      for (const sha256 of expiredBlobs) await restoreBlob(store, sha256);
      return recorded;
    },

    /**
     * Does nothing. As a regular activity its completion proves that Temporal has persisted everything before
     * it; a local activity's would not.
     */
    async writtenDown(): Promise<void> {},

    /** Returns where a queued task should go now. */
    async routeTask({ spec, worker }: { spec: TaskSpec; worker: string | null }): Promise<Route> {
      return await db.run((sql) => findRoute(sql, { spec, worker, now: Date.now() }));
    },

    /** Notifies tasks that a dependency of theirs has ended. */
    async tellDependents({ taskIds }: { taskIds: string[] }): Promise<void> {
      for (const id of taskIds) await signalWorkflow(client, llmTaskId(id), MESSAGES.dependencyEnded);
    },
  };
}

/** Returns the prompt; a long one is in the object store, and the workflow's history only refers to it. */
async function readPrompt(store: ObjectStore, { prompt }: TaskSpec): Promise<string> {
  return 'text' in prompt ? prompt.text : (await readKeptBlob(store, prompt.blob)).toString();
}

/** Returns the proposal of a task that has just completed. */
async function readTaskProposal(
  store: ObjectStore,
  { spec, changes }: TaskChanges,
): Promise<ProposalContent | undefined> {
  if (spec.artifactType !== PROPOSAL_TYPE) return undefined;
  const last = changes.at(-1);
  const artifact = last?.artifacts.find(({ type }) => type === PROPOSAL_TYPE);
  if (last?.state.status !== 'completed' || artifact === undefined) return undefined;
  const read = readProposal((await readKeptBlob(store, artifact)).toString());
  return read.ok ? read.proposal : undefined;
}

/** Returns the bytes of a recorded blob, and restores them if retention has just set them aside. */
async function readKeptBlob(store: ObjectStore, blob: Blob): Promise<Buffer> {
  try {
    return await getBlob(store, blob);
  } catch (error) {
    if (!(error instanceof MembridgeError && error.code === 'not_found')) throw error;
    await restoreBlob(store, blob.sha256);
    return await getBlob(store, blob);
  }
}
