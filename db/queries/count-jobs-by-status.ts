import { count } from 'drizzle-orm';
import type { JobStatus } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { jobs } from '../schema.ts';

/** Returns the number of jobs in the history by status. */
export async function countJobsByStatus(db: Database): Promise<{ status: JobStatus; jobs: number }[]> {
  return await db.run((sql) =>
    sql.select({ status: jobs.status, jobs: count() }).from(jobs).groupBy(jobs.status),
  );
}
