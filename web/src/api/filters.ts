import type { ListAudit } from '../../../contract/audit.ts';
import type { ListMembers } from '../../../contract/memory/memory.ts';
import type { ListTasks } from '../../../contract/tasks/tasks.ts';

/** What tasks are chosen by, in the API's words. */
export type TaskFilter = Omit<ListTasks, 'limit' | 'cursor'>;

/** Which nodes of a space, in the API's words. */
export type MemberFilter = Partial<ListMembers>;

/** The same of the audit log. */
export type AuditFilter = Omit<ListAudit, 'limit' | 'before'>;

/**
 * The query of a list.
 * @returns with its question mark; empty when nothing is asked
 */
export function queryOf(given: Readonly<Record<string, string | number | null | undefined>>): string {
  const asked = Object.entries(given).flatMap(([name, value]): [string, string][] =>
    value == null || value === '' ? [] : [[name, String(value)]],
  );
  return asked.length === 0 ? '' : `?${new URLSearchParams(asked).toString()}`;
}
