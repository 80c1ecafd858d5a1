import type { WorkerEngine } from '../engine.ts';

/** What the thread that keeps leases is made with. */
export interface KeeperOptions {
  /** host:port of Temporal; not used with a tunnel. */
  readonly address: string;
  readonly namespace: string;
  /** The thread opens its own: one that the main thread carried would wait for that thread. */
  readonly tunnel: WorkerEngine['tunnel'];
  readonly identity: string;
}

export type ToKeeper =
  | { readonly type: 'keep'; readonly id: number; readonly token: string; readonly ttlMs: number }
  /** A process group works under the lease, and is to die should that be lost; or it does no more. */
  | { readonly type: 'group'; readonly id: number; readonly group: number; readonly works: boolean }
  | { readonly type: 'leave'; readonly id: number };

/**
 * Why a lease is lost: `cancelled` somebody wants it to end; `gone` the engine knows of no such attempt any more; `expired` the engine
 * could not be reached for nearly as long as the lease lives without.
 */
export type Lost = 'cancelled' | 'gone' | 'expired';

export type FromKeeper =
  | { readonly type: 'lost'; readonly id: number; readonly reason: Lost }
  /** Epoch ms at which the heartbeat was sent that the engine confirmed. */
  | { readonly type: 'confirmed'; readonly id: number; readonly at: number };
