import { setTimeout as sleep } from 'node:timers/promises';
import { LOOK_MS, TERM_MS, endGroup, groupLives, startOf } from '../git/processes.ts';
import { inspectTree, terminateEnclosed } from './process-tree.ts';

/** Who is told of process groups as they come and go. */
export interface GroupListener {
  /** Hears a process group's number: the program's own at once, those of what it starts when they are seen. */
  started?(group: number): void;
  /** Hears that such a group is gone, or is none of the program's any more. */
  ended?(group: number): void;
}

/** A sandbox, by the first process in it: with its end the kernel has ended everything in there. */
export interface EnclosedGroup {
  /** The number that process has on the machine; null while it is not known. */
  readonly first: number | null;
}

/** How long the kernel may take to end what is in a sandbox when bubblewrap has ended, in milliseconds. */
const TEARDOWN_MS = 1_000;

/** Process groups of one run, and who is told of them. */
export class Groups {
  readonly #own: number;
  readonly #listener: GroupListener;
  readonly #sandbox: EnclosedGroup | null;
  readonly #told = new Set<number>();
  #over = false;

  /** @param sandbox what is known of the sandbox, if `own` is the group of one */
  constructor(own: number, listener: GroupListener, sandbox: EnclosedGroup | null) {
    this.#own = own;
    this.#listener = listener;
    this.#sandbox = sandbox;
    this.#tell(new Set([own]));
  }

  /** Looks what there is now. @returns resident memory in bytes */
  async look(how: 'shared' | 'fresh'): Promise<number> {
    const { groups, rssBytes } = await inspectTree(this.#own, how);
    this.#tell(groups);
    return rssBytes;
  }

  /** Ends every group of the program and of its descendants. */
  async endAll(): Promise<void> {
    // Descent is lost when the program ends first.
    await this.look('fresh').catch(() => 0);
    // What a signal to its group would end first is the sandbox: the programs in there could tidy nothing up.
    if (this.#sandbox !== null) await this.#askEnclosed();
    await Promise.all([...this.#told].map((group) => endGroup(group)));
  }

  /** Ends what is left in the program's own group; tells that there are no others any more. @returns whether anything was left */
  async endOwn(): Promise<boolean> {
    const left = !(await this.#sandboxIsGone()) && groupLives(this.#own);
    if (left) await endGroup(this.#own);
    this.#over = true;
    for (const group of this.#told) this.#listener.ended?.(group);
    this.#told.clear();
    return left;
  }

  /** Waits for the kernel, which ends what is in a sandbox without its being asked. @returns whether it has */
  async #sandboxIsGone(): Promise<boolean> {
    const first = this.#sandbox?.first ?? null;
    if (first === null) return false;
    const deadline = Date.now() + TEARDOWN_MS;
    while (startOf(first) !== null) {
      if (Date.now() > deadline) return false;
      await sleep(1);
    }
    return true;
  }

  /** Asks the programs in the sandbox to end, and gives them their time. */
  async #askEnclosed(): Promise<void> {
    const asked = await terminateEnclosed(this.#own).catch(() => 0);
    const deadline = Date.now() + (asked === 0 ? 0 : TERM_MS);
    while (Date.now() < deadline && groupLives(this.#own)) await sleep(LOOK_MS);
  }

  #tell(groups: ReadonlySet<number>): void {
    // A look may come to its end when everything has.
    if (this.#over) return;
    for (const group of groups) {
      if (this.#told.has(group)) continue;
      this.#told.add(group);
      this.#listener.started?.(group);
    }
    for (const group of this.#told) {
      if (groups.has(group) || group === this.#own) continue;
      this.#told.delete(group);
      this.#listener.ended?.(group);
    }
  }
}
