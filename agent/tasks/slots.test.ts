import { describe, expect, it } from 'vitest';
import { poolSlots } from './pool-slots.ts';
import { TaskSlots } from './slots.ts';

const never = new AbortController().signal;

/** Returns whether a promise has settled by the next turn of the event loop. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open');
  const next = new Promise((resolve) => setImmediate(() => resolve(open)));
  return (await Promise.race([promise.catch(() => undefined), next])) !== open;
}

describe('task slots', () => {
  it('are given while there are any, and given again when they come back', () => {
    const slots = new TaskSlots(2);
    const first = slots.tryTake();
    expect(slots.tryTake()).not.toBeNull();
    expect(slots.tryTake()).toBeNull();
    first?.();
    first?.();
    expect(slots.used).toBe(1);
    expect(slots.tryTake()).not.toBeNull();
    expect(slots.tryTake()).toBeNull();
  });

  it('go to the most urgent who waits, then to who came first', async () => {
    const slots = new TaskSlots(1);
    let back = slots.tryTake();
    const order: string[] = [];
    const wait = async (name: string, priority: number): Promise<void> => {
      const mine = await slots.take(priority, 60_000, never);
      order.push(name);
      back = mine;
    };
    const all = [wait('late', 5), wait('first', 3), wait('second', 3), wait('urgent', 1)];
    for (let n = 0; n < all.length; n += 1) {
      back?.();
      await expect.poll(() => order.length).toBe(n + 1);
    }
    expect(order).toEqual(['urgent', 'first', 'second', 'late']);
    // A caller that only tries does not overtake one that waits.
    const waiting = slots.take(3, 60_000, never);
    back?.();
    expect(slots.tryTake()).toBeNull();
    await waiting;
  });

  it('are not given to a caller that left, and do not get lost', async () => {
    const slots = new TaskSlots(1);
    const back = slots.tryTake();
    const leaving = new AbortController();
    const left = slots.take(1, 60_000, leaving.signal);
    const stays = slots.take(2, 60_000, never);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    back?.();
    await stays;
    expect(slots.used).toBe(1);
  });

  it('are not given while the node is drained, and nobody waits for that', async () => {
    const slots = new TaskSlots(1);
    const back = slots.tryTake();
    const waiting = slots.take(3, 60_000, never);
    slots.setDrained(true);
    expect(await waiting).toBeNull();
    back?.();
    expect(slots.tryTake()).toBeNull();
    expect(await slots.take(3, 60_000, never)).toBeNull();
    slots.setDrained(false);
    expect(slots.tryTake()).not.toBeNull();
  });

  it('are awaited only for a limited time', async () => {
    const slots = new TaskSlots(1);
    const back = slots.tryTake();
    expect(await slots.take(3, 20, never)).toBeNull();
    back?.();
    expect(slots.tryTake()).not.toBeNull();
  });
});

describe('polls of a pool', () => {
  const context = {} as never;
  const permitOf = (permit: unknown) => ({ permit }) as never;

  it('are at most as many as free slots, counting tasks that are just arriving', async () => {
    const slots = new TaskSlots(2);
    const pool = poolSlots(slots);
    const first = await pool.supplier.reserveSlot(context, never);
    const second = await pool.supplier.reserveSlot(context, never);
    const third = pool.supplier.reserveSlot(context, never);
    expect(await settled(third)).toBe(false);
    // A task arrived: its permit is reserved until it has its slot, and then the slot is taken.
    pool.supplier.markSlotUsed(permitOf(first));
    expect(await settled(third)).toBe(false);
    pool.arrived();
    const back = slots.tryTake();
    expect(back).not.toBeNull();
    expect(await settled(third)).toBe(false);
    // A poll that brought nothing.
    pool.supplier.releaseSlot(permitOf(second));
    await third;
    const fourth = pool.supplier.reserveSlot(context, never);
    expect(await settled(fourth)).toBe(false);
    back?.();
    pool.supplier.releaseSlot(permitOf(first));
    await fourth;
  });

  it('share the slots of two pools: a task that arrives too late finds none', async () => {
    const slots = new TaskSlots(1);
    const [one, other] = [poolSlots(slots), poolSlots(slots)];
    const first = await one.supplier.reserveSlot(context, never);
    const second = await other.supplier.reserveSlot(context, never);
    one.supplier.markSlotUsed(permitOf(first));
    one.arrived();
    const back = slots.tryTake();
    other.supplier.markSlotUsed(permitOf(second));
    other.arrived();
    expect(slots.tryTake()).toBeNull();
    other.supplier.releaseSlot(permitOf(second));
    const again = other.supplier.reserveSlot(context, never);
    expect(await settled(again)).toBe(false);
    back?.();
    await again;
  });

  it('do not begin once the pool is closed, which waits for its running tasks', async () => {
    const slots = new TaskSlots(3);
    const pool = poolSlots(slots);
    const running = await pool.supplier.reserveSlot(context, never);
    const open = await pool.supplier.reserveSlot(context, never);
    pool.supplier.markSlotUsed(permitOf(running));
    pool.arrived();
    const closing = pool.close();
    expect(await settled(pool.supplier.reserveSlot(context, never))).toBe(false);
    pool.supplier.releaseSlot(permitOf(open));
    expect(await settled(closing)).toBe(false);
    pool.supplier.releaseSlot(permitOf(running));
    await closing;
    await poolSlots(slots).close();
  });

  it('end when the worker does', async () => {
    const slots = new TaskSlots(1);
    slots.tryTake();
    const stopping = new AbortController();
    const waiting = poolSlots(slots).supplier.reserveSlot(context, stopping.signal);
    stopping.abort(new Error('stopping'));
    await expect(waiting).rejects.toThrow('stopping');
  });
});
