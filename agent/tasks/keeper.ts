import { Worker } from 'node:worker_threads';
import type { FromKeeper, KeeperOptions, Lost, ToKeeper } from './keeper-messages.ts';

/** A lease that the thread renews. */
export interface KeptLease {
  /** Epoch ms at which the last confirmed heartbeat was sent. */
  readonly confirmedAt: number;
  /** Registers or removes a process group that runs under this lease. */
  group(group: number, works: boolean): void;
  /** Ends the renewal: the attempt is over. */
  leave(): void;
}

/** Renews leases from a thread that the agent's other work cannot starve. */
export class LeaseKeeper {
  readonly #thread: Worker;
  readonly #leases = new Map<number, { lost(reason: Lost): void; confirmedAt: number }>();
  #last = 0;
  #closed = false;

  /** @param onDeath called when the thread ended although nobody closed it; no lease is renewed from then on */
  constructor(options: KeeperOptions, onDeath: (error: Error) => void) {
    this.#thread = new Worker(new URL('keeper-thread.ts', import.meta.url), { workerData: options });
    this.#thread.on('message', (message: FromKeeper) => {
      const lease = this.#leases.get(message.id);
      if (lease === undefined) return;
      if (message.type === 'lost') lease.lost(message.reason);
      else lease.confirmedAt = message.at;
    });
    const died = (error: Error): void => {
      if (this.#closed) return;
      this.#closed = true;
      for (const lease of this.#leases.values()) lease.lost('expired');
      onDeath(error);
    };
    this.#thread.on('error', died);
    this.#thread.on('exit', (code) =>
      died(new Error(`the thread that keeps leases ended with code ${code}`)),
    );
  }

  /**
   * Starts to renew a lease.
   * @param token of the activity, base64
   * @param lost called once, when the lease is lost or the attempt must end
   */
  keep(token: string, ttlMs: number, lost: (reason: Lost) => void): KeptLease {
    this.#last += 1;
    const id = this.#last;
    const lease = { lost, confirmedAt: Date.now() };
    this.#leases.set(id, lease);
    this.#send({ type: 'keep', id, token, ttlMs });
    return {
      get confirmedAt() {
        return lease.confirmedAt;
      },
      group: (group, works) => this.#send({ type: 'group', id, group, works }),
      leave: () => {
        this.#leases.delete(id);
        this.#send({ type: 'leave', id });
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread.terminate();
  }

  #send(message: ToKeeper): void {
    if (!this.#closed) this.#thread.postMessage(message);
  }
}
