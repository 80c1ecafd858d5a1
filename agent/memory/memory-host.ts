import type { Membership } from '../../contract/memory/membership.ts';
import { Worker } from 'node:worker_threads';
import type { MemoryPort } from '../../activities/node/memory.ts';
import type { PrimaryPort } from '../../activities/node/primary.ts';
import { MembridgeError } from '../../contract/errors.ts';
import type { MirrorOutcome, PublishMirror } from '../../contract/memory/mirror.ts';
import type { MemoryStatus, PullResult, PushResult, SpaceConfig } from '../../contract/memory/memory.ts';
import type { SyncCall } from '../../memory/engine.ts';
import type { PrimaryWork, Reply, Request, ThreadOptions } from './memory-messages.ts';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly progress: (text: string) => void;
}

/** How long an orderly end may take before the thread is terminated, in milliseconds. */
const CLOSE_MS = 5_000;

/**
 * Heap limits of the thread: the whole agent must stay within 250 MB. Without a limit V8 lets the garbage of a large
 * merge pile up instead of collecting it.
 */
export const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 16 };

/** The memory engine in its thread, as the rest of the agent sees it. */
export class MemoryHost implements MemoryPort, PrimaryPort {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #dead: Error | null = null;

  /**
   * @param hears.noticed called when claude-mem wrote something that these spaces lack
   * @param hears.log called with a line for the agent's log
   * @param hears.died called when the thread ended although nobody closed it
   */
  constructor(
    options: ThreadOptions,
    hears: { noticed(cids: string[]): void; log(message: string): void; died(error: Error): void },
  ) {
    this.#worker = new Worker(new URL('memory-thread.ts', import.meta.url), {
      workerData: options,
      resourceLimits: RESOURCE_LIMITS,
    });
    this.#worker.on('message', (reply: Reply) => {
      switch (reply.type) {
        case 'done':
          this.#take(reply.id)?.resolve(reply.result);
          break;
        case 'failed':
          this.#take(reply.id)?.reject(
            reply.code === null ? new Error(reply.message) : new MembridgeError(reply.code, reply.message),
          );
          break;
        case 'progress':
          this.#waiting.get(reply.id)?.progress(reply.text);
          break;
        case 'noticed':
          hears.noticed(reply.cids);
          break;
        case 'log':
          hears.log(reply.message);
          break;
      }
    });
    const end = (error: Error): void => {
      const first = this.#dead === null;
      this.#dead = error;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      if (first) hears.died(error);
    };
    this.#worker.on('error', end);
    this.#worker.on('exit', (code) => {
      if (this.#dead === null) end(new Error(`the memory thread ended with code ${code}`));
    });
  }

  async push(space: SpaceConfig, call: SyncCall): Promise<PushResult> {
    return (await this.#ask((id) => ({ type: 'push', id, space }), call)) as PushResult;
  }

  async pull(space: SpaceConfig, full: boolean, call: SyncCall): Promise<PullResult> {
    return (await this.#ask((id) => ({ type: 'pull', id, space, full }), call)) as PullResult;
  }

  /** Does the primary's work for a space. @returns the result, for people */
  async primary(what: PrimaryWork, space: SpaceConfig, epoch: number, call: SyncCall): Promise<string> {
    return (await this.#ask((id) => ({ type: 'primary', id, what, space, epoch }), call)) as string;
  }

  /** Publishes a space's mirror as primary, within the loss that a person agreed to. */
  async mirror(
    space: SpaceConfig,
    epoch: number,
    agreed: PublishMirror,
    call: SyncCall,
  ): Promise<MirrorOutcome> {
    return (await this.#ask((id) => ({ type: 'mirror', id, space, epoch, agreed }), call)) as MirrorOutcome;
  }

  /** Returns the state of the database; waits its turn behind a running sync. */
  async status(): Promise<MemoryStatus> {
    return (await this.#ask((id) => ({ type: 'status', id }))) as MemoryStatus;
  }

  /**
   * Makes a call of agent/calls.
   * @param input as the call's own schema parsed it
   * @returns what its `output` describes
   */
  async call(name: string, input: unknown, call: SyncCall): Promise<unknown> {
    return await this.#ask((id) => ({ type: 'call', id, name, input }), call);
  }

  /** Replaces the sealing keys, in PEM with the present one first, as soon as the running calls have ended. */
  async useKeys(sealingKeys: readonly string[]): Promise<void> {
    await this.#ask((id) => ({ type: 'keys', id, sealingKeys }));
  }

  /** Passes the control plane's membership to the engine. @throws Error when the control plane did not sign it */
  async setMembership(membership: Membership): Promise<void> {
    await this.#ask((id) => ({ type: 'membership', id, membership }));
  }

  /** Sets the spaces that claude-mem's database is watched for. */
  watch(spaces: SpaceConfig[]): void {
    this.#send({ type: 'watch', spaces });
  }

  lookAgain(): void {
    this.#send({ type: 'look-again' });
  }

  /** Ends the thread: it finishes or rolls back a running batch, and closes its files. */
  async close(): Promise<void> {
    if (this.#dead !== null) return;
    const ended = this.#ask((id) => ({ type: 'close', id })).catch(() => undefined);
    this.#dead = new Error('the agent stops');
    const timer = setTimeout(() => void this.#worker.terminate(), CLOSE_MS);
    await ended;
    clearTimeout(timer);
    await this.#worker.terminate();
  }

  #ask(request: (id: number) => Request, call?: SyncCall): Promise<unknown> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    this.#last += 1;
    const id = this.#last;
    const abort = (): void => this.#send({ type: 'abort', id });
    call?.signal.addEventListener('abort', abort, { once: true });
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress: call?.progress ?? (() => undefined) });
      this.#send(request(id));
    }).finally(() => call?.signal.removeEventListener('abort', abort));
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}
