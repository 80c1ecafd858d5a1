import { listHeartbeats } from '../../db/queries/record-heartbeat.ts';
import type { Deps } from '../deps.ts';

/** How often browsers learn which nodes reported, in milliseconds. */
const NOTIFY_MS = 1_000;
/** The longest time between a heartbeat and the commit of its transaction, in milliseconds. */
const COMMIT_MS = 5_000;

export type Heartbeats = readonly { readonly id: string; readonly at: number }[];
type Listener = (beats: Heartbeats) => void;

/** Sends all streams of a process the nodes that reported: one query a second, however many browsers listen. */
class Pulse {
  readonly #deps: Pick<Deps, 'db' | 'now' | 'logger'>;
  readonly #listeners = new Set<Listener>();
  readonly #notifiedAt = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #since = 0;

  constructor(deps: Pick<Deps, 'db' | 'now' | 'logger'>) {
    this.#deps = deps;
  }

  /** Adds a listener. @returns a function that removes it */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#timer === null) {
      this.#since = this.#deps.now() - COMMIT_MS;
      this.#schedule();
    }
    return () => this.#listeners.delete(listener);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => void this.#notifyListeners(), NOTIFY_MS);
    this.#timer.unref();
  }

  async #notifyListeners(): Promise<void> {
    if (this.#listeners.size === 0) {
      this.#timer = null;
      this.#notifiedAt.clear();
      return;
    }
    try {
      const now = this.#deps.now();
      const beats = await listHeartbeats(this.#deps.db, { since: this.#since });
      const fresh = beats.filter(({ id, at }) => at > (this.#notifiedAt.get(id) ?? 0));
      for (const { id, at } of fresh) this.#notifiedAt.set(id, at);
      this.#since = now - COMMIT_MS;
      if (fresh.length > 0) for (const listener of this.#listeners) listener(fresh);
    } catch (error) {
      this.#deps.logger.debug({ err: error }, 'heartbeats could not be read; trying again');
    }
    this.#schedule();
  }
}

const pulses = new WeakMap<Deps['events'], Pulse>();

/** Calls a listener once a second with the nodes that reported since, if any. @returns a function that stops it */
export function onHeartbeats(deps: Deps, listener: Listener): () => void {
  const pulse = pulses.get(deps.events) ?? new Pulse(deps);
  pulses.set(deps.events, pulse);
  return pulse.subscribe(listener);
}
