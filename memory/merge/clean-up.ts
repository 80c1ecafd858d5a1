/**
 * A deletion that is part of a clean-up names the similar memory that was kept. The same clean-up on two
 * machines may keep different copies; if both deletions were applied, no copy would remain.
 *
 * The rule follows the chain of kept memories:
 * - If it ends at a live memory that is like the deleted one, the deletion holds. Likeness is not transitive:
 *   the first may share a session with the second, and the second a text with the third. If they are not
 *   alike, nothing like the first remains, so it survives.
 * - If it ends at a memory that was deleted without keeping one, the deletion holds: a person wanted all of
 *   them gone.
 * - If it closes a cycle, each machine kept what another deleted, and the lowest key of the cycle survives.
 *
 * All machines judge by the same deletions and the same texts. If one of them judges differently, a memory
 * that survives on one machine comes back on all.
 */

/** A machine's knowledge of a memory. */
export interface Fate {
  /** `here`: it is live and its row exists. `absent`: unknown, or its row has not arrived. */
  readonly state: 'here' | 'dead' | 'absent';
  /** For a deleted memory: the one that was kept, null for none. */
  readonly kept: Buffer | null;
}

/**
 * `holds`: the memory is deleted. `survives`: it stays, as the lowest key of a cycle or because nothing like
 * it is left. `waits-…`: the memory that should stay is not here.
 */
export type Judgment = 'holds' | 'survives' | 'waits-for-kept' | 'waits-for-survivor';

/**
 * Judges the deletion of an existing memory.
 * @param key the memory;
 * @param kept the one that was kept when it was deleted
 * @param fateOf returns what is known of a memory
 * @param isLike returns whether an existing memory is like the deleted one
 */
export function judgeDeletion(
  key: Buffer,
  kept: Buffer,
  fateOf: (key: Buffer) => Fate,
  isLike: (key: Buffer) => boolean,
): Judgment {
  const path = [key];
  for (let next = kept; ;) {
    const from = path.findIndex((each) => each.equals(next));
    if (from >= 0) {
      const [lowest] = path.slice(from).sort((a, b) => a.compare(b));
      return lowest?.equals(key) === true ? 'survives' : 'waits-for-survivor';
    }
    const fate = fateOf(next);
    // The deleting machine itself named the first one as alike, so only later ones are compared.
    if (fate.state === 'here') return path.length === 1 || isLike(next) ? 'holds' : 'survives';
    if (fate.state === 'absent') return 'waits-for-kept';
    if (fate.kept === null) return 'holds';
    path.push(next);
    next = fate.kept;
  }
}
