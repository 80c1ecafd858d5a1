import Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { columnsOf, sessionColumns, takeInventory, type Found } from './inventory.ts';
import { ADOPTED_INTO, isStaying } from './projects.ts';

/** The tables that the original counts. */
export const COUNTED = ['observations', 'summaries', 'prompts'] as const;
export type Counts = Readonly<Record<(typeof COUNTED)[number], number>>;

/** The contents of a mirror's database. */
export interface Held {
  readonly found: readonly Found[];
  /** Without the conversations of claude-mem's own observer. */
  readonly counts: Counts;
  /** The part of `counts` that must not be in a space. */
  readonly excluded: Counts;
}

const OBSERVER = 'observer-sessions';

/**
 * Returns whether a row's project belongs to a space. Rows without one belong to their sessions. Plain comparisons,
 * which share nothing with the judged code.
 */
export function isCovered(space: SpaceConfig, state: Found['state']): boolean {
  const [project = '', merged = ''] = [state['project'], state['merged_into_project']].map((value) =>
    value?.replaceAll("'", ''),
  );
  if (isStaying(project) || merged === ADOPTED_INTO) return false;
  if (space.projects.includes('*') || !('merged_into_project' in state)) return true;
  return [project, merged].some((name) =>
    space.projects.some((each) => name === each || name.startsWith(`${each}/`)),
  );
}

/** Reads a mirror's database; null when SQLite finds it damaged. */
export function readDatabase(bytes: Buffer): Held | null {
  const plain = Buffer.from(bytes);
  // A database in memory has no WAL.
  if (plain.length > 19) plain.fill(1, 18, 20);
  let db: Database.Database | null = null;
  try {
    db = new Database(plain);
    const lines = db.pragma('integrity_check') as { integrity_check: string }[];
    if (lines.some(({ integrity_check: line }) => line !== 'ok')) return null;
    return { found: takeInventory(db), ...countRows(db) };
  } catch {
    return null;
  } finally {
    db?.close();
  }
}

/** Counts the rows of each table, and those that must not be in a space. */
function countRows(db: Database.Database): Pick<Held, 'counts' | 'excluded'> {
  const { content } = sessionColumns(db);
  const named = `SELECT s.project FROM sdk_sessions s WHERE s.${content} = t.${content}`;
  const session = columnsOf(db, 'user_prompts').has('session_db_id')
    ? `coalesce((SELECT s.project FROM sdk_sessions s WHERE s.id = t.session_db_id), (${named}))`
    : `(${named})`;
  const projects = (table: string, project: string): string[] =>
    (db.prepare(`SELECT ${project} FROM ${table} t`).pluck().all() as (string | null)[])
      .map((name) => name ?? '')
      .filter((name) => name !== OBSERVER);
  const rows = {
    observations: projects('observations', 't.project'),
    summaries: projects('session_summaries', 't.project'),
    prompts: projects('user_prompts', session),
  };
  const count = (isCounted: (project: string) => boolean): Counts => ({
    observations: rows.observations.filter(isCounted).length,
    summaries: rows.summaries.filter(isCounted).length,
    prompts: rows.prompts.filter(isCounted).length,
  });
  return { counts: count(() => true), excluded: count(isStaying) };
}

export function manifestCounts(manifest: Record<string, unknown>): Counts {
  const count = (name: string): number => Number(manifest[name] ?? 0);
  return {
    observations: count('observations'),
    summaries: count('session_summaries'),
    prompts: count('user_prompts'),
  };
}
