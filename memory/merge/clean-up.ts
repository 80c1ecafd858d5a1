/**
 * A deletion that was part of a clean-up names the like memory that was kept. The same clean-up on two machines may keep one
 * copy here and another there: were both deletions carried out, none would be left.
 *
 * The rule follows the kept memories from one to the next. It ends at one that lives: the deletion holds, if that one is like the
 * deleted one. Likeness does not carry over: the first may share a session with the second, and the second a text with the third.
 * Where they are not alike, nothing like the first is left, and it survives. The rule ends at one that was deleted without keeping
 * any: a person wanted all of them gone, and the deletion holds. It comes back to where it was: each machine kept what another
 * deleted, and the lowest key of that circle survives. All machines judge by the same deletions and the same texts. Where one of
 * them judges otherwise, a memory that survives on one machine comes back on all.
 */

/** What a machine knows of a memory. */
export interface Fate {
  /** `here`: it lives and its row is here. `absent`: nobody told of it yet, or its row has not come. */
  readonly state: 'here' | 'dead' | 'absent';
  /** Of a dead one: the memory that was kept when it was deleted, null for none. */
  readonly kept: Buffer | null;
}

/**
 * `holds`: the memory goes. `survives`: it stays, as the one of a circle or since nothing like it is left. `waits`: what is to stay of
 * it is not here.
 */
export type Judgment = 'holds' | 'survives' | 'waits-for-kept' | 'waits-for-survivor';

/**
 * Judges the deletion of a memory that is here.
 * @param key the memory; @param kept the one that was kept when it was deleted
 * @param fateOf what is known of a memory
 * @param isLike whether a memory that is here is like the deleted one
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
    // What the deleting machine itself named is like it.
    if (fate.state === 'here') return path.length === 1 || isLike(next) ? 'holds' : 'survives';
    if (fate.state === 'absent') return 'waits-for-kept';
    if (fate.kept === null) return 'holds';
    path.push(next);
    next = fate.kept;
  }
}
