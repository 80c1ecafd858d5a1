import type { SpaceConfig } from '../contract/memory.ts';
import { EXCLUDED_PROJECT } from './kinds.ts';
import type { Row, Value } from './values.ts';

/** Columns that hold a project's name. */
const PROJECT_COLUMNS = ['project', 'merged_into_project'];

/**
 * Which projects of a node are a space's, and what the one and the other call them. claude-mem names a project by its
 * folder, so one repository may have other names on other machines. Rows that are here are never renamed.
 */
export class SpaceProjects {
  readonly #projects: readonly string[];
  readonly #excluded: readonly string[];
  readonly #toSpace: ReadonlyMap<string, string>;
  readonly #toLocal: ReadonlyMap<string, string>;

  constructor({ projects, excluded, names }: Pick<SpaceConfig, 'projects' | 'excluded' | 'names'>) {
    this.#projects = projects;
    this.#excluded = excluded ?? [];
    const pairs = Object.entries(names ?? {});
    this.#toSpace = new Map(pairs);
    // Where two projects of this node are one in the space, what comes in goes to the first.
    this.#toLocal = new Map(pairs.toReversed().map(([local, space]) => [space, local]));
  }

  /** The space's name of a project of this node. */
  inSpace(project: string): string {
    return this.#toSpace.get(project) ?? project;
  }

  /** Whether memories of a project of this node never go to the space. */
  isExcluded(project: string | null): boolean {
    return (
      project === EXCLUDED_PROJECT || (project !== null && this.#excluded.includes(this.inSpace(project)))
    );
  }

  /** Whether memories of a project of this node are the space's. */
  covers(project: string | null): boolean {
    if (this.isExcluded(project)) return false;
    if (this.#projects.includes('*')) return true;
    return project !== null && this.#projects.includes(this.inSpace(project));
  }

  /** A row's columns as the space knows them. */
  rowToSpace(row: Row): Row {
    return this.#toSpace.size === 0 ? row : rename(row, this.#toSpace);
  }

  /** A row's columns as this node knows them. */
  rowToLocal(row: Row): Row {
    return this.#toLocal.size === 0 ? row : rename(row, this.#toLocal);
  }
}

function rename(row: Row, names: ReadonlyMap<string, string>): Row {
  const renamed: Record<string, Value> = { ...row };
  for (const column of PROJECT_COLUMNS) {
    const value = renamed[column];
    if (typeof value === 'string') renamed[column] = names.get(value) ?? value;
  }
  return renamed;
}
