import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory.ts';
import type { MemoryRow } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { SpaceProjects } from '../names.ts';

/** Which rows of a whole database are a space's: by the same rules as a push sends rows of this machine (emit.ts). */
export class Coverage {
  readonly #projects: SpaceProjects;
  /** Sessions of other projects that rows of the space belong to: they go along. */
  readonly #taken: ReadonlySet<number>;

  constructor(db: Database.Database, schema: ClaudeMemSchema, config: SpaceConfig) {
    this.#projects = new SpaceProjects(config);
    this.#taken = this.#sessionsOf(db, schema);
  }

  /** Whether a row belongs to the space. */
  has({ kind, project, sessionId }: MemoryRow): boolean {
    if (this.#projects.covers(project)) return true;
    if (this.#projects.isExcluded(project) || sessionId === null || !this.#taken.has(sessionId)) return false;
    return kind === 'session' || kind === 'prompt';
  }

  /** Whether a row is a session of an excluded project that rows of the space belong to: only its name may be known. */
  hasNameOf({ kind, project, id }: MemoryRow): boolean {
    return kind === 'session' && this.#projects.isExcluded(project) && this.#taken.has(id);
  }

  #sessionsOf(db: Database.Database, { sources }: ClaudeMemSchema): Set<number> {
    const taken = new Set<number>();
    for (const kind of ['summary', 'observation'] as const) {
      const pairs = db
        .prepare(
          `SELECT DISTINCT s.id AS id, t.project AS project FROM ${sources[kind]} t
           JOIN ${sources.session} s ON s.memory_session_id = t.memory_session_id`,
        )
        .iterate() as IterableIterator<{ id: number; project: string | null }>;
      for (const { id, project } of pairs) {
        if (this.#projects.covers(project)) taken.add(id);
      }
    }
    return taken;
  }
}
