import { and, asc, desc, eq, gt, isNull, max, sql } from 'drizzle-orm';
import type { AuditLog } from '../../contract/audit.ts';
import type { Database, Executor } from '../connect.ts';
import { auditChain, auditLogs } from '../schema.ts';
import { toAuditLog } from './list-audit.ts';

/** The advisory lock of whoever extends the chain; any fixed number that nothing else here uses. */
const CHAIN_LOCK = 7_305_802;

/**
 * How far behind the newest chained entry new ones are looked for. Transactions take an entry's id before they commit, so ids become
 * visible out of order; none takes as long as this many entries.
 */
const LATE_IDS = 10_000;

/** One link: an entry's place, and the chain's hash and signature there. */
export interface ChainLink {
  readonly position: number;
  readonly audit_id: number;
  readonly hash: string;
  readonly signature: string | null;
}

/**
 * Adds entries that are not in the chain yet, in the order of their ids. Processes that do so together take turns.
 * @param input.link makes the links of a batch that follow on the last one
 * @param input.limit entries at most
 * @param input.all looks for entries in the whole log, however old
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
      await lastLink(tx),
      rows.map(({ entry }) => toAuditLog(entry)),
    );
    await tx.insert(auditChain).values(links);
    return links.length;
  });
}

/** The end of the chain, or null when it is empty. */
export async function lastLink(executor: Executor): Promise<ChainLink | null> {
  const [last] = await executor.select().from(auditChain).orderBy(desc(auditChain.position)).limit(1);
  return last ?? null;
}

/** The links after a position with their entries, in order; an entry that is gone is null. */
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

/** Whether the role that this process uses can change the audit log: it owns the table, or is a superuser. */
export async function canAlterAudit(db: Database): Promise<boolean> {
  const { rows } = await db.run((executor) =>
    executor.execute<{ able: boolean }>(sql`
      select pg_has_role(current_user, relowner, 'member')
          or has_table_privilege(oid, 'update, delete, truncate') as able
      from pg_class where oid = 'public.audit_logs'::regclass`),
  );
  return rows[0]?.able ?? true;
}
