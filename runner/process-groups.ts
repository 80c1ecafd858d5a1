import { setTimeout as sleep } from 'node:timers/promises';
import { CHECK_MS, TERM_MS, endGroup, isGroupAlive, startTimeOf } from '../git/processes.ts';
import { inspectTree, terminateEnclosed } from './process-tree.ts';

/** Receives process groups as they start and end. */
export interface GroupListener {
  /**
   * Called with a process group's number: the program's own at once, those of its descendants when they are
   * seen.
   */
  started?(group: number): void;
  /** Called when a group is gone, or no longer belongs to the program. */
  ended?(group: number): void;
}

/** A sandbox, identified by the first process in it: when that ends, the kernel ends everything inside. */
export interface EnclosedGroup {
  /** That process's number on the machine; null while unknown. */
  readonly first: number | null;
}

/**
 * How long the kernel may take to end the processes in a sandbox after bubblewrap has ended, in milliseconds.
 */
const TEARDOWN_MS = 1_000;

/** Tracks the process groups of one run, and reports them to a listener. */
export class Groups {
  readonly #own: number;
  readonly #listener: GroupListener;
  readonly #sandbox: EnclosedGroup | null;
  readonly #reported = new Set<number>();
  #isOver = false;

  /** @param sandbox the sandbox, if `own` is its group */
  constructor(own: number, listener: GroupListener, sandbox: EnclosedGroup | null) {
    this.#own = own;
    this.#listener = listener;
    this.#sandbox = sandbox;
    this.#report(new Set([own]));
  }

  /**
   * Looks at the current processes.
   * @returns resident memory in bytes
   */
  async look(how: 'shared' | 'fresh'): Promise<number> {
    const { groups, rssBytes } = await inspectTree(this.#own, how);
    this.#report(groups);
    return rssBytes;
  }

  /** Ends every group of the program and of its descendants. */
  async endAll(): Promise<void> {
    // The descendants can no longer be found once the program ends.
    await this.look('fresh').catch(() => 0);
    // A signal to its group would end the sandbox first, and the programs inside could not clean up.
    if (this.#sandbox !== null) await this.#askEnclosed();
    await Promise.all([...this.#reported].map((group) => endGroup(group)));
  }

  /**
   * Ends what is left in the program's own group, and reports all other groups as ended.
   * @returns whether anything was left
   */
  async endOwn(): Promise<boolean> {
    const left = !(await this.#waitForSandbox()) && isGroupAlive(this.#own);
    if (left) await endGroup(this.#own);
    this.#isOver = true;
    for (const group of this.#reported) this.#listener.ended?.(group);
    this.#reported.clear();
    return left;
  }

  /**
   * Waits for the kernel to end the processes in a sandbox.
   * @returns whether it has
   */
  async #waitForSandbox(): Promise<boolean> {
    const first = this.#sandbox?.first ?? null;
    if (first === null) return false;
    const deadline = Date.now() + TEARDOWN_MS;
    while (startTimeOf(first) !== null) {
      if (Date.now() > deadline) return false;
      await sleep(1);
    }
    return true;
  }

  /** Sends SIGTERM to the programs in the sandbox, and waits for them. */
  async #askEnclosed(): Promise<void> {
    const asked = await terminateEnclosed(this.#own).catch(() => 0);
    const deadline = Date.now() + (asked === 0 ? 0 : TERM_MS);
    while (Date.now() < deadline && isGroupAlive(this.#own)) await sleep(CHECK_MS);
  }

  #report(groups: ReadonlySet<number>): void {
    // A look may finish after everything has ended.
    if (this.#isOver) return;
    for (const group of groups) {
      if (this.#reported.has(group)) continue;
      this.#reported.add(group);
      this.#listener.started?.(group);
    }
    for (const group of this.#reported) {
      if (groups.has(group) || group === this.#own) continue;
      this.#reported.delete(group);
      this.#listener.ended?.(group);
    }
  }
}
