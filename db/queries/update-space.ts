import { eq } from 'drizzle-orm';
import { MembridgeError } from '../../contract/errors.ts';
import type { ServerEvent } from '../../contract/events.ts';
import { spaceFacts, type Space } from '../../contract/memory/memory.ts';
import type { Database, Executor } from '../connect.ts';
import { jobs, managedProjects, originalNodes, spaceNodeSettings, spaceNodes, spaces } from '../schema.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findSpaces } from './find-spaces.ts';
import { recordAudit, spaceAuditEntry, type AuditBy } from './record-audit.ts';
import { moveLeadership } from './record-leadership.ts';

/** The new values of a space. */
export interface SpaceChange {
  readonly name: string;
  /** The canonical id that follows from the name; a different one means a rename. */
  readonly cid: string;
  readonly projects: string[];
  readonly excluded: string[];
  readonly aliases: string[];
  readonly redact: boolean;
  readonly encrypted: boolean;
  readonly mirror: boolean;
}

/**
 * Changes a space. A new canonical id takes all records along: nodes, their settings, jobs.
 * @param input.cid the current canonical id
 * @param input.now the control plane's clock, epoch milliseconds
 * @returns the space as it is now, or null when it no longer exists
 * @throws MembridgeError conflict when its name, or an alias of it, belongs to another space
 */
export async function updateSpace(
  db: Database,
  input: { cid: string; change: SpaceChange; now: number; by: AuditBy },
): Promise<Space | null> {
  const { cid, change } = input;
  return await db.transaction(async (tx) => {
    const all = await tx.select().from(spaces).for('update');
    const before = all.find((row) => row.cid === cid);
    if (before === undefined) return null;
    for (const other of all.filter((row) => row.cid !== cid)) refuseClash(change, other);
    if (change.cid !== cid) await moveSpace(tx, cid, change);
    const since = before.encrypted ? before.encrypted_since : input.now;
    await tx
      .update(spaces)
      .set({ ...change, encrypted_since: change.encrypted ? since : null })
      .where(eq(spaces.cid, cid));
    const detail = describeChange(before, change);
    await recordAudit(tx, [spaceAuditEntry('space_updated', change.cid, { ...input.by, detail }, input.now)]);
    await lockEvents(tx);
    const [space] = await findSpaces(tx, eq(spaces.cid, change.cid));
    if (space === undefined) return null;
    const gone: ServerEvent[] = change.cid === cid ? [] : [{ type: 'space-removed', canonical_id: cid }];
    await emitEvents(tx, [...gone, { type: 'space', space: spaceFacts(space) }], input.now);
    return space;
  });
}

/** Describes a change for people: `encrypted: false → true, excluded: none → diary`. */
function describeChange(before: SpaceChange, after: SpaceChange): string {
  const told = (value: unknown): string => (Array.isArray(value) ? value.join(' ') || 'none' : String(value));
  const fields = ['name', 'projects', 'excluded', 'aliases', 'redact', 'encrypted', 'mirror'] as const;
  const changed = fields
    .map((field) => ({ field, was: told(before[field]), is: told(after[field]) }))
    .filter(({ was, is }) => was !== is);
  return changed.map(({ field, was, is }) => `${field}: ${was} → ${is}`).join(', ') || 'nothing changed';
}

/** Refuses a change when another space has the canonical id, as its id or as an alias. */
function refuseClash(change: SpaceChange, other: { cid: string; name: string; aliases: string[] }): void {
  const conflict = (message: string): MembridgeError => new MembridgeError('conflict', message);
  if (other.name === change.name || other.cid === change.cid) {
    throw conflict(`A space named ${change.name} exists. Choose another name, or delete that space first.`);
  }
  if (other.aliases.includes(change.cid)) {
    throw conflict(
      `${change.name} (${change.cid}) is an older name of the space ${other.name}. Choose another name, or remove that alias there first.`,
    );
  }
  const taken = change.aliases.find((alias) => alias === other.cid || other.aliases.includes(alias));
  if (taken === undefined) return;
  throw conflict(
    taken === other.cid
      ? `${taken} is the space ${other.name} itself. Delete that space first (its memory stays in the store), then make it an alias.`
      : `${taken} is an alias of the space ${other.name} already. Remove it there first.`,
  );
}

/** Moves the records of a space to its new canonical id. */
async function moveSpace(tx: Executor, from: string, { cid, name }: SpaceChange): Promise<void> {
  // Records under the new id belong to no space. Agents reported them about a project without a space, and
  // report again; or a round was still running when a space left that id.
  await tx.delete(originalNodes).where(eq(originalNodes.cid, cid));
  await tx.delete(spaceNodes).where(eq(spaceNodes.cid, cid));
  await tx.update(originalNodes).set({ cid }).where(eq(originalNodes.cid, from));
  await tx.update(spaceNodes).set({ cid }).where(eq(spaceNodes.cid, from));
  await tx.update(spaceNodeSettings).set({ cid }).where(eq(spaceNodeSettings.cid, from));
  // A project with the same id keeps its primary; the space then has none until one is selected.
  const projects = await tx
    .select({ id: managedProjects.id })
    .from(managedProjects)
    .where(eq(managedProjects.canonical_id, from));
  if (projects.length === 0) await moveLeadership(tx, from, cid);
  await tx.update(jobs).set({ canonical_id: cid, project: name }).where(eq(jobs.canonical_id, from));
}
