/**
 * Defines "a memory of project X" as claude-mem does. The memory's project is X or a git worktree of X
 * (`X/worktree`), or the memory was merged into X (`merged_into_project`). Every project rule of Membridge
 * builds on this.
 */

/** Separates a project's name from its worktree's. */
const WORKTREE_SEPARATOR = '/';

/** Returns whether a name belongs to a project or one of its worktrees. */
export function isOfProject(name: string, project: string): boolean {
  return name === project || name.startsWith(`${project}${WORKTREE_SEPARATOR}`);
}

/**
 * SQL for whether a row of observations or session_summaries is a memory of the project `@project`.
 * @param columns the columns of the table: merged_into_project came with claude-mem 12.2
 */
export function projectCondition(columns: ReadonlySet<string>): string {
  const named = ['project', ...(columns.has('merged_into_project') ? ['merged_into_project'] : [])];
  return named
    .map(
      (column) =>
        `(${column} = @project OR substr(${column}, 1, length(@project) + 1) = @project || '${WORKTREE_SEPARATOR}')`,
    )
    .join(' OR ');
}

/** Every kind of dash, and invisible characters. */
const DASHES = /[\u2010-\u2015\u2212\uFE58\uFE63\uFF0D]/g;
const INVISIBLE = /[\u00AD\u200B-\u200F\u2060-\u2064\uFEFF]/g;

/**
 * Returns a name without the differences between look-alikes: letter case, Unicode normalization, kinds of
 * dashes and slashes, invisible characters, surrounding spaces.
 */
export function foldName(name: string): string {
  return (
    name
      .normalize('NFKC')
      .replaceAll(INVISIBLE, '')
      .replaceAll(DASHES, '-')
      .replaceAll('\\', WORKTREE_SEPARATOR)
      .replaceAll(/\/{2,}/g, WORKTREE_SEPARATOR)
      .replaceAll(/\s+/g, ' ')
      .trim()
      .replace(/\/$/, '')
      // Both directions: "ß" is "SS" in capitals, and "ſ" becomes "S".
      .toUpperCase()
      .toLowerCase()
      .normalize('NFKC')
  );
}
