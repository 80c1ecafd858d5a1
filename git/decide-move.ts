/**
 * Decides what happens to a clone after its remote was asked: one pure function, so that every case can be
 * listed and tested.
 */

/**
 * Facts about a clone and its remote after a fetch. Commits are counted against the remote's wanted branch.
 */
export interface CloneFacts {
  /** A person's unfinished operation, as the end of a sentence. */
  readonly busy: string | null;
  /** The checked-out branch; null when there is none. */
  readonly branch: string | null;
  /** The branch that the project names, else the remote's default; null when the remote has no default. */
  readonly wanted: string | null;
  /** Whether the project names the branch. */
  readonly isNamed: boolean;
  /** Whether the remote has the wanted branch. */
  readonly exists: boolean;
  /**
   * Whether the clone is on its branch because that was the remote's default. Either it still was the default
   * at the last update, or the remote's branch of that name is gone.
   */
  readonly isFormerDefault: boolean;
  /** Whether the clone and the remote's branch have a common commit. */
  readonly isRelated: boolean;
  /** Number of the clone's commits that the remote's branch lacks. */
  readonly ahead: number;
  /** Number of those that never were on a branch of the remote, as far as the clone knows. */
  readonly own: number;
  /** Number of the remote branch's commits that the clone lacks. */
  readonly behind: number;
  /** Number of files that a person changed since the last commit. */
  readonly changed: number;
}

/**
 * The action:
 * - `missing`: none, because the wanted branch does not exist
 * - `unchanged`: none, because there is nothing new
 * - `forward`: fast-forward
 * - `follow`: check out another branch, because the remote's default was renamed
 * - `keep`: leave the clone alone
 */
export type Move =
  | { readonly act: 'missing' | 'unchanged' | 'forward' | 'follow' }
  | { readonly act: 'keep'; readonly reason: KeepReason; readonly why: string };

/** Why a clone is left alone. `rewritten` and `made-again`: it contains nobody's own work. */
export type KeepReason =
  'busy' | 'detached' | 'other-branch' | 'own-commits' | 'rewritten' | 'made-again' | 'changed';

/** Decides what happens to a clone. No decision ever loses work that exists only in the clone. */
export function decideMove(facts: CloneFacts): Move {
  const { busy, branch, wanted, isNamed, exists, isFormerDefault, ahead, own, behind, changed } = facts;
  if (wanted === null || !exists) return { act: 'missing' };
  if (busy !== null) return keep('busy', busy);
  if (branch === null) return keep('detached', 'no branch is checked out (detached HEAD)');
  const isOther = branch !== wanted;
  if (isOther && (isNamed || !isFormerDefault))
    return keep('other-branch', `branch ${branch} is checked out, the project's is ${wanted}`);
  const renamed = isOther ? `the remote's default branch is ${wanted} now, no longer ${branch}, and ` : '';
  if (own === 0 && ahead > 0) return decideRewritten(facts, renamed);
  if (!isOther && behind === 0) return { act: 'unchanged' };
  if (ahead > 0) {
    const lacks = behind === 0 ? '' : ` and lacks ${behind} of the remote's`;
    const back = ahead === own ? '' : `, besides ${ahead - own} that the remote took back,`;
    return keep('own-commits', `${renamed}${branch} has ${count(own, 'commit')} of its own${back}${lacks}`);
  }
  if (changed > 0)
    return keep(
      'changed',
      `${renamed}${count(changed, 'file')} differ from the last commit${behindClause(behind)}`,
    );
  return { act: isOther ? 'follow' : 'forward' };
}

/** Handles commits that the remote took back and that the clone still has. */
function decideRewritten({ branch, ahead, behind, changed, isRelated }: CloneFacts, renamed: string): Move {
  const files = changed > 0 ? `, and ${count(changed, 'file')} differ from the last commit` : '';
  if (!isRelated)
    return keep(
      'made-again',
      `${renamed}the remote's history begins again: it has no commit in common with ${branch}, which has no commit of its own${files}`,
    );
  return keep(
    'rewritten',
    `${renamed}the remote rewrote its history: ${count(ahead, 'commit')} of ${branch} ${ahead === 1 ? 'is' : 'are'} no longer in it, none made here${files}${behindClause(behind)}`,
  );
}

const keep = (reason: KeepReason, why: string): Move => ({ act: 'keep', reason, why });

/** Returns a number of things in words. */
export const count = (number: number, thing: string): string =>
  `${number} ${thing}${number === 1 ? '' : 's'}`;

/** Returns the end of a sentence about what a clone that is left alone lacks. */
export const behindClause = (behind: number): string =>
  behind === 0 ? '' : `; it lacks ${count(behind, 'commit')} of the remote`;
