import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { MemoryRow } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { SpaceProjects } from '../space/space-projects.ts';

/** Decides which rows of a whole database belong to a space, by the rules for sending rows (emit.ts). */
export class Coverage {
  readonly #projects: SpaceProjects;
  /** Sessions of other projects with rows of the space; they are included. */
  readonly #taken = new Set<number>();
  /** Sessions with a row that was merged into an excluded project; they stay, with their prompts. */
  readonly #barred = new Set<number>();

  constructor(db: Database.Database, schema: ClaudeMemSchema, config: SpaceConfig) {
    this.#projects = new SpaceProjects(config);
    this.#judgeSessions(db, schema);
  }

  /** Returns whether a row belongs to the space. */
  has(row: MemoryRow): boolean {
    if (this.#isExcluded(row)) return false;
    if (this.#projects.covers(row)) return true;
    const { kind, sessionId } = row;
    return (kind === 'session' || kind === 'prompt') && sessionId !== null && this.#taken.has(sessionId);
  }

  /**
   * Returns whether a row is a session of an excluded project with rows of the space: only its name may be
   * published.
   */
  hasNameOf(row: MemoryRow): boolean {
    return row.kind === 'session' && this.#isExcluded(row) && this.#taken.has(row.id);
  }

  #isExcluded(row: MemoryRow): boolean {
    const { kind, sessionId } = row;
    const bySession = kind === 'session' || kind === 'prompt';
    if (bySession && sessionId !== null && this.#barred.has(sessionId)) return true;
    return this.#projects.exclusionOf(row) !== null;
  }

  #judgeSessions(db: Database.Database, { sources, columns }: ClaudeMemSchema): void {
    for (const kind of ['summary', 'observation'] as const) {
      const merged = columns[kind].has('merged_into_project') ? 't.merged_into_project' : 'NULL';
      const found = db
        .prepare(
          `SELECT DISTINCT s.id AS id, t.project AS project, ${merged} AS merged, s.project AS session
           FROM ${sources[kind]} t JOIN ${sources.session} s ON s.memory_session_id = t.memory_session_id`,
        )
        .iterate() as IterableIterator<{
        id: number;
        project: string | null;
        merged: string | null;
        session: string | null;
      }>;
      for (const { id, project, merged: into, session } of found) {
        if (this.#projects.covers({ project, merged: into })) this.#taken.add(id);
        if (into !== null && this.#projects.exclusionOf({ project: session, merged: into }) !== null) {
          this.#barred.add(id);
        }
      }
    }
  }
}
