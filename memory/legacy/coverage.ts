import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory.ts';
import type { MemoryRow } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { EXCLUDED_PROJECT } from '../kinds.ts';
import { ProjectNames } from '../names.ts';

/** Which rows of a whole database are a space's: by the same rules as a push sends rows of this machine (emit.ts). */
export class Coverage {
  readonly #config: SpaceConfig;
  readonly #names: ProjectNames;
  /** Sessions of other projects that rows of the space belong to: they go along. */
  readonly #taken: ReadonlySet<number>;

  constructor(db: Database.Database, schema: ClaudeMemSchema, config: SpaceConfig) {
    this.#config = config;
    this.#names = new ProjectNames(config.names);
    this.#taken = this.#sessionsOf(db, schema);
  }

  /** Whether a row belongs to the space. */
  has({ kind, project, sessionId }: MemoryRow): boolean {
    if (project === EXCLUDED_PROJECT || this.#isExcluded(project)) {
      return kind === 'session' && project !== EXCLUDED_PROJECT && this.#isTaken(sessionId);
    }
    if (this.#covers(project)) return true;
    return (kind === 'session' || kind === 'prompt') && this.#isTaken(sessionId);
  }

  #isTaken(session: number | null): boolean {
    return session !== null && this.#taken.has(session);
  }

  #isExcluded(project: string | null): boolean {
    return project !== null && (this.#config.excluded ?? []).includes(this.#names.inSpace(project));
  }

  #covers(project: string | null): boolean {
    const { projects } = this.#config;
    if (projects.includes('*')) return true;
    return project !== null && projects.includes(this.#names.inSpace(project));
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
        const own = project !== EXCLUDED_PROJECT && !this.#isExcluded(project) && this.#covers(project);
        if (own) taken.add(id);
      }
    }
    return taken;
  }
}
