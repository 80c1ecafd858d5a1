import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { foldName, isOfProject } from '../claude-mem/project-names.ts';
import { EXCLUDED_PROJECT } from '../format/kinds.ts';
import type { Row, Value } from '../format/values.ts';

/** Columns that hold a project's name. */
export const PROJECT_COLUMNS = ['project', 'merged_into_project'] as const;

/** The projects that a row of this node is of. */
export interface OfProjects {
  readonly project: string | null;
  /** The project that it was adopted into. */
  readonly merged: string | null;
}

/** Why a memory is not sent: the project's name as it stands here, and what it has to do with which excluded one. */
export interface Exclusion {
  readonly project: string;
  readonly reason: string;
}

/**
 * Which projects of a node are a space's, and what the one and the other call them. claude-mem names a project by its
 * folder, so one repository may have other names on other machines; its worktrees follow it. Rows that are here are never
 * renamed.
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
    // Where two projects of this node are one in the space, what comes in goes to the first.
    this.#toLocal = new Map(pairs.toReversed().map(([local, space]) => [space, local]));
    // A project that is excluded by its name in the space is excluded by its name here as well.
    const here = pairs.filter(([, space]) => (excluded ?? []).some((name) => isOfProject(space, name)));
    this.#excluded = [...(excluded ?? []), ...here.map(([local]) => local)].map((name) => ({
      name,
      folded: foldName(name),
    }));
  }

  /** Whether anything is excluded beside claude-mem's own observer sessions. */
  get hasExclusions(): boolean {
    return this.#excluded.length > 0;
  }

  /** The space's name of a project of this node. */
  inSpace(project: string): string {
    return translate(project, this.#toSpace);
  }

  /** Why memories of a project of this node never go to the space; null when they may. Look-alikes of excluded ones do not go. */
  exclusionOf({ project, merged }: OfProjects): Exclusion | null {
    if (project !== null && isOfProject(project, EXCLUDED_PROJECT))
      return { project, reason: 'observer sessions' };
    const own = project === null ? null : this.#excludes(project);
    if (project !== null && own !== null) return { project, reason: own };
    const adopted = merged === null ? null : this.#excludes(merged);
    return adopted === null ? null : { project: project ?? '', reason: `merged into ${merged}, ${adopted}` };
  }

  /** Whether memories of a project of this node are the space's. */
  covers(row: OfProjects): boolean {
    if (this.exclusionOf(row) !== null) return false;
    if (this.#projects.includes('*')) return true;
    return [row.project, row.merged].some((name) => {
      if (name === null) return false;
      const known = this.inSpace(name).normalize('NFC');
      return this.#projects.some((project) => isOfProject(known, project));
    });
  }

  /** A row's columns as the space knows them. */
  rowToSpace(row: Row): Row {
    return this.#toSpace.size === 0 ? row : rename(row, this.#toSpace);
  }

  /** A row's columns as this node knows them. */
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

/** A project's name by a table of names; that of a worktree follows its project's, the longest that the table knows. */
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
