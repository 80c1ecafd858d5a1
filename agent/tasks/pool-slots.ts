import type { ActivitySlotInfo, CustomSlotSupplier } from '@temporalio/worker';
import type { TaskSlots } from './slots.ts';

/** Polls one pool's queue only while the node has a free slot, so that it can run what it polled. */
interface PoolSlots {
  readonly supplier: CustomSlotSupplier<ActivitySlotInfo>;
  /** Called when a polled task takes one of the node's slots. */
  arrived(): void;
  /** Begins no further poll, and waits until no task of the pool runs. */
  close(): Promise<void>;
}

/** The SDK holds one while it polls, and then while it runs the task that arrived. */
interface Permit {
  /** Whether a task arrived. */
  isUsed: boolean;
  /** Whether the permit took one of the node's slots. */
  hasSlot: boolean;
}

/**
 * Shares a node's slots between several pools. A poll of one pool cannot be withdrawn when another pool's task
 * arrives. So with several pools a task may find no slot: the node gives it back immediately (`no_slot`). With one
 * pool that cannot happen.
 */
export function poolSlots(slots: TaskSlots): PoolSlots {
  /** Permits without a slot: of open polls, and of tasks that are just arriving. */
  let spokenFor = 0;
  /** Tasks that arrived and have not ended. */
  let running = 0;
  let isClosed = false;
  const arriving: Permit[] = [];
  return {
    arrived: () => {
      const permit = arriving.shift();
      if (permit === undefined) return;
      permit.hasSlot = true;
      spokenFor -= 1;
    },
    supplier: {
      type: 'custom',
      reserveSlot: async (_context, signal): Promise<Permit> => {
        while (isClosed || !slots.hasRoom(spokenFor)) await waitForChange(slots, signal);
        spokenFor += 1;
        return { isUsed: false, hasSlot: false };
      },
      tryReserveSlot: () => null,
      markSlotUsed: (context) => {
        const permit = context.permit as Permit;
        permit.isUsed = true;
        running += 1;
        arriving.push(permit);
      },
      releaseSlot: (context) => {
        const permit = context.permit as Permit;
        if (permit.isUsed) running -= 1;
        if (!permit.hasSlot) {
          spokenFor -= 1;
          const at = arriving.indexOf(permit);
          if (at !== -1) arriving.splice(at, 1);
        }
        slots.notifyChange();
      },
    },
    close: async () => {
      isClosed = true;
      while (running > 0) await waitForChange(slots);
    },
  };
}

async function waitForChange(slots: TaskSlots, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const unwatch = slots.watch(() => resolve(undefined));
  const abort = (): void => reject(signal?.reason as Error);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await promise;
  } finally {
    unwatch();
    signal?.removeEventListener('abort', abort);
  }
}
