import { eq } from 'drizzle-orm';
import { spaceFacts, type Space, type SpaceConfig } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { spaces } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { findSpaces } from './find-spaces.ts';
import { recordAudit, spaceAuditEntry, type AuditBy } from './record-audit.ts';

/**
 * Records a space, unless one with its id or name exists.
 * @returns the new space, or null when one existed
 */
export async function createSpace(
  db: Database,
  input: { space: SpaceConfig; source: 'manual' | 'heartbeat'; createdAt: number; by: AuditBy },
): Promise<Space | null> {
  const { cid, projectId, projects } = input.space;
  return await db.transaction(async (tx) => {
    const inserted = await tx
      .insert(spaces)
      .values({ cid, name: projectId, projects, created_at: input.createdAt, source: input.source })
      .onConflictDoNothing()
      .returning({ cid: spaces.cid });
    if (inserted.length === 0) return null;
    const [space] = await findSpaces(tx, eq(spaces.cid, cid));
    if (space === undefined) return null;
    const detail = `${projectId}: ${countProjects(projects)}`;
    await recordAudit(tx, [spaceAuditEntry('space_created', cid, { ...input.by, detail }, input.createdAt)]);
    await emitEvents(tx, [{ type: 'space', space: spaceFacts(space) }], input.createdAt);
    return space;
  });
}

const countProjects = (projects: readonly string[]): string =>
  projects.includes('*') ? 'every claude-mem project' : `claude-mem projects ${projects.join(', ')}`;
