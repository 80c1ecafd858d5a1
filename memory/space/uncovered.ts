import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { Uncovered } from '../../contract/memory/uncovered.ts';
import { isOfProject } from '../claude-mem/project-names.ts';
import { EXCLUDED_PROJECT } from '../format/kinds.ts';
import { SpaceProjects } from './space-projects.ts';
import type { SyncSession } from '../session.ts';

/** Maximum number of project names returned. */
const MAX_NAMES = 5;

/**
 * Returns the claude-mem projects of this database when a space covers none of them; null when it covers one,
 * or when there are none. If the space covers one, it only reads sessions up to the first that is covered.
 */
export function findUncovered(
  { db, schema }: Pick<SyncSession, 'db' | 'schema'>,
  config: SpaceConfig,
): Uncovered | null {
  const space = new SpaceProjects(config);
  const sessions = db.prepare(`SELECT project FROM ${schema.sources.session}`).pluck();
  for (const project of sessions.iterate() as IterableIterator<string | null>) {
    if (space.covers({ project, merged: null })) return null;
  }
  const sizes = new Map<string, number>();
  let isEmpty = true;
  for (const kind of ['session', 'summary', 'observation'] as const) {
    const merged = schema.columns[kind].has('merged_into_project') ? 'merged_into_project' : 'NULL';
    const found = db
      .prepare(
        `SELECT project, ${merged} AS merged, count(*) AS rows FROM ${schema.sources[kind]} GROUP BY 1, 2`,
      )
      .all() as { project: string | null; merged: string | null; rows: number }[];
    for (const { rows, ...row } of found) {
      const { project } = row;
      if (space.covers(row)) return null;
      if (project !== null && isOfProject(project, EXCLUDED_PROJECT)) continue;
      isEmpty = false;
      if (project === null || space.exclusionOf(row) !== null) continue;
      sizes.set(project, (sizes.get(project) ?? 0) + rows);
    }
  }
  if (isEmpty) return null;
  const names = [...sizes]
    .sort(([a, many], [b, few]) => few - many || (a < b ? -1 : 1))
    .map(([name]) => name);
  return { projects: names.slice(0, MAX_NAMES), more: Math.max(0, names.length - MAX_NAMES) };
}
