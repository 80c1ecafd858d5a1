import { and, asc, eq, gt, inArray, isNotNull, isNull, lt, sql } from 'drizzle-orm';
import { INLINE_BYTES } from '../../contract/tasks/runs.ts';
import type { Database, Executor } from '../connect.ts';
import { llmTasks, proposals, runtimeArtifacts } from '../schema.ts';
import { lockBlobs } from './lock-blobs.ts';
import { recordAudit } from './record-audit.ts';

/** Statuses of proposals that may still be committed; a failed one may be approved again. */
const OPEN_STATUSES = ['pending', 'approved', 'applying', 'failed'] as const;

/**
 * Expires artifacts past their retention time, except those of open proposals. Their bytes are no longer
 * served, and may be removed once nothing else needs them.
 * @param input.before epoch milliseconds; older artifacts expire
 * @param input.days the retention time, for the audit log
 * @param input.limit maximum number
 * @returns how many expired
 */
export async function expireArtifacts(
  db: Database,
  input: { before: number; days: number; limit: number; now: number },
): Promise<number> {
  const { before, days, limit, now } = input;
  return await db.transaction(async (tx) => {
    const isProposed = tx
      .select({ one: sql`1` })
      .from(proposals)
      .where(
        and(eq(proposals.artifact_id, runtimeArtifacts.id), inArray(proposals.status, [...OPEN_STATUSES])),
      );
    const due = await tx
      .select({ id: runtimeArtifacts.id })
      .from(runtimeArtifacts)
      .where(
        and(
          lt(runtimeArtifacts.created_at, before),
          isNull(runtimeArtifacts.expired_at),
          sql`not exists (${isProposed})`,
        ),
      )
      .orderBy(asc(runtimeArtifacts.created_at))
      .limit(limit)
      .for('update', { skipLocked: true });
    if (due.length === 0) return 0;
    const ended = await tx
      .update(runtimeArtifacts)
      .set({ expired_at: now })
      .where(
        inArray(
          runtimeArtifacts.id,
          due.map(({ id }) => id),
        ),
      )
      .returning();
    await recordAudit(
      tx,
      ended.map(({ id, task_id, type, bytes }) => ({
        eventKey: `artifact:${id}:expired`,
        action: 'artifact_expired',
        entity_type: 'llm_task' as const,
        entity_id: task_id,
        actor: 'engine',
        detail: `${type} ${id} of ${bytes} bytes`,
        cause: `artifacts are kept for ${days} days`,
        correlation_id: task_id,
        timestamp: now,
      })),
    );
    return ended.length;
  });
}

/**
 * Returns contents that may be removed from the store: all artifacts that refer to them have expired.
 * @param input.after continue after this SHA-256; they are sorted
 */
export async function listRemovableBlobs(
  db: Database,
  input: { after: string; limit: number },
): Promise<string[]> {
  const rows = await db.run((executor) =>
    executor
      .selectDistinct({ sha256: runtimeArtifacts.sha256 })
      .from(runtimeArtifacts)
      .where(
        and(
          isNotNull(runtimeArtifacts.expired_at),
          isNull(runtimeArtifacts.bytes_removed_at),
          gt(runtimeArtifacts.sha256, input.after),
        ),
      )
      .orderBy(asc(runtimeArtifacts.sha256))
      .limit(input.limit),
  );
  return rows.map(({ sha256 }) => sha256);
}

/**
 * Removes the bytes of one content unless something needs them. An artifact needs them until it expires, and
 * a task needs its prompt until it ends. Prompts over 64 KiB are in the store. Decides under the content's
 * lock, which is held until the bytes are gone. A concurrent record waits, then sees that an artifact with
 * this content has expired, and restores the bytes (`restoreBlob`).
 * @param take removes them; if it throws, nothing is recorded and the next round repeats it
 * @returns whether they were removed
 */
export async function removeBlobOnce(
  db: Database,
  input: { sha256: string; now: number },
  take: () => Promise<void>,
): Promise<boolean> {
  const { sha256, now } = input;
  return await db.transaction(async (tx) => {
    await lockBlobs(tx, [sha256], 'alone');
    if (await isNeeded(tx, sha256)) return false;
    await take();
    await tx
      .update(runtimeArtifacts)
      .set({ bytes_removed_at: now })
      .where(and(eq(runtimeArtifacts.sha256, sha256), isNull(runtimeArtifacts.bytes_removed_at)));
    return true;
  });
}

async function isNeeded(tx: Executor, sha256: string): Promise<boolean> {
  const rows = await tx
    .select({ bytes: runtimeArtifacts.bytes, expired: runtimeArtifacts.expired_at })
    .from(runtimeArtifacts)
    .where(eq(runtimeArtifacts.sha256, sha256));
  if (rows.length === 0 || rows.some(({ expired }) => expired === null)) return true;
  const bytes = rows[0]?.bytes ?? 0;
  if (bytes <= INLINE_BYTES) return false;
  // Few prompts are that long, and no others are hashed.
  const [prompt] = await tx
    .select({ id: llmTasks.id })
    .from(llmTasks)
    .where(
      and(
        inArray(llmTasks.status, ['queued', 'leased', 'running']),
        sql`octet_length(${llmTasks.prompt}) = ${bytes}`,
        sql`encode(sha256(convert_to(${llmTasks.prompt}, 'UTF8')), 'hex') = ${sha256}`,
      ),
    )
    .limit(1);
  return prompt !== undefined;
}

/**
 * Returns which contents had an expired artifact, so that their bytes may be gone. Call it while holding
 * their locks.
 * @returns SHA-256s
 */
export async function findExpiredBlobs(tx: Executor, sha256s: readonly string[]): Promise<string[]> {
  if (sha256s.length === 0) return [];
  const rows = await tx
    .selectDistinct({ sha256: runtimeArtifacts.sha256 })
    .from(runtimeArtifacts)
    .where(and(inArray(runtimeArtifacts.sha256, [...sha256s]), isNotNull(runtimeArtifacts.expired_at)));
  return rows.map(({ sha256 }) => sha256);
}
