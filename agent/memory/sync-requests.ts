import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { SyncAction } from '../../contract/http/primitives.ts';
import type { SyncRoundResult } from '../../contract/workflows.ts';
import { connectEngine, type Engine, type EngineAddress } from '../../engine/connect.ts';
import { newJobId, requestSync, syncAndWait, signalNoticed } from '../../engine/memory-workflows.ts';

/** Pause before a notice that could not be passed on is given again, in milliseconds. */
const RETRY_MS = 2_000;

/** Pause before the first reminder to a space's workflow, and the longest pause between two, in milliseconds. */
const FIRST_REMINDER_MS = 60_000;
const LAST_REMINDER_MS = 3_600_000;

/** How a sync that somebody waits for ended. */
export interface FinishedSync {
  readonly jobId: string;
  readonly result: SyncRoundResult;
}

/** Starts and joins sync workflows for this node, straight at the engine: no control plane needs to be up. */
export class SyncRequests {
  readonly #address: EngineAddress;
  readonly #node: string;
  readonly #log: Logger;
  #engine: Promise<Engine> | null = null;
  #hasWaves = false;
  /** By canonical id, each space whose workflow knows of something to push, and the timer of its next reminder. */
  readonly #told = new Map<string, NodeJS.Timeout>();

  constructor(address: EngineAddress, node: string, log: Logger) {
    this.#address = address;
    this.#node = node;
    this.#log = log;
  }

  /** Sets whether a space's workflow takes what this node notices. */
  setWaves(hasWaves: boolean): void {
    this.#hasWaves = hasWaves;
  }

  /** Notes that a push of a space begins. The next notice goes to the space's workflow again. */
  pushes(cid: string): void {
    clearTimeout(this.#told.get(cid));
    this.#told.delete(cid);
  }

  /**
   * Tells the space's workflow that claude-mem wrote something here, once until a push begins. Without a push it repeats this after a
   * minute, then after two, and so on: while a space stands still, thousands of messages would wait for its workflow.
   * @returns false when the engine could not be reached; the caller then looks again
   */
  async noticed(space: SpaceConfig): Promise<boolean> {
    if (this.#told.has(space.cid)) return true;
    return await this.#tell(space, FIRST_REMINDER_MS);
  }

  async #tell(space: SpaceConfig, reminderMs: number): Promise<boolean> {
    try {
      const { client } = await this.#connect();
      const reminder = setTimeout(() => {
        void this.#tell(space, Math.min(2 * reminderMs, LAST_REMINDER_MS));
      }, reminderMs).unref();
      // Noted before the call: a push may begin before Temporal answers.
      clearTimeout(this.#told.get(space.cid));
      this.#told.set(space.cid, reminder);
      if (this.#hasWaves) await signalNoticed(client, space, this.#node);
      else {
        const request = { jobId: newJobId(), action: 'sync', trigger: 'noticed' } as const;
        await requestSync(client, { space, node: this.#node }, request);
      }
      return true;
    } catch (error) {
      this.pushes(space.cid);
      this.#log.warn({ cid: space.cid, reason: errorMessage(error) }, 'a change could not be passed on yet');
      await this.#drop();
      await sleep(RETRY_MS);
      return false;
    }
  }

  /**
   * Asks for a sync and waits for its end.
   * @throws MembridgeError engine_unavailable, or sync_timeout after `timeoutMs` (the sync itself goes on)
   */
  async run(space: SpaceConfig, action: SyncAction, timeoutMs: number): Promise<FinishedSync> {
    const jobId = newJobId();
    const { client } = await this.#connect();
    const deadline = new AbortController();
    const late = sleep(timeoutMs, null, { signal: deadline.signal }).catch(() => null);
    try {
      const result = await Promise.race([
        syncAndWait(client, { space, node: this.#node }, { jobId, action, trigger: 'cli' }),
        late,
      ]);
      if (result === null) {
        throw new MembridgeError(
          'sync_timeout',
          `The sync has not finished within ${timeoutMs / 1_000} s. It goes on: see job ${jobId} on the page.`,
        );
      }
      return { jobId, result };
    } catch (error) {
      if (error instanceof MembridgeError) throw error;
      await this.#drop();
      throw new MembridgeError(
        'engine_unavailable',
        `Temporal at ${this.#address.address} did not take the request: ${errorMessage(error)}`,
        { cause: error },
      );
    } finally {
      deadline.abort();
    }
  }

  /** Whether the engine answers. @throws MembridgeError engine_unavailable */
  async check(): Promise<void> {
    await this.#connect();
  }

  async close(): Promise<void> {
    for (const cid of this.#told.keys()) this.pushes(cid);
    await this.#drop();
  }

  async #connect(): Promise<Engine> {
    this.#engine ??= connectEngine(this.#address);
    try {
      return await this.#engine;
    } catch (error) {
      this.#engine = null;
      throw error;
    }
  }

  async #drop(): Promise<void> {
    const engine = this.#engine;
    this.#engine = null;
    if (engine === null) return;
    await engine.then((open) => open.close()).catch(() => undefined);
  }
}
