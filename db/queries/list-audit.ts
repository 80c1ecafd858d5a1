import { and, asc, desc, eq, gt, lt, lte, max, type SQL } from 'drizzle-orm';
import type { AuditFilter, AuditLog, ExportedAudit, ListAudit } from '../../contract/audit.ts';
import type { Database } from '../connect.ts';
import { auditChain, auditLogs } from '../schema.ts';

/** Entries read per batch when all are read. */
const BATCH_ENTRIES = 1_000;

/**
 * Returns a page of the audit log, the newest first.
 * @returns the page, and where the next one begins (its `before`); null when this is the last
 */
export async function listAudit(
  db: Database,
  { limit, before, ...filter }: ListAudit,
): Promise<{ page: AuditLog[]; next: string | null }> {
  const rows = await db.run((executor) =>
    executor
      .select()
      .from(auditLogs)
      .where(and(auditCondition(filter), before === undefined ? undefined : lt(auditLogs.id, Number(before))))
      .orderBy(desc(auditLogs.id))
      .limit(limit + 1),
  );
  const page = rows.slice(0, limit).map(toAuditLog);
  return { page, next: rows.length > limit ? (page.at(-1)?.id ?? null) : null };
}

/**
 * Yields every matching entry, the oldest first, in batches. Only covers entries that exist at the start, so
 * that it ends however much is written during the call.
 */
export async function* streamAudit(db: Database, filter: AuditFilter): AsyncGenerator<ExportedAudit[]> {
  const [newest] = await db.run((executor) => executor.select({ id: max(auditLogs.id) }).from(auditLogs));
  const last = newest?.id ?? 0;
  for (let after = 0; ;) {
    const rows = await db.run((executor) =>
      executor
        .select({ entry: auditLogs, link: auditChain })
        .from(auditLogs)
        .leftJoin(auditChain, eq(auditChain.audit_id, auditLogs.id))
        .where(and(auditCondition(filter), gt(auditLogs.id, after), lte(auditLogs.id, last)))
        .orderBy(asc(auditLogs.id))
        .limit(BATCH_ENTRIES),
    );
    if (rows.length > 0) {
      yield rows.map(({ entry, link }) => ({
        ...toAuditLog(entry),
        chain_position: link?.position ?? null,
        chain_hash: link?.hash ?? null,
        chain_signature: link?.signature ?? null,
      }));
    }
    const end = rows.at(-1)?.entry;
    if (end === undefined || rows.length < BATCH_ENTRIES) return;
    after = end.id;
  }
}

function auditCondition({
  action,
  entity_type,
  entity_id,
  actor,
  correlation_id,
}: AuditFilter): SQL | undefined {
  return and(
    action === undefined ? undefined : eq(auditLogs.action, action),
    entity_type === undefined ? undefined : eq(auditLogs.entity_type, entity_type),
    entity_id === undefined ? undefined : eq(auditLogs.entity_id, entity_id),
    actor === undefined ? undefined : eq(auditLogs.actor, actor),
    correlation_id === undefined ? undefined : eq(auditLogs.correlation_id, correlation_id),
  );
}

/** Returns an entry as the contract defines it. */
export function toAuditLog({ id, event_key: _key, ...entry }: typeof auditLogs.$inferSelect): AuditLog {
  return { id: String(id), ...entry };
}
