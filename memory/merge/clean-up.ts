/**
 * A deletion that was part of a clean-up names the like memory that was kept. The same clean-up on two machines may keep one
 * copy here and another there: were both deletions carried out, none would be left.
 *
 * The rule follows the kept memories from one to the next. It ends at one that lives: the deletion holds. It ends at one that
 * was deleted without keeping any: a person wanted all of them gone, and the deletion holds. It comes back to where it was:
 * each machine kept what another deleted, and the lowest key of that circle survives. The outcome depends only on what was
 * deleted and kept, so every machine comes to the same one.
 */

/** What a machine knows of a memory. */
export interface Fate {
  /** `here`: it lives and its row is here. `absent`: nobody told of it yet, or its row has not come. */
  readonly state: 'here' | 'dead' | 'absent';
  /** Of a dead one: the memory that was kept when it was deleted, null for none. */
  readonly kept: Buffer | null;
}

/**
 * `holds`: the memory goes. `survives`: it is the one that stays of a circle. `waits`: what is to stay of it is not here.
 */
export type Judgment = 'holds' | 'survives' | 'waits-for-kept' | 'waits-for-survivor';

/**
 * Judges the deletion of a memory that is here.
 * @param key the memory; @param kept the one that was kept when it was deleted
 */
export function judgeDeletion(key: Buffer, kept: Buffer, fateOf: (key: Buffer) => Fate): Judgment {
  const path = [key];
  for (let next = kept; ;) {
    const from = path.findIndex((each) => each.equals(next));
    if (from >= 0) {
      const [lowest] = path.slice(from).sort((a, b) => a.compare(b));
      return lowest?.equals(key) === true ? 'survives' : 'waits-for-survivor';
    }
    const fate = fateOf(next);
    if (fate.state === 'here') return 'holds';
    if (fate.state === 'absent') return 'waits-for-kept';
    if (fate.kept === null) return 'holds';
    path.push(next);
    next = fate.kept;
  }
}
