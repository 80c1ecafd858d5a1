/**
 * What claude-mem means by "a memory of project X": one whose project is X, one of a git worktree of X (claude-mem names it
 * `X/worktree`), and one that was adopted into X (`merged_into_project`). Every rule of Membridge about projects is made of this.
 */

/** Between a project's name and that of its worktree. */
const WORKTREE = '/';

/** Whether a name is a project's or one of its worktrees'. */
export function isOfProject(name: string, project: string): boolean {
  return name === project || name.startsWith(`${project}${WORKTREE}`);
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
        `(${column} = @project OR substr(${column}, 1, length(@project) + 1) = @project || '${WORKTREE}')`,
    )
    .join(' OR ');
}

/** Every kind of dash, and characters that nobody sees. */
const DASHES = /[\u2010-\u2015\u2212\uFE58\uFE63\uFF0D]/g;
const INVISIBLE = /[\u00AD\u200B-\u200F\u2060-\u2064\uFEFF]/g;

/**
 * A name without what two look-alikes differ in: letter case, Unicode normalization, kinds of dashes and slashes, characters
 * that nobody sees, spaces around it.
 */
export function foldName(name: string): string {
  return (
    name
      .normalize('NFKC')
      .replaceAll(INVISIBLE, '')
      .replaceAll(DASHES, '-')
      .replaceAll('\\', WORKTREE)
      .replaceAll(/\/{2,}/g, WORKTREE)
      .replaceAll(/\s+/g, ' ')
      .trim()
      .replace(/\/$/, '')
      // Both ways: "ß" is "SS" in capitals, and "ſ" is "S".
      .toUpperCase()
      .toLowerCase()
      .normalize('NFKC')
  );
}
