import { readable } from './inventory.ts';

/** The name of the machine that still runs the original's scripts. */
export const ORIGINAL = 'original';

/** What the model knows about one written memory. */
interface Written {
  /** How often it must exist on every machine. */
  required: number;
  /** How often it may exist: a true twin exists twice. */
  allowed: number;
  /** How many of these a finished push has sent: no machine's loss can cost them. */
  sent: number;
  /** The node that it must not leave, if it never travels. */
  readonly staysAt: string | null;
  /** Whether it was deleted, and nobody wrote it since. */
  deleted: boolean;
  /** Whether a fault restored an older state, so that it may exist although it was deleted. */
  mayReturn: boolean;
  /** Memories like it where it was deleted: if another machine deletes one of these, one of the two stays. */
  readonly like: Set<string>;
  /** Nodes that wrote it, or that publish it as their own after a fault. */
  readonly writers: Set<string>;
}

/** Rows that a machine wrote since its last finished push began, with how often each exists. */
export type Pending = Map<string, number>;

/**
 * The conditions on a fleet: it holds every memory ever written, except those that were discarded before anybody saw
 * them.
 */
export class Model {
  readonly #written = new Map<string, Written>();
  /** Sessions that a node may make for rows without one. */
  readonly #stubs = new Set<string>();
  /** Groups of memories where somebody kept one and deleted the others. One of each group must be left. */
  #cleanUps: Set<string>[] = [];
  /** The results of a person's text edits: the new memory, and the former one. */
  readonly #edits = new Map<string, string>();
  /** Memories that disappeared in another way than by a clean-up: then nobody can say which of their group must be left. */
  readonly #gone = new Set<string>();

  /**
   * Records a row that was written on a node's machine and now exists `count` times; what never travels stays at that
   * node.
   */
  wrote(identity: string, count: number, node: string, stays: boolean): void {
    const known = this.#written.get(identity);
    // No engine runs on that machine: what only it wrote before the import of a mirror need not exist.
    const required = node === ORIGINAL ? 0 : count;
    if (known === undefined) {
      this.#written.set(identity, {
        required,
        allowed: count,
        staysAt: stays ? node : null,
        like: new Set(),
        writers: new Set([node]),
        sent: 0,
        deleted: false,
        mayReturn: false,
      });
      return;
    }
    known.writers.add(node);
    known.allowed = Math.max(known.allowed, count);
    // Written again after a deletion, or beside one: the versions decide which came last.
    if (known.deleted) known.mayReturn = true;
    else known.required = Math.max(known.required, required);
  }

  /**
   * Records that a machine imported a mirror, with how often each memory exists: what the original's machine wrote
   * there is safe now.
   */
  tookIn(counts: ReadonlyMap<string, number>): void {
    for (const [identity, count] of counts) {
      const known = this.#written.get(identity);
      if (known === undefined || known.deleted || known.staysAt !== null) continue;
      if (known.writers.has(ORIGINAL)) known.required = Math.max(known.required, count);
    }
  }

  /**
   * Records that a node may publish memories as its own from now on: its ledger does not know, or no longer knows,
   * whose they are.
   */
  tellsOf(node: string, identities: Iterable<string>): void {
    for (const identity of identities) this.#written.get(identity)?.writers.add(node);
  }

  /**
   * Returns whether only one node ever wrote a row. For sessions that proves nothing: one is made for rows of others.
   * A deleted memory may live again when somebody who saw it publishes it.
   */
  isOnlyOf(identity: string, node: string): boolean {
    const known = this.#written.get(identity);
    if (known === undefined || known.deleted || identity.startsWith('["session"')) return false;
    return known.writers.size === 1 && known.writers.has(node);
  }

  /** Records that somebody removed a text from a memory, which thereby became another one. */
  edited(before: string, now: string): void {
    this.#edits.set(now, before);
  }

  /** Records that a push that began with these pending rows has finished. */
  sent(pending: Pending): void {
    for (const [identity, count] of pending) {
      const known = this.#written.get(identity);
      if (known !== undefined) known.sent = Math.max(known.sent, count);
    }
  }

  /**
   * Records that a database was discarded: what only it held is lost for good.
   * @param elsewhere how often each memory is on the remaining machine that has it most often
   */
  threwAway(pending: Pending, elsewhere: ReadonlyMap<string, number>): void {
    for (const identity of pending.keys()) {
      const known = this.#written.get(identity);
      this.#gone.add(identity);
      if (known === undefined) continue;
      known.required = Math.min(known.required, Math.max(known.sent, elsewhere.get(identity) ?? 0));
    }
  }

  /** Records that an older copy of a database replaced a newer one: its memories exist again. */
  broughtBack(counts: ReadonlyMap<string, number>): void {
    for (const [identity, count] of counts) {
      const known = this.#written.get(identity);
      if (known === undefined) continue;
      if (known.deleted) known.mayReturn = true;
      else known.required = Math.max(known.required, count);
    }
    // Restoring the copy from before an edit undoes the edit. The row does not show which of the two happened.
    for (const [now, before] of this.#edits) {
      const known = this.#written.get(now);
      if (known !== undefined && counts.has(before) && !counts.has(now)) known.required = 0;
    }
  }

  /**
   * Records a deletion.
   * @param counts whether every machine must lose it; otherwise it is deleted here, and may return from others
   * @param isCleanUp whether a like memory was kept
   */
  deleted(identity: string, counts: boolean, isCleanUp = false): void {
    if (!isCleanUp) this.#gone.add(identity);
    const known = this.#written.get(identity);
    if (known === undefined) return;
    known.required = 0;
    known.deleted = true;
    if (!counts || known.allowed > 1) known.mayReturn = true;
  }

  /** Records that a person deleted some true twins of a memory with their session; `left` of them stay on that machine. */
  deletedTwin(identity: string, left: number): void {
    const known = this.#written.get(identity);
    if (known !== undefined) known.required = Math.min(known.required, left);
  }

  /** Records that somebody is about to delete a memory while others like it stay. */
  mayHaveKept(identity: string, like: readonly string[]): void {
    for (const other of like) this.#written.get(identity)?.like.add(other);
  }

  /** Returns whether a deleted memory may be the one that stays, because a memory like it was deleted too. */
  #mayStay({ like }: Written): boolean {
    return [...like].some((other) => this.#written.get(other)?.deleted === true);
  }

  /** Records that everything deleted so far may exist again: a ledger that knew of the deletions is lost. */
  forgotDeletions(): void {
    for (const known of this.#written.values()) if (known.deleted) known.mayReturn = true;
  }

  /**
   * Records that somebody kept one of these memories and deleted the others. Groups that share a memory become one:
   * what was kept of one group may have been deleted with the other.
   */
  cleanedUp(identities: readonly string[]): void {
    const shared = this.#cleanUps.filter((group) => identities.some((identity) => group.has(identity)));
    const others = this.#cleanUps.filter((group) => !shared.includes(group));
    this.#cleanUps = [...others, new Set([...identities, ...shared.flatMap((group) => [...group])])];
  }

  stub(identity: string): void {
    this.#stubs.add(identity);
  }

  isStub(identity: string): boolean {
    return this.#stubs.has(identity);
  }

  wasDeleted(identity: string): boolean {
    return this.#written.get(identity)?.deleted === true;
  }

  /** Returns whether a memory was deleted for good, so that no machine that knows may show it. */
  isGone(identity: string): boolean {
    const known = this.#written.get(identity);
    return known !== undefined && known.deleted && !known.mayReturn && !this.#mayStay(known);
  }

  isExcluded(identity: string): boolean {
    return (this.#written.get(identity)?.staysAt ?? null) !== null;
  }

  /**
   * Compares what a machine holds with what it must hold.
   * @returns one line for each difference
   */
  judge(
    { name: machine, node }: { readonly name: string; readonly node: string },
    counts: ReadonlyMap<string, number>,
  ): Record<'lost' | 'duplicated' | 'invented', string[]> {
    const verdict = { lost: [] as string[], duplicated: [] as string[], invented: [] as string[] };
    for (const [identity, known] of this.#written) {
      const count = counts.get(identity) ?? 0;
      const line = `${machine}: ${readable(identity)} is there ${count} times`;
      if (known.staysAt !== null) {
        if (count > 0 && node !== known.staysAt) verdict.invented.push(`${line} although it must not travel`);
        continue;
      }
      if (count < known.required) verdict.lost.push(`${line}, not ${known.required}`);
      if (known.deleted && !known.mayReturn && !this.#mayStay(known)) {
        if (count > 0) verdict.invented.push(`${line} although it was deleted`);
      } else if (count > known.allowed) verdict.duplicated.push(`${line}, not ${known.allowed}`);
    }
    for (const group of this.#cleanUps) {
      const isLeft = (identity: string): boolean => (counts.get(identity) ?? 0) > 0;
      if ([...group].some((identity) => isLeft(identity) || this.#gone.has(identity))) continue;
      verdict.lost.push(
        `${machine}: none is left of ${[...group].map(readable).join(' and ')}, which were cleaned up`,
      );
    }
    for (const identity of counts.keys()) {
      if (this.#written.has(identity) || this.#stubs.has(identity)) continue;
      verdict.invented.push(`${machine}: nobody wrote ${readable(identity)}`);
    }
    return verdict;
  }
}
