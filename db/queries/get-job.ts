import { eq } from 'drizzle-orm';
import type { Job } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { jobs } from '../schema.ts';
import { toJob } from '../to-contract.ts';

/** Returns a job, or null. */
export async function getJob(db: Database, input: { id: string }): Promise<Job | null> {
  const [row] = await db.run((sql) => sql.select().from(jobs).where(eq(jobs.id, input.id)));
  return row === undefined ? null : toJob(row);
}
