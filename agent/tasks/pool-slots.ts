import type { ActivitySlotInfo, CustomSlotSupplier } from '@temporalio/worker';
import type { TaskSlots } from './slots.ts';

/** Lets one pool's queue be polled only while the node has a free slot, so that what is polled can be run. */
interface PoolSlots {
  readonly supplier: CustomSlotSupplier<ActivitySlotInfo>;
  /** A task that was polled takes a slot of the node's now. */
  arrived(): void;
}

/** What the SDK holds while it polls, and then while it runs what came. */
interface Permit {
  /** Whether a slot of the node's was taken for it. */
  hasSlot: boolean;
}

/**
 * Several pools share a node's slots. A poll of one pool cannot be called back when another pool's task comes, so with several of them
 * a task may come that finds no slot: it is given back at once (`no_slot`). With one pool that cannot be.
 */
export function poolSlots(slots: TaskSlots): PoolSlots {
  /** Permits that no slot was taken for: of polls that go on, and of tasks that are just arriving. */
  let spokenFor = 0;
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
        while (!slots.hasRoom(spokenFor)) await changed(slots, signal);
        spokenFor += 1;
        return { hasSlot: false };
      },
      tryReserveSlot: () => null,
      markSlotUsed: ({ permit }) => {
        arriving.push(permit as Permit);
      },
      releaseSlot: (context) => {
        const permit = context.permit as Permit;
        if (!permit.hasSlot) {
          spokenFor -= 1;
          const at = arriving.indexOf(permit);
          if (at !== -1) arriving.splice(at, 1);
        }
        slots.changed();
      },
    },
  };
}

async function changed(slots: TaskSlots, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const unwatch = slots.watch(() => resolve(undefined));
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await promise;
  } finally {
    unwatch();
    signal.removeEventListener('abort', abort);
  }
}
