import type Database from 'better-sqlite3';
import { openForReading } from '../memory/claude-mem/open.ts';
import { projectCondition } from '../memory/claude-mem/project-names.ts';
import type { Resolved } from './hint.ts';

/** Maximum number of memories in the hint. */
const MAX_MEMORIES = 20;

/**
 * A memory dated further ahead than this (a day, in milliseconds) has a wrong date and does not count as
 * recent.
 */
const DAY_MS = 24 * 3_600_000;

const COLUMNS = {
  observations: ['title', 'subtitle', 'narrative', 'facts', 'text'],
  session_summaries: ['request', 'investigated', 'learned', 'completed', 'next_steps'],
} as const;

type Table = keyof typeof COLUMNS;
type Row = Readonly<Record<string, unknown>>;

/**
 * Reads the newest observations and session summaries of a project, including its worktrees and merged
 * projects, from claude-mem's database, without writing.
 * @param project its claude-mem name; null when unknown
 * @throws MembridgeError memory_missing, memory_corrupt or memory_locked
 */
export function readRecentMemory(databasePath: string, project: string | null): Resolved {
  if (project === null) return { pieces: [], notes: ['the task names no project.'] };
  const db = openForReading(databasePath);
  try {
    const newest = [
      ...readNewest(db, 'observations', project),
      ...readNewest(db, 'session_summaries', project),
    ]
      .sort((one, other) => other.at - one.at)
      .slice(0, MAX_MEMORIES);
    if (newest.length === 0)
      return { pieces: [], notes: [`there are no memories of the project ${project}.`] };
    return {
      pieces: [{ source: '@memory/recent', text: newest.map(({ text }) => text).join('\n\n') }],
      notes: [],
    };
  } finally {
    db.close();
  }
}

function readNewest(db: Database.Database, table: Table, project: string): { at: number; text: string }[] {
  const columns = new Set((db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name));
  const rows = db
    .prepare(
      `SELECT * FROM ${table} WHERE (${projectCondition(columns)}) AND typeof(created_at_epoch) IN ('integer', 'real')
         AND created_at_epoch <= :latest ORDER BY created_at_epoch DESC, id DESC LIMIT ${MAX_MEMORIES}`,
    )
    .all({ project, latest: Date.now() + DAY_MS }) as Row[];
  return rows.map((row) => {
    const at = Number(row['created_at_epoch']);
    const date = new Date(at);
    const day = Number.isNaN(date.getTime()) ? 'undated' : date.toISOString().slice(0, 10);
    const kind = table === 'observations' ? String(row['type']) : 'session';
    const lines = COLUMNS[table].flatMap((column) => lineOf(column, row[column]));
    return { at, text: [`## ${day} ${kind}`, ...lines].join('\n') };
  });
}

function lineOf(column: string, value: unknown): string[] {
  // An empty list of facts is not a fact.
  if (typeof value !== 'string' || value.trim() === '' || value === '[]') return [];
  return [`${column}: ${value}`];
}
