import type { PublishMirror } from '../../contract/memory/mirror.ts';
import type { SyncTrigger } from '../../contract/http/primitives.ts';
import type { Database } from '../connect.ts';
import { jobs } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';
import { recordAudit, type AuditBy } from './record-audit.ts';

/** Records that a person or script requested a publication, and what they agreed to. */
export async function recordMirrorRequested(
  db: Database,
  input: {
    cid: string;
    project: string;
    node: string;
    jobId: string;
    trigger: SyncTrigger;
    workflowId: string;
    runId: string;
    agreed: PublishMirror;
    by: AuditBy;
    now: number;
  },
): Promise<void> {
  const { cid, project, node, jobId, agreed, now } = input;
  await db.transaction(async (tx) => {
    const rows = await tx
      .insert(jobs)
      .values({
        id: jobId,
        action: 'sync',
        trigger: input.trigger,
        project,
        canonical_id: cid,
        agent: node,
        status: 'pending',
        detail: 'mirror: waits for its turn',
        workflow_id: input.workflowId,
        run_id: input.runId,
        created_at: now,
      })
      .onConflictDoNothing()
      .returning();
    const fewer = agreed.fewer === undefined ? '' : `, with ${agreed.fewer} memories fewer than before`;
    const force = agreed.force === true ? ', taking the push lock' : '';
    await recordAudit(tx, [
      {
        eventKey: `mirror_publish:${jobId}`,
        action: 'mirror_publish',
        entity_type: 'membridge_project',
        entity_id: cid,
        ...input.by,
        detail: `mirror of ${project} by ${node}${fewer}${force}`,
        correlation_id: jobId,
        timestamp: now,
      },
    ]);
    await emitEvents(
      tx,
      rows.map((row) => ({ type: 'job' as const, job: toJob(row) })),
      now,
    );
  });
}
