import type { ListAudit } from '../../../contract/audit.ts';
import type { ListMembers } from '../../../contract/memory/memory.ts';
import type { ListTasks } from '../../../contract/tasks/tasks.ts';

/** The filter of tasks, with the API's names. */
export type TaskFilter = Omit<ListTasks, 'limit' | 'cursor'>;

/** The filter of a space's nodes, with the API's names. */
export type MemberFilter = Partial<ListMembers>;

/** The filter of the audit log, with the API's names. */
export type AuditFilter = Omit<ListAudit, 'limit' | 'before'>;

/**
 * Returns the query of a list.
 * @returns with its question mark; empty when nothing is set
 */
export function queryOf(given: Readonly<Record<string, string | number | null | undefined>>): string {
  const asked = Object.entries(given).flatMap(([name, value]): [string, string][] =>
    value == null || value === '' ? [] : [[name, String(value)]],
  );
  return asked.length === 0 ? '' : `?${new URLSearchParams(asked).toString()}`;
}
