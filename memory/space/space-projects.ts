import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { foldName, isOfProject } from '../claude-mem/project-names.ts';
import { EXCLUDED_PROJECT } from '../format/kinds.ts';
import type { Row, Value } from '../format/values.ts';

/** Columns that hold a project's name. */
export const PROJECT_COLUMNS = ['project', 'merged_into_project'] as const;

/** The project fields of a row on this node. */
export interface ProjectsOfRow {
  readonly project: string | null;
  /** The project that the row was merged into. */
  readonly merged: string | null;
}

/** Why a memory is not sent: its project's local name, and how that relates to an excluded project. */
export interface Exclusion {
  readonly project: string;
  readonly reason: string;
}

/**
 * Maps this node's claude-mem projects to a space's. A claude-mem project has the name of its folder, so one
 * repository may have different names on other machines. Its worktrees follow it. Local rows are never renamed.
 */
export class SpaceProjects {
  readonly #projects: readonly string[];
  readonly #excluded: readonly { name: string; folded: string }[];
  readonly #toSpace: ReadonlyMap<string, string>;
  readonly #toLocal: ReadonlyMap<string, string>;

  constructor({ projects, excluded, names }: Pick<SpaceConfig, 'projects' | 'excluded' | 'names'>) {
    this.#projects = projects.map((name) => name.normalize('NFC'));
    const pairs = Object.entries(names ?? {});
    this.#toSpace = new Map(pairs);
    // If two local projects are one in the space, incoming rows go to the first.
    this.#toLocal = new Map(pairs.toReversed().map(([local, space]) => [space, local]));
    // A project that is excluded by its space name is excluded by its local name as well.
    const here = pairs.filter(([, space]) => (excluded ?? []).some((name) => isOfProject(space, name)));
    this.#excluded = [...(excluded ?? []), ...here.map(([local]) => local)].map((name) => ({
      name,
      folded: foldName(name),
    }));
  }

  /** Whether projects other than claude-mem's observer sessions are excluded. */
  get hasExclusions(): boolean {
    return this.#excluded.length > 0;
  }

  /** Returns the space's name of a local project. */
  inSpace(project: string): string {
    return translate(project, this.#toSpace);
  }

  /**
   * Returns why memories of a local project are never sent to the space; null when they may be. Excludes
   * projects that only look the same, too.
   */
  exclusionOf({ project, merged }: ProjectsOfRow): Exclusion | null {
    if (project !== null && isOfProject(project, EXCLUDED_PROJECT))
      return { project, reason: 'observer sessions' };
    const own = project === null ? null : this.#excludes(project);
    if (project !== null && own !== null) return { project, reason: own };
    const adopted = merged === null ? null : this.#excludes(merged);
    return adopted === null ? null : { project: project ?? '', reason: `merged into ${merged}, ${adopted}` };
  }

  /** Returns whether memories of a local project belong to the space. */
  covers(row: ProjectsOfRow): boolean {
    if (this.exclusionOf(row) !== null) return false;
    if (this.#projects.includes('*')) return true;
    return [row.project, row.merged].some((name) => {
      if (name === null) return false;
      const known = this.inSpace(name).normalize('NFC');
      return this.#projects.some((project) => isOfProject(known, project));
    });
  }

  /** Returns a row's columns with the space's project names. */
  rowToSpace(row: Row): Row {
    return this.#toSpace.size === 0 ? row : rename(row, this.#toSpace);
  }

  /** Returns a row's columns with this node's project names. */
  rowToLocal(row: Row): Row {
    return this.#toLocal.size === 0 ? row : rename(row, this.#toLocal);
  }

  #excludes(name: string): string | null {
    if (this.#excluded.length === 0) return null;
    const known = this.inSpace(name);
    for (const excluded of this.#excluded) {
      if (name === excluded.name || known === excluded.name) return 'excluded';
      if (isOfProject(name, excluded.name) || isOfProject(known, excluded.name)) {
        return `worktree of ${excluded.name}, excluded`;
      }
      if ([name, known].some((each) => isOfProject(foldName(each), excluded.folded))) {
        return `looks like ${excluded.name}, excluded`;
      }
    }
    return null;
  }
}

/**
 * Translates a project's name. A worktree follows its project: the longest name in the table that matches.
 */
function translate(name: string, names: ReadonlyMap<string, string>): string {
  for (let end = name.length; end > 0; end = name.lastIndexOf('/', end - 1)) {
    const known = names.get(name.slice(0, end));
    if (known !== undefined) return known + name.slice(end);
  }
  return name;
}

function rename(row: Row, names: ReadonlyMap<string, string>): Row {
  const renamed: Record<string, Value> = { ...row };
  for (const column of PROJECT_COLUMNS) {
    const value = renamed[column];
    if (typeof value === 'string') renamed[column] = translate(value, names);
  }
  return renamed;
}
