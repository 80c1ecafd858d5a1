import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { recordPreview } from '../../db/queries/proposal-previews.ts';
import { runtimeArtifacts } from '../../db/schema.ts';
import { insertProposal, type NewProposal } from '../../db/queries/insert-proposal.ts';
import { readProposal } from '../../contract/projects/proposal-content.ts';
import { putBlob } from '../../storage/blobs.ts';
import type { Database } from '../../db/connect.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/** Makes a proposal as the record of a completed task does, with its output in the object store. */
export async function insertTestProposal(
  { db, store }: { db: Database; store: ObjectStore },
  projectId: string,
  output: string,
  given: Partial<NewProposal> = {},
): Promise<string> {
  const read = readProposal(output);
  if (!read.ok) throw new Error(read.problem);
  const { title, kind, path, expectedVersion } = read.proposal;
  const name = randomBytes(8).toString('hex');
  const { sha256, bytes } = await putBlob(store, Buffer.from(output));
  const proposal: NewProposal = {
    id: `prop_${name}`,
    taskId: `task_${name}`,
    artifactId: `art_${name}`,
    projectId,
    workerId: 'maker',
    agentSlug: 'writer',
    title: title ?? 'What a task proposes',
    kind,
    path,
    expectedVersion,
    now: Date.now(),
    ...given,
  };
  await db.transaction(async (tx) => {
    await tx.insert(runtimeArtifacts).values({
      id: proposal.artifactId,
      task_id: proposal.taskId,
      job_id: `lease_${name}`,
      type: 'PROPOSAL',
      name: 'output',
      media_type: 'text/plain',
      sha256,
      bytes,
      finalized: true,
      entity_refs: [],
      tags: [],
      created_at: proposal.now,
    });
    await insertProposal(tx, proposal);
  });
  return proposal.id;
}

/** Returns the output of a worker that proposes a file. */
export const fileOutput = (path: string, content: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ kind: 'file', path, content, ...more });

/**
 * Stores git's diff of a proposal as a node does after building its tree, for tests in which no node has a clone.
 * @param diff of one file, as git writes it
 */
export async function recordPreviewOf({ db }: { db: Database }, id: string, diff: string): Promise<void> {
  const path = /^\+\+\+ b\/(.*)$/m.exec(diff)?.[1] ?? '';
  const isNew = diff.includes('\nnew file mode ');
  const result = {
    branch: 'main',
    base: 'a'.repeat(40),
    tree: 'b'.repeat(40),
    files: [
      {
        path,
        status: isNew ? ('added' as const) : ('modified' as const),
        old_mode: isNew ? null : '100644',
        new_mode: '100644',
        marks: [],
      },
    ],
    packedDiff: gzipSync(Buffer.from(diff)).toString('base64'),
  };
  await recordPreview(db, { id, outcome: { node: 'maker', result }, now: Date.now() });
}
