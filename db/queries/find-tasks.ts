import { and, desc, eq, inArray, sql } from 'drizzle-orm';
import type { ListTasks, Task } from '../../contract/tasks/tasks.ts';
import { afterCursor, cursorOf } from '../cursor.ts';
import type { Database } from '../connect.ts';
import { llmTasks, taskTexts } from '../schema.ts';
import { toTask, type TaskRow } from '../task-rows.ts';

/** Returns a task's row; null when it does not exist. */
export async function getTaskRow(db: Database, input: { id: string }): Promise<TaskRow | null> {
  const [row] = await db.run((sql) => sql.select().from(llmTasks).where(eq(llmTasks.id, input.id)));
  return row ?? null;
}

/**
 * Returns matching tasks, the newest first.
 * @returns a page of them, and where the next one begins; null at the end
 */
export async function listTasks(
  db: Database,
  query: ListTasks,
): Promise<{ tasks: Task[]; next: string | null }> {
  const contains = query.search === undefined ? undefined : `%${query.search.replaceAll(/[\\%_]/g, '\\$&')}%`;
  const where = and(
    query.status === undefined ? undefined : sql`${llmTasks.status} = ${query.status}`,
    query.agent_slug === undefined ? undefined : eq(llmTasks.agent_slug, query.agent_slug),
    query.context_id === undefined ? undefined : eq(llmTasks.context_id, query.context_id),
    query.worker_id === undefined ? undefined : eq(llmTasks.worker_id, query.worker_id),
    query.project_id === undefined ? undefined : eq(llmTasks.project_id, query.project_id),
    query.pool === undefined ? undefined : eq(llmTasks.pool, query.pool),
    query.tag === undefined ? undefined : sql`${llmTasks.tags} @> ${JSON.stringify([query.tag])}::jsonb`,
    contains === undefined
      ? undefined
      : sql`${llmTasks.id} in (select ${taskTexts.task_id} from ${taskTexts} where ${taskTexts.text} ilike ${contains})`,
    afterCursor(query.cursor, llmTasks.created_at, llmTasks.id),
  );
  const rows = await db.run((sql) =>
    sql
      .select()
      .from(llmTasks)
      .where(where)
      .orderBy(desc(llmTasks.created_at), desc(llmTasks.id))
      .limit(query.limit + 1),
  );
  const page = rows.slice(0, query.limit);
  const last = page.at(-1);
  return {
    tasks: page.map((row) => toTask(row, 'short')),
    next: rows.length > page.length && last !== undefined ? cursorOf(last.created_at, last.id) : null,
  };
}

/** Returns which of some ids are tasks. */
export async function findExistingTasks(db: Database, input: { ids: readonly string[] }): Promise<string[]> {
  if (input.ids.length === 0) return [];
  const rows = await db.run((sql) =>
    sql
      .select({ id: llmTasks.id })
      .from(llmTasks)
      .where(inArray(llmTasks.id, [...input.ids])),
  );
  return rows.map((row) => row.id);
}
