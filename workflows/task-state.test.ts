import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTerminal } from '../contract/tasks/task-status.ts';
import type { TaskEvent, TaskState } from '../contract/tasks/task-workflow.ts';
import { NEXT_STATUSES, backoffMs, initialState, transition } from './task-state.ts';

const FRESH = { maxAttempts: 3, dispatched: true, worker: null, ttlMs: 30_000, notBefore: null };
const NOW = 1_000_000;
const fresh = (given: Partial<typeof FRESH> = {}): TaskState => initialState({ ...FRESH, ...given });

/** Applies a list of events to a task; refused events change nothing. */
function after(state: TaskState, ...events: readonly TaskEvent[]): TaskState {
  return events.reduce((now, event) => {
    const next = transition(now, event, NOW);
    return next.ok ? next.state : now;
  }, state);
}
const claim = (epoch: number, worker = 'a', kind: 'agent' | 'http' = 'agent'): TaskEvent => ({
  type: 'claim',
  worker,
  kind,
  epoch: kind === 'agent' ? epoch : null,
  leaseId: `lease-${epoch}-${worker}`,
  ttlMs: null,
});
const failed = (epoch: number, retryable: boolean): TaskEvent => ({
  type: 'fail',
  fence: { epoch },
  error: { code: 'program_failed', message: 'it failed', retryable },
});
const cancel: TaskEvent = { type: 'cancel', by: 'page', reason: '' };

describe('a task', () => {
  it('runs, and completes for good', () => {
    const running = after(fresh(), claim(1));
    expect(running).toMatchObject({ status: 'running', epoch: 1, attempts: 1, lease: { worker: 'a' } });
    const done = after(running, { type: 'complete', fence: { epoch: 1 } });
    expect(done).toMatchObject({ status: 'completed', lease: null });
    for (const event of [claim(2), cancel, { type: 'requeue', by: 'page' } as const, failed(1, true)]) {
      expect(transition(done, event, NOW).ok).toBe(false);
    }
  });

  it('is retried after a doubling pause when it fails, until it is dead', () => {
    let state = after(fresh(), claim(1), failed(1, true));
    expect(state).toMatchObject({ status: 'queued', attempts: 1, notBefore: NOW + 1_000 });
    state = after(state, claim(2), failed(2, true));
    expect(state).toMatchObject({ status: 'queued', attempts: 2, notBefore: NOW + 2_000 });
    state = after(state, claim(3), failed(3, true));
    expect(state).toMatchObject({ status: 'dead', attempts: 3, error: { code: 'program_failed' } });
    expect(backoffMs(20)).toBe(60_000);
    state = after(state, { type: 'requeue', by: 'page' });
    expect(state).toMatchObject({ status: 'queued', attempts: 0, error: null, epoch: 3 });
    expect(after(state, claim(4))).toMatchObject({ status: 'running', epoch: 4 });
  });

  it('fails at its first failure when dispatched for one attempt, and waits after a requeue', () => {
    const dispatch: TaskEvent = { type: 'dispatch', by: 'api', worker: null, ttlMs: null, once: true };
    const state = after(fresh({ dispatched: false }), dispatch, claim(1), failed(1, true));
    expect(state).toMatchObject({ status: 'failed', attempts: 1, error: { code: 'program_failed' } });
    const again = after(state, { type: 'requeue', by: 'page' });
    expect(again).toMatchObject({ status: 'queued', attempts: 0, dispatched: false });
    expect(transition(again, claim(2), NOW).ok).toBe(false);
  });

  it('is retried when its lease expires, even when dispatched for one attempt', () => {
    const dispatch: TaskEvent = { type: 'dispatch', by: 'api', worker: null, ttlMs: null, once: true };
    const state = after(fresh({ dispatched: false }), dispatch, claim(1), { type: 'expire', epoch: 1 });
    expect(state).toMatchObject({ status: 'queued', attempts: 1, dispatched: true });
  });

  it('fails at once when another attempt cannot help', () => {
    expect(after(fresh(), claim(1), failed(1, false))).toMatchObject({ status: 'failed', attempts: 1 });
  });

  it('is queued again without a pause when its worker went silent', () => {
    expect(after(fresh(), claim(1), { type: 'expire', epoch: 1 })).toMatchObject({
      status: 'queued',
      notBefore: null,
      error: { code: 'lease_expired' },
    });
  });

  it('does not count an attempt that was given back', () => {
    const back = after(fresh(), claim(1), { type: 'release', fence: { epoch: 1 }, by: 'a', reason: '' });
    expect(back).toMatchObject({ status: 'queued', attempts: 0, epoch: 1 });
  });

  it('is canceled on an agent only once its program is dead', () => {
    const asked = after(fresh(), claim(1), cancel);
    expect(asked).toMatchObject({ status: 'running', cancel: { by: 'page' } });
    expect(after(asked, { type: 'stopped', epoch: 1 })).toMatchObject({ status: 'cancelled', lease: null });
    expect(after(asked, failed(1, true))).toMatchObject({ status: 'cancelled' });
    expect(after(asked, { type: 'expire', epoch: 1 })).toMatchObject({ status: 'cancelled' });
    expect(after(asked, { type: 'complete', fence: { epoch: 1 } })).toMatchObject({
      status: 'completed',
      detail: 'completed by a, before it could be cancelled',
    });
  });

  it('is canceled at once while it waits or is leased over HTTP', () => {
    expect(after(fresh(), cancel)).toMatchObject({ status: 'cancelled' });
    expect(after(fresh(), claim(1, 'w', 'http'), cancel)).toMatchObject({ status: 'cancelled', lease: null });
  });

  it('refuses every write of a worker that lost its lease', () => {
    const second = after(fresh(), claim(1), { type: 'expire', epoch: 1 }, claim(2, 'b'));
    for (const fence of [
      { epoch: 1 },
      { leaseId: 'lease-1-a' },
      { worker: 'a', epoch: 2 },
      {},
      { worker: 'b' },
    ]) {
      for (const event of [
        { type: 'renew', fence },
        { type: 'complete', fence },
        { type: 'release', fence, by: 'a', reason: '' },
        { type: 'fail', fence, error: { code: 'x', message: '', retryable: true } },
      ] satisfies TaskEvent[]) {
        expect(transition(second, event, NOW).ok, JSON.stringify(event)).toBe(false);
      }
    }
    expect(after(second, { type: 'complete', fence: { leaseId: 'lease-2-b' } }).status).toBe('completed');
  });

  it('recognizes its worker without a lease id when it was leased once', () => {
    const leased = after(fresh(), claim(1, 'w', 'http'));
    expect(leased.status).toBe('leased');
    const running = after(leased, { type: 'renew', fence: {} });
    expect(running.status).toBe('running');
    expect(after(running, { type: 'complete', fence: {} }).status).toBe('completed');
  });

  it('cannot be ended on an agent without naming the lease', () => {
    const running = after(fresh(), claim(1));
    for (const event of [
      { type: 'renew', fence: {} },
      { type: 'complete', fence: { worker: 'a' } },
      { type: 'release', fence: {}, by: 'api', reason: '' },
    ] satisfies TaskEvent[]) {
      expect(transition(running, event, NOW).ok, JSON.stringify(event)).toBe(false);
    }
  });

  it('is refused to other nodes when it is for one node', () => {
    expect(after(fresh({ worker: 'b' as never }), claim(1, 'a')).status).toBe('queued');
    expect(after(fresh({ dispatched: false }), claim(1, 'a')).status).toBe('queued');
    expect(after(fresh({ dispatched: false }), claim(1, 'a', 'http')).status).toBe('leased');
  });
});

/** Returns an event with its lease epochs moved relative to the current one. */
function placed(event: TaskEvent, epoch: number): TaskEvent {
  if (event.type === 'claim') return claim(epoch + 1 + (event.epoch ?? 0), event.worker, event.kind);
  if ('fence' in event && event.fence.epoch !== undefined) {
    return { ...event, fence: { ...event.fence, epoch: epoch + event.fence.epoch } };
  }
  return 'epoch' in event ? { ...event, epoch: epoch + event.epoch } : event;
}

describe('the state machine', () => {
  /** Offsets from the current lease epoch: mostly right, sometimes off by one. */
  const epochs = fc.constantFrom(0, 0, 0, 0, 1, -1);
  const workers = fc.constantFrom('a', 'b');
  // Mostly the current lease, so that the rare steps are reached as well.
  const fences = fc.oneof(
    { weight: 2, arbitrary: fc.constant({ epoch: 0 }) },
    {
      weight: 1,
      arbitrary: fc.record(
        { epoch: epochs, worker: workers, leaseId: fc.constantFrom('lease-1-a', 'lease-2-b') },
        { requiredKeys: [] },
      ),
    },
  );
  const errors = fc.record({
    code: fc.constant('x'),
    message: fc.constant('m'),
    retryable: fc.boolean(),
  });
  const events: fc.Arbitrary<TaskEvent> = fc.oneof(
    fc.record({
      type: fc.constant('dispatch' as const),
      by: fc.constant('api'),
      worker: fc.option(workers),
      ttlMs: fc.option(fc.constant(5_000)),
    }),
    fc.tuple(epochs, workers, fc.constantFrom('agent' as const, 'http' as const)).map((of) => claim(...of)),
    fc.record({ type: fc.constant('renew' as const), fence: fences }),
    fc.record({ type: fc.constant('complete' as const), fence: fences }),
    fc.record({ type: fc.constant('fail' as const), fence: fences, error: errors }),
    fc.record({ type: fc.constant('expire' as const), epoch: epochs }),
    fc.record({
      type: fc.constant('release' as const),
      fence: fences,
      by: workers,
      reason: fc.constant(''),
    }),
    fc.constant(cancel),
    fc.record({ type: fc.constant('stopped' as const), epoch: epochs }),
    fc.record({ type: fc.constant('refuse' as const), error: errors }),
    fc.constant({ type: 'requeue' as const, by: 'api' }),
  );

  it('keeps its invariants under any sequence of events', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(
        fc.array(events, { maxLength: 40, size: 'max' }),
        fc.boolean(),
        fc.integer({ min: 1, max: 2 }),
        (list, dispatched, maxAttempts) => {
          let state = fresh({ dispatched, maxAttempts });
          const givenOut = new Set<number>();
          for (const relative of list) {
            const event = placed(relative, state.epoch);
            const next = transition(state, event, NOW);
            if (!next.ok) continue;
            const now = next.state;
            reached.add(`${state.status} ${event.type} ${now.status}`);
            expect(now.seq).toBe(state.seq + 1);
            expect(now.lease !== null).toBe(now.status === 'leased' || now.status === 'running');
            expect(now.epoch).toBeGreaterThanOrEqual(state.epoch);
            if (event.type === 'claim') {
              expect(givenOut.has(now.epoch)).toBe(false);
              givenOut.add(now.epoch);
            } else expect(now.epoch).toBe(state.epoch);
            expect(state.status).not.toBe('completed');
            if (isTerminal(state.status)) expect(event.type).toBe('requeue');
            expect(now.attempts).toBeLessThanOrEqual(now.maxAttempts);
            expect(now.attempts).toBeGreaterThanOrEqual(0);
            // A lost lease was ended with a reason that PostgreSQL stores.
            const lostLease = state.lease !== null && now.lease?.id !== state.lease.id;
            expect(next.ended?.lease.id).toBe(lostLease ? state.lease?.id : undefined);
            if (now.cancel !== null) expect(now.status).toBe('running');
            expect(next.audit.length > 0 || event.type === 'renew').toBe(true);
            state = now;
          }
        },
      ),
      { numRuns: 3_000 },
    );
    const listed = Object.entries(NEXT_STATUSES).flatMap(([before, events]) =>
      Object.entries(events).flatMap(([event, after]) =>
        after.map((status) => `${before} ${event} ${status}`),
      ),
    );
    expect(listed.filter((step) => !reached.has(step))).toEqual([]);
    expect([...reached].filter((step) => !listed.includes(step))).toEqual([]);
  });
});
