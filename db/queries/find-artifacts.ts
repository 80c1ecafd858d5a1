import { and, desc, eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { afterCursor, cursorOf } from '../cursor.ts';
import { runtimeArtifacts } from '../schema.ts';
import type { ArtifactRow } from '../task-rows.ts';

/** Returns matching artifacts, the newest first, and where the next page begins. */
export async function listArtifacts(
  db: Database,
  query: {
    task_id?: string | undefined;
    type?: string | undefined;
    limit: number;
    cursor?: string | undefined;
  },
): Promise<{ artifacts: ArtifactRow[]; next: string | null }> {
  const rows = await db.run((sql) =>
    sql
      .select()
      .from(runtimeArtifacts)
      .where(
        and(
          query.task_id === undefined ? undefined : eq(runtimeArtifacts.task_id, query.task_id),
          query.type === undefined ? undefined : eq(runtimeArtifacts.type, query.type),
          afterCursor(query.cursor, runtimeArtifacts.created_at, runtimeArtifacts.id),
        ),
      )
      .orderBy(desc(runtimeArtifacts.created_at), desc(runtimeArtifacts.id))
      .limit(query.limit + 1),
  );
  const artifacts = rows.slice(0, query.limit);
  const last = artifacts.at(-1);
  return {
    artifacts,
    next: rows.length > artifacts.length && last !== undefined ? cursorOf(last.created_at, last.id) : null,
  };
}

/** Returns an artifact's row; null when it does not exist. */
export async function getArtifact(db: Database, input: { id: string }): Promise<ArtifactRow | null> {
  const [row] = await db.run((sql) =>
    sql.select().from(runtimeArtifacts).where(eq(runtimeArtifacts.id, input.id)),
  );
  return row ?? null;
}
