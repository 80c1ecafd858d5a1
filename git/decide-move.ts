/** What becomes of a clone after its remote was asked: one pure function, so that every case can be written down and tested. */

/** What is known of a clone and its remote after a fetch. Commits are counted against the remote's wanted branch. */
export interface Facts {
  /** What somebody is in the middle of, as a sentence's end. */
  readonly busy: string | null;
  /** The branch that is checked out; null when none is. */
  readonly branch: string | null;
  /** The branch that the project names, else the remote's default; null where the remote has no default. */
  readonly wanted: string | null;
  /** Whether the project names the branch. */
  readonly isNamed: boolean;
  /** Whether the remote has the wanted branch. */
  readonly exists: boolean;
  /** Whether the clone is on its branch because that was the remote's default: it still was at the last update, or the remote's branch of that name is gone. */
  readonly isFormerDefault: boolean;
  /** Whether the clone and the remote's branch have a commit in common. */
  readonly isRelated: boolean;
  /** Commits of the clone that the remote's branch has not. */
  readonly ahead: number;
  /** Those of them that never were on a branch of the remote, as far as the clone knows. */
  readonly own: number;
  /** Commits of the remote's branch that the clone has not. */
  readonly behind: number;
  /** Files that differ from the last commit by somebody's hand. */
  readonly changed: number;
}

/**
 * What is done: `missing` the wanted branch is not there; `unchanged` nothing is new; `forward` a fast-forward; `follow` another
 * branch is checked out, since the remote's default has another name; `keep` nothing is touched.
 */
export type Move =
  | { readonly act: 'missing' | 'unchanged' | 'forward' | 'follow' }
  | { readonly act: 'keep'; readonly reason: KeepReason; readonly why: string };

/** Why a clone is left as it is. `rewritten` and `made-again`: nothing in it is anybody's own work. */
export type KeepReason =
  'busy' | 'detached' | 'other-branch' | 'own-commits' | 'rewritten' | 'made-again' | 'changed';

/** Decides what becomes of a clone. Nothing that is only in the clone is ever lost by what this says. */
export function decideMove(facts: Facts): Move {
  const { busy, branch, wanted, isNamed, exists, isFormerDefault, ahead, own, behind, changed } = facts;
  if (wanted === null || !exists) return { act: 'missing' };
  if (busy !== null) return keep('busy', busy);
  if (branch === null) return keep('detached', 'no branch is checked out (detached HEAD)');
  const isOther = branch !== wanted;
  if (isOther && (isNamed || !isFormerDefault))
    return keep('other-branch', `branch ${branch} is checked out, the project's is ${wanted}`);
  const renamed = isOther ? `the remote's default branch is ${wanted} now, no longer ${branch}, and ` : '';
  if (own === 0 && ahead > 0) return rewritten(facts, renamed);
  if (!isOther && behind === 0) return { act: 'unchanged' };
  if (ahead > 0) {
    const lacks = behind === 0 ? '' : ` and lacks ${behind} of the remote's`;
    const back = ahead === own ? '' : `, besides ${ahead - own} that the remote took back,`;
    return keep('own-commits', `${renamed}${branch} has ${count(own, 'commit')} of its own${back}${lacks}`);
  }
  if (changed > 0)
    return keep(
      'changed',
      `${renamed}${count(changed, 'file')} differ from the last commit${lacking(behind)}`,
    );
  return { act: isOther ? 'follow' : 'forward' };
}

/** The remote took commits back that the clone has from it. */
function rewritten({ branch, ahead, behind, changed, isRelated }: Facts, renamed: string): Move {
  const files = changed > 0 ? `, and ${count(changed, 'file')} differ from the last commit` : '';
  if (!isRelated)
    return keep(
      'made-again',
      `${renamed}the remote's history begins again: it has no commit in common with ${branch}, which has no commit of its own${files}`,
    );
  return keep(
    'rewritten',
    `${renamed}the remote rewrote its history: ${count(ahead, 'commit')} of ${branch} ${ahead === 1 ? 'is' : 'are'} no longer in it, none made here${files}${lacking(behind)}`,
  );
}

const keep = (reason: KeepReason, why: string): Move => ({ act: 'keep', reason, why });

/** A number of things, in words. */
export const count = (number: number, thing: string): string =>
  `${number} ${thing}${number === 1 ? '' : 's'}`;

/** The end of a sentence that says what a clone that is left as it is does not have. */
export const lacking = (behind: number): string =>
  behind === 0 ? '' : `; it lacks ${count(behind, 'commit')} of the remote`;
