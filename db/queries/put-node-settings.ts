import { eq } from 'drizzle-orm';
import { spaceFacts, type Space, type SpaceNodeSettings } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { spaceNodeSettings, spaces } from '../schema.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findSpaces } from './find-spaces.ts';
import { recordAudit, spaceAuditEntry, type AuditBy } from './record-audit.ts';

/**
 * Replaces the settings of one node in one space.
 * @param input.now the control plane's clock, epoch milliseconds
 * @returns the space, or null when it no longer exists
 */
export async function putNodeSettings(
  db: Database,
  input: { cid: string; settings: SpaceNodeSettings; now: number; by: AuditBy },
): Promise<Space | null> {
  const { node_id, names, trust } = input.settings;
  return await db.transaction(async (tx) => {
    const [present] = await tx
      .select({ cid: spaces.cid })
      .from(spaces)
      .where(eq(spaces.cid, input.cid))
      .for('share');
    if (present === undefined) return null;
    await tx
      .insert(spaceNodeSettings)
      .values({ cid: input.cid, node_id, names, trust })
      .onConflictDoUpdate({
        target: [spaceNodeSettings.cid, spaceNodeSettings.node_id],
        set: { names, trust },
      });
    const trusted = Object.entries(trust).map(([node, level]) => `${level} ${node}`);
    const renamed = Object.entries(names).map(([own, shared]) => `calls ${shared} ${own}`);
    const detail = `${node_id}: ${[...trusted, ...renamed].join(', ') || 'nothing of its own'}`;
    await recordAudit(tx, [
      spaceAuditEntry('space_node_settings_changed', input.cid, { ...input.by, detail }, input.now),
    ]);
    await lockEvents(tx);
    const [space] = await findSpaces(tx, eq(spaces.cid, input.cid));
    if (space === undefined) return null;
    await emitEvents(tx, [{ type: 'space', space: spaceFacts(space) }], input.now);
    return space;
  });
}
