import type { WorkerEngine } from '../engine.ts';

/** The options that start the thread that renews leases. */
export interface KeeperOptions {
  /** host:port of Temporal; not used with a tunnel. */
  readonly address: string;
  readonly namespace: string;
  /** What the thread needs to open its own tunnel. It cannot use the main thread's, which would stall with that thread. */
  readonly tunnel: WorkerEngine['tunnel'];
  readonly identity: string;
}

export type ToKeeper =
  | { readonly type: 'keep'; readonly id: number; readonly token: string; readonly ttlMs: number }
  /** Registers or removes a process group that runs under the lease. The thread kills it when the lease is lost. */
  | { readonly type: 'group'; readonly id: number; readonly group: number; readonly works: boolean }
  | { readonly type: 'leave'; readonly id: number };

/**
 * Why a lease is lost. `cancelled`: a person or the workflow ends the attempt. `gone`: Temporal knows no such attempt
 * any longer. `expired`: Temporal could not be reached for almost the lease's whole life.
 */
export type Lost = 'cancelled' | 'gone' | 'expired';

export type FromKeeper =
  | { readonly type: 'lost'; readonly id: number; readonly reason: Lost }
  /** Epoch ms at which the confirmed heartbeat was sent. */
  | { readonly type: 'confirmed'; readonly id: number; readonly at: number };
