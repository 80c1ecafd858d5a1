import { and, desc, eq } from 'drizzle-orm';
import type { Job } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { jobs } from '../schema.ts';
import { toJob } from '../to-contract.ts';

/** Returns jobs, the newest first, optionally of one project (by name) and one node. */
export async function listJobs(
  db: Database,
  input: { limit: number; project?: string | undefined; node?: string | undefined },
): Promise<Job[]> {
  const where = and(
    input.project === undefined ? undefined : eq(jobs.project, input.project),
    input.node === undefined ? undefined : eq(jobs.agent, input.node),
  );
  const rows = await db.run((sql) =>
    sql.select().from(jobs).where(where).orderBy(desc(jobs.created_at), desc(jobs.id)).limit(input.limit),
  );
  return rows.map(toJob);
}
