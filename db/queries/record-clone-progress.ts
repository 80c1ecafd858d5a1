import { and, eq } from 'drizzle-orm';
import type { CloneProgress, ProjectNodeStatus } from '../../contract/projects/projects.ts';
import type { Database } from '../connect.ts';
import { toProjectNode } from '../project-rows.ts';
import { singleLine } from '../single-line.ts';
import { projectNodeStatus } from '../schema.ts';
import { emitClone } from './emit-project.ts';
import { MAX_MESSAGE_CHARS, isOpen } from './record-clone.ts';

/** Returns clones whose work has not ended, as far as PostgreSQL knows. */
export async function listOpenClones(db: Database): Promise<ProjectNodeStatus[]> {
  const rows = await db.run((executor) => executor.select().from(projectNodeStatus).where(isOpen));
  return rows.map(toProjectNode);
}

/** The current state of an open clone according to Temporal. */
export interface CloneMoment {
  readonly status: 'pending' | 'cloning';
  readonly detail: string;
  readonly progress: CloneProgress | null;
}

/**
 * Records the progress of an open clone. Leaves one alone that has ended, or that another run works on.
 * @param input.was the row that the state was found for
 */
export async function recordCloneMoment(
  db: Database,
  input: { was: ProjectNodeStatus; moment: CloneMoment; now: number },
): Promise<void> {
  const { was, moment, now } = input;
  await db.transaction(async (tx) => {
    const [row] = await tx
      .update(projectNodeStatus)
      .set({
        clone_status: moment.status,
        detail: singleLine(moment.detail, MAX_MESSAGE_CHARS),
        progress: moment.progress,
        updated_at: now,
      })
      .where(and(eq(projectNodeStatus.id, was.id), eq(projectNodeStatus.run_id, was.run_id), isOpen))
      .returning();
    if (row !== undefined) await emitClone(tx, row, now);
  });
}
