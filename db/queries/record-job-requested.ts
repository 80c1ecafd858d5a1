import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { SyncRequest } from '../../contract/workflows.ts';
import type { Database } from '../connect.ts';
import { jobs } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';
import { recordAudit, type AuditBy } from './record-audit.ts';

/**
 * Records a requested job before its round begins, so that its id can be looked up at once. If the round was
 * faster than this call, its row stays.
 */
export async function recordJobRequested(
  db: Database,
  input: {
    space: SpaceConfig;
    node: string;
    workflowId: string;
    runId: string;
    request: SyncRequest;
    by: AuditBy;
    now: number;
  },
): Promise<void> {
  const { space, request } = input;
  await db.transaction(async (tx) => {
    const rows = await tx
      .insert(jobs)
      .values({
        id: request.jobId,
        action: request.action,
        trigger: request.trigger,
        project: space.projectId,
        canonical_id: space.cid,
        agent: input.node,
        status: 'pending',
        detail: 'waits for its turn',
        workflow_id: input.workflowId,
        run_id: input.runId,
        created_at: input.now,
      })
      .onConflictDoNothing()
      .returning();
    await recordAudit(tx, [
      {
        eventKey: `memory_sync:${request.jobId}`,
        // The original's names; syncs in both directions are ours.
        action: request.action === 'sync' ? 'memory_sync' : `memory_sync_${request.action}`,
        entity_type: 'membridge_project',
        entity_id: space.cid,
        ...input.by,
        detail: `${request.action} of ${space.projectId} on ${input.node}`,
        correlation_id: request.jobId,
        timestamp: input.now,
      },
    ]);
    await emitEvents(
      tx,
      rows.map((row) => ({ type: 'job' as const, job: toJob(row) })),
      input.now,
    );
  });
}
