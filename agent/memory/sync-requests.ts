import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { SyncAction } from '../../contract/http/primitives.ts';
import type { SyncRoundResult } from '../../contract/workflows.ts';
import { newJobId } from '../../engine/memory-workflows.ts';
import type { EngineRequests } from '../engine-requests.ts';

/** Pause before a notice that could not be passed on is repeated, in milliseconds. */
const RETRY_MS = 2_000;

/** Pause before the first reminder to a space's workflow, and the longest pause between two, in milliseconds. */
const FIRST_REMINDER_MS = 60_000;
const LAST_REMINDER_MS = 3_600_000;

/** How a sync that somebody waited for ended. */
export interface FinishedSync {
  readonly jobId: string;
  readonly result: SyncRoundResult;
}

/** Starts and joins sync workflows for this node. */
export class SyncRequests {
  readonly #engine: EngineRequests;
  readonly #log: Logger;
  #hasWaves = false;
  /** By canonical id, each space whose workflow knows that there is something to push, and the timer of its next reminder. */
  readonly #reminders = new Map<string, NodeJS.Timeout>();

  constructor(engine: EngineRequests, log: Logger) {
    this.#engine = engine;
    this.#log = log;
  }

  /** Sets whether a space's workflow accepts notices of new memories. */
  setWaves(hasWaves: boolean): void {
    this.#hasWaves = hasWaves;
  }

  /** Notes that a push of a space begins. The next notice is then sent to the space's workflow again. */
  notePush(cid: string): void {
    clearTimeout(this.#reminders.get(cid));
    this.#reminders.delete(cid);
  }

  /**
   * Signals the space's workflow that claude-mem wrote something here, once until a push begins. Without a push it
   * repeats the signal after a minute, then after two, and so on. Otherwise thousands of signals would pile up while
   * a space stands still.
   * @returns false when Temporal could not be reached; the caller then looks again
   */
  async requestForNotice(space: SpaceConfig): Promise<boolean> {
    if (this.#reminders.has(space.cid)) return true;
    return await this.#signalSpace(space, FIRST_REMINDER_MS);
  }

  async #signalSpace(space: SpaceConfig, reminderMs: number): Promise<boolean> {
    try {
      const reminder = setTimeout(() => {
        void this.#signalSpace(space, Math.min(2 * reminderMs, LAST_REMINDER_MS));
      }, reminderMs).unref();
      // Set before the call: a push may begin before Temporal answers.
      clearTimeout(this.#reminders.get(space.cid));
      this.#reminders.set(space.cid, reminder);
      await this.#engine.noticed(space, this.#hasWaves);
      return true;
    } catch (error) {
      this.notePush(space.cid);
      this.#log.warn({ cid: space.cid, reason: errorMessage(error) }, 'a change could not be passed on yet');
      await sleep(RETRY_MS);
      return false;
    }
  }

  /**
   * Requests a sync and waits for its end.
   * @throws MembridgeError engine_unavailable; sync_timeout after `timeoutMs` (the sync itself continues)
   */
  async run(space: SpaceConfig, action: SyncAction, timeoutMs: number): Promise<FinishedSync> {
    const jobId = newJobId();
    let result: SyncRoundResult | null;
    try {
      result = await this.#engine.sync(space, { jobId, action }, timeoutMs);
    } catch (error) {
      throw new MembridgeError('engine_unavailable', errorMessage(error), { cause: error });
    }
    if (result !== null) return { jobId, result };
    throw new MembridgeError(
      'sync_timeout',
      `The sync has not finished within ${timeoutMs / 1_000} s. It continues: see job ${jobId} on the page.`,
    );
  }

  /** @throws when requests do not arrive now */
  async check(): Promise<void> {
    await this.#engine.check();
  }

  /** Ends the reminders. */
  close(): void {
    for (const cid of this.#reminders.keys()) this.notePush(cid);
  }
}
