import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import type { SpaceConfig } from '../contract/memory.ts';
import type { SyncAction } from '../contract/primitives.ts';
import type { SyncRoundResult } from '../contract/workflows.ts';
import { connectEngine, type Engine, type EngineAddress } from '../engine/connect.ts';
import { newJobId, requestSync, syncAndWait } from '../engine/memory-workflows.ts';

/** Pause before a notice that could not be passed on is given again, in milliseconds. */
const RETRY_MS = 2_000;

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

  constructor(address: EngineAddress, node: string, log: Logger) {
    this.#address = address;
    this.#node = node;
    this.#log = log;
  }

  /**
   * Asks for a sync because claude-mem wrote something.
   * @returns false when the engine could not be reached; the caller then looks again
   */
  async noticed(space: SpaceConfig): Promise<boolean> {
    try {
      const { client } = await this.#connect();
      await requestSync(
        client,
        { space, node: this.#node },
        { jobId: newJobId(), action: 'sync', trigger: 'noticed' },
      );
      return true;
    } catch (error) {
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
