import { readable } from './inventory.ts';

/** The name of the machine that still runs the original's scripts. */
export const ORIGINAL = 'original';

/** What the model knows of one memory that somebody wrote. */
interface Written {
  /** How often it must be there on every machine. */
  required: number;
  /** How often it may be there: a true twin is there twice. */
  allowed: number;
  /** Of that, how many a finished push has sent: no machine's loss can cost them. */
  sent: number;
  /** The node that it must not leave, for what never travels. */
  readonly staysAt: string | null;
  /** Somebody deleted it, and nobody wrote it since. */
  deleted: boolean;
  /** A fault gave an older state back, so that it may be there although it was deleted. */
  mayReturn: boolean;
  /** What was like it where it was deleted: were one of these deleted elsewhere, one of the two stays. */
  readonly like: Set<string>;
  /** Nodes that wrote it, or that a fault had tell of it as if they had. */
  readonly writers: Set<string>;
}

/** Rows that a machine wrote since its last finished push began, with how often each is there. */
export type Pending = Map<string, number>;

/** What must be true of a fleet: every memory ever written, but for those that were thrown away before anybody saw them. */
export class Model {
  readonly #written = new Map<string, Written>();
  /** Sessions that a node may make up for rows that had none. */
  readonly #stubs = new Set<string>();
  /** Memories of which somebody kept one and deleted the others: one of each group must be left. */
  #cleanUps: Set<string>[] = [];
  /** What a person made of a memory by editing its text: the new one, and what it was. */
  readonly #edits = new Map<string, string>();
  /** Memories that went in another way than by a clean-up: of their group, nobody can say what must be left. */
  readonly #gone = new Set<string>();

  /** A row was written on a node's machine and is now there `count` times; what never travels stays at that node. */
  wrote(identity: string, count: number, node: string, stays: boolean): void {
    const known = this.#written.get(identity);
    // No engine looks after that machine: nobody need have what only it wrote before a mirror was taken in.
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
    // Written again after a deletion, or beside one: which came last is for the versions to say.
    if (known.deleted) known.mayReturn = true;
    else known.required = Math.max(known.required, required);
  }

  /** A machine took a mirror in, with how often each memory is there: what the original's machine wrote of it is safe now. */
  tookIn(counts: ReadonlyMap<string, number>): void {
    for (const [identity, count] of counts) {
      const known = this.#written.get(identity);
      if (known === undefined || known.deleted || known.staysAt !== null) continue;
      if (known.writers.has(ORIGINAL)) known.required = Math.max(known.required, count);
    }
  }

  /** A node may tell of memories as its own from now on: its ledger does not know, or no longer knows, whose they are. */
  tellsOf(node: string, identities: Iterable<string>): void {
    for (const identity of identities) this.#written.get(identity)?.writers.add(node);
  }

  /**
   * Whether nobody but a node ever wrote a row. Of sessions that says nothing: one is made up for rows of others. A memory that was
   * deleted may live again by the word of whoever saw it live.
   */
  isOnlyOf(identity: string, node: string): boolean {
    const known = this.#written.get(identity);
    if (known === undefined || known.deleted || identity.startsWith('["session"')) return false;
    return known.writers.size === 1 && known.writers.has(node);
  }

  /** Somebody took a text out of a memory, which thereby became another one. */
  edited(before: string, now: string): void {
    this.#edits.set(now, before);
  }

  /** A push that began with these rows pending has finished. */
  sent(pending: Pending): void {
    for (const [identity, count] of pending) {
      const known = this.#written.get(identity);
      if (known !== undefined) known.sent = Math.max(known.sent, count);
    }
  }

  /**
   * A database was thrown away: what it alone held is gone for good.
   * @param elsewhere how often each memory is on the machine that has it most often, of those that are left
   */
  threwAway(pending: Pending, elsewhere: ReadonlyMap<string, number>): void {
    for (const identity of pending.keys()) {
      const known = this.#written.get(identity);
      this.#gone.add(identity);
      if (known === undefined) continue;
      known.required = Math.min(known.required, Math.max(known.sent, elsewhere.get(identity) ?? 0));
    }
  }

  /** An older copy of a database took the place of a newer one: what it holds is there again. */
  broughtBack(counts: ReadonlyMap<string, number>): void {
    for (const [identity, count] of counts) {
      const known = this.#written.get(identity);
      if (known === undefined) continue;
      if (known.deleted) known.mayReturn = true;
      else known.required = Math.max(known.required, count);
    }
    // Who puts the copy from before an edit in place undoes the edit: by that row, the two cannot be told apart.
    for (const [now, before] of this.#edits) {
      const known = this.#written.get(now);
      if (known !== undefined && counts.has(before) && !counts.has(now)) known.required = 0;
    }
  }

  /**
   * @param counts whether every machine must lose it; else it is gone here, and may come back from others
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

  /** A person deleted some of a memory's true twins with their session; `left` of them stay on that machine. */
  deletedTwin(identity: string, left: number): void {
    const known = this.#written.get(identity);
    if (known !== undefined) known.required = Math.min(known.required, left);
  }

  /** Somebody is about to delete a memory where others that are like it stay. */
  mayHaveKept(identity: string, like: readonly string[]): void {
    for (const other of like) this.#written.get(identity)?.like.add(other);
  }

  /** Whether a memory that was deleted may be the one that stays: what was like it was deleted, too. */
  #mayStay({ like }: Written): boolean {
    return [...like].some((other) => this.#written.get(other)?.deleted === true);
  }

  /** Whatever was deleted so far may be there again: a ledger that knew of the deletions is gone. */
  forgotDeletions(): void {
    for (const known of this.#written.values()) if (known.deleted) known.mayReturn = true;
  }

  /**
   * Somebody kept one of these memories and deleted the others. Groups that share a memory become one: what was kept of the one
   * may have been deleted with the other.
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

  /** Whether a memory was deleted for good: nobody may show it who knows. */
  isGone(identity: string): boolean {
    const known = this.#written.get(identity);
    return known !== undefined && known.deleted && !known.mayReturn && !this.#mayStay(known);
  }

  isExcluded(identity: string): boolean {
    return (this.#written.get(identity)?.staysAt ?? null) !== null;
  }

  /**
   * Compares what a machine holds with what it must hold.
   * @returns one line a difference
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
