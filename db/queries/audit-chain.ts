import { and, asc, desc, eq, gt, isNull, max, sql } from 'drizzle-orm';
import type { AuditLog } from '../../contract/audit.ts';
import type { Database, Executor } from '../connect.ts';
import { auditChain, auditLogs } from '../schema.ts';
import { toAuditLog } from './list-audit.ts';

/** The advisory lock for extending the chain; a fixed number used for nothing else here. */
const CHAIN_LOCK = 7_305_802;

/**
 * How far behind the newest chained entry to look for new ones. Transactions take an entry's id before they
 * commit, so ids become visible out of order; no transaction lasts for this many entries.
 */
const LATE_IDS = 10_000;

/** A link: an entry's position, and the chain's hash and signature there. */
export interface ChainLink {
  readonly position: number;
  readonly audit_id: number;
  readonly hash: string;
  readonly signature: string | null;
}

/**
 * Adds entries that are not in the chain yet, in the order of their ids. Concurrent processes take turns.
 * @param input.link makes the links of a batch that follow the last one
 * @param input.limit maximum number of entries
 * @param input.all look for entries in the whole log, however old
 * @returns how many were added
 */
export async function extendAuditChain(
  db: Database,
  input: {
    limit: number;
    all: boolean;
    link: (last: ChainLink | null, entries: readonly AuditLog[]) => ChainLink[];
  },
): Promise<number> {
  return await db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${CHAIN_LOCK})`);
    const [newest] = await tx.select({ id: max(auditChain.audit_id) }).from(auditChain);
    const rows = await tx
      .select({ entry: auditLogs })
      .from(auditLogs)
      .leftJoin(auditChain, eq(auditChain.audit_id, auditLogs.id))
      .where(and(gt(auditLogs.id, input.all ? 0 : (newest?.id ?? 0) - LATE_IDS), isNull(auditChain.position)))
      .orderBy(asc(auditLogs.id))
      .limit(input.limit);
    if (rows.length === 0) return 0;
    const links = input.link(
      await readLastLink(tx),
      rows.map(({ entry }) => toAuditLog(entry)),
    );
    await tx.insert(auditChain).values(links);
    return links.length;
  });
}

/** Returns the end of the chain, or null when it is empty. */
export async function readLastLink(executor: Executor): Promise<ChainLink | null> {
  const [last] = await executor.select().from(auditChain).orderBy(desc(auditChain.position)).limit(1);
  return last ?? null;
}

/** Returns the links after a position with their entries, in order; null for a missing entry. */
export async function readAuditChain(
  db: Database,
  input: { after: number; limit: number },
): Promise<{ link: ChainLink; entry: AuditLog | null }[]> {
  const rows = await db.run((executor) =>
    executor
      .select({ link: auditChain, entry: auditLogs })
      .from(auditChain)
      .leftJoin(auditLogs, eq(auditLogs.id, auditChain.audit_id))
      .where(gt(auditChain.position, input.after))
      .orderBy(asc(auditChain.position))
      .limit(input.limit),
  );
  return rows.map(({ link, entry }) => ({ link, entry: entry === null ? null : toAuditLog(entry) }));
}

/** Returns whether this process's role can change the audit log: it owns the table, or is a superuser. */
export async function canAlterAudit(db: Database): Promise<boolean> {
  const { rows } = await db.run((executor) =>
    executor.execute<{ able: boolean }>(sql`
      select pg_has_role(current_user, relowner, 'member')
          or has_table_privilege(oid, 'update, delete, truncate') as able
      from pg_class where oid = 'public.audit_logs'::regclass`),
  );
  return rows[0]?.able ?? true;
}
