import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { MemoryState, MemoryStatus, RoundStatus, type SpaceSync } from './memory.ts';
import { ONLINE_WITHIN_MS } from '../nodes/nodes.ts';
import {
  STALE_AFTER_MS,
  agentState,
  isWell,
  memoryState,
  memoryStateAt,
  syncState,
  type SyncFacts,
} from './sync-state.ts';

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;

/** Moments of every relevant age, and some in the future: clocks differ. */
const moment = fc
  .oneof(
    fc.integer({ min: -5 * MINUTE, max: 5 * MINUTE }),
    fc.integer({ min: 0, max: 2 * STALE_AFTER_MS }),
    fc.integer({ min: 0, max: 400 * 24 * 60 * MINUTE }),
    fc.constantFrom(0, ONLINE_WITHIN_MS, ONLINE_WITHIN_MS + 1, STALE_AFTER_MS, STALE_AFTER_MS + 1),
  )
  .map((age) => NOW - age);
const maybe = fc.option(moment);
const sentence = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => text.trim() !== '');

const outcome = fc.record({
  ok_at: maybe,
  failure: fc.option(
    fc.record({
      code: fc.constantFrom(
        'memory_index_damaged',
        'memory_guarded',
        'store_unavailable',
        'disk_full',
        'internal',
      ),
      message: sentence,
      at: moment,
      since: moment,
    }),
  ),
});
const none = fc.constant(0);
const sync: fc.Arbitrary<SpaceSync> = fc.record({
  space: fc.constant('0123456789abcdef'),
  name: sentence,
  since: moment,
  push: outcome,
  merge: outcome,
  pull: outcome,
  staged: fc.oneof(none, fc.nat(9)),
  held: fc.oneof(none, fc.nat(9)),
  waiting: fc.oneof(none, fc.nat(9)),
  waiting_since: maybe,
  waiting_reason: fc.option(sentence),
  problems: fc.oneof(fc.array(sentence, { maxLength: 0 }), fc.array(sentence, { maxLength: 3 })),
});
const memory: fc.Arbitrary<MemoryStatus> = fc.record(
  {
    path: fc.constant('/home/me/.claude-mem/claude-mem.db'),
    state: fc.oneof(fc.constant('ready' as const), fc.constantFrom(...MemoryState.options)),
    detail: fc.option(fc.oneof(sentence, fc.constant(''))),
    schema: fc.constant(null),
    rows: fc.constant(null),
    bytes: fc.constant(null),
    heldDeletes: fc.oneof(none, fc.nat(9)),
    heldSegments: fc.nat(9),
    syncs: fc.array(sync, { maxLength: 3 }),
    checkedAt: moment,
  },
  { requiredKeys: ['path', 'state', 'detail', 'schema', 'rows', 'bytes', 'checkedAt'] },
) as fc.Arbitrary<MemoryStatus>;
const round = fc.record({
  status: fc.constantFrom(...RoundStatus.options),
  detail: fc.oneof(sentence, fc.constant('')),
  last_push_at: maybe,
  last_pull_at: maybe,
});
const facts: fc.Arbitrary<SyncFacts> = fc.record(
  {
    now: fc.constant(NOW),
    heartbeatAt: maybe,
    round,
    memory: fc.option(memory),
    sync,
  },
  { requiredKeys: ['now', 'memory'] },
);

/** Returns whether a failure is at least as new as the last success of the same work. */
const hasFailed = ({ push, merge, pull }: SpaceSync): boolean =>
  [push, merge, pull].some(
    ({ ok_at: okAt, failure }) => failure !== null && (okAt === null || failure.at >= okAt),
  );
const isHeldBack = (each: SpaceSync): boolean => each.staged + each.held + each.problems.length > 0;

describe('the state of a node in a space', () => {
  it('is never in sync while work fails, is held back or is overdue', () => {
    fc.assert(
      fc.property(facts, (known) => {
        if (syncState(known).state !== 'in-step') return;
        const { memory: told, sync: of, round: last, heartbeatAt } = known;
        if (told !== null) {
          expect([
            'missing',
            'corrupt',
            'unknown-schema',
            'locked',
            'unreadable',
            'index-damaged',
          ]).not.toContain(told.state);
          expect(told.heldDeletes ?? 0).toBe(0);
          if (of === undefined) expect(['held', 'failing', 'stale']).not.toContain(told.state);
        }
        if (of !== undefined) {
          expect(hasFailed(of)).toBe(false);
          expect(isHeldBack(of)).toBe(false);
          expect(of.push.ok_at).not.toBeNull();
          expect(of.pull.ok_at).not.toBeNull();
        }
        if (heartbeatAt !== undefined) expect(NOW - (heartbeatAt ?? 0)).toBeLessThanOrEqual(ONLINE_WITHIN_MS);
        if (last !== undefined) expect(['failed', 'syncing']).not.toContain(last.status);
        if (of === undefined) expect(NOW - (last?.last_pull_at ?? 0)).toBeLessThanOrEqual(STALE_AFTER_MS);
        else if (told === null || heartbeatAt == null) {
          expect(NOW - (of.pull.ok_at ?? 0)).toBeLessThanOrEqual(STALE_AFTER_MS);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  it('has a reason unless it is in sync', () => {
    fc.assert(
      fc.property(facts, (known) => {
        const { state, detail } = syncState(known);
        if (state !== 'in-step') expect(detail.trim()).not.toBe('');
      }),
      { numRuns: 20_000 },
    );
  });

  it('does not change when the node’s clock is wrong', () => {
    fc.assert(
      fc.property(
        facts,
        fc.integer({ min: -40 * 24 * 60 * MINUTE, max: 40 * 24 * 60 * MINUTE }),
        (known, off) => {
          const { memory: told, sync: of, heartbeatAt } = known;
          if (told === null || of === undefined || heartbeatAt == null) return;
          const shifted = (at: number | null): number | null => (at === null ? null : at + off);
          const moved = ({ ok_at, failure }: SpaceSync['push']): SpaceSync['push'] => ({
            ok_at: shifted(ok_at),
            failure:
              failure === null ? null : { ...failure, at: failure.at + off, since: failure.since + off },
          });
          const wrong: SyncFacts = {
            ...known,
            memory: { ...told, checkedAt: told.checkedAt + off },
            sync: {
              ...of,
              since: of.since + off,
              waiting_since: shifted(of.waiting_since),
              push: moved(of.push),
              merge: moved(of.merge),
              pull: moved(of.pull),
            },
          };
          expect(syncState(wrong)).toEqual(syncState(known));
        },
      ),
      { numRuns: 5_000 },
    );
  });

  const well: SpaceSync = {
    space: '0123456789abcdef',
    name: 'work',
    since: NOW - 60 * MINUTE,
    push: { ok_at: NOW - MINUTE, failure: null },
    merge: { ok_at: NOW - MINUTE, failure: null },
    pull: { ok_at: NOW - MINUTE, failure: null },
    staged: 0,
    held: 0,
    waiting: 0,
    waiting_since: null,
    waiting_reason: null,
    problems: [],
  };
  const ready = { state: 'ready' as const, detail: null, checkedAt: NOW };
  const inStep = { status: 'in-step' as const, detail: 'sent 2 rows', last_push_at: NOW, last_pull_at: NOW };

  it('is in sync when all work succeeded recently, and its sentence names the last work', () => {
    const known = { now: NOW, heartbeatAt: NOW, memory: ready, sync: well, round: inStep };
    expect(syncState(known)).toEqual({ state: 'in-step', detail: 'sent 2 rows' });
    expect(syncState({ now: NOW, heartbeatAt: NOW, memory: ready, round: inStep }).state).toBe('in-step');
  });

  test.each([
    [
      'failed',
      { sync: { ...well, pull: { ok_at: NOW - MINUTE, failure: failure('store_unavailable', NOW) } } },
      /Fetching failed just now: no/,
    ],
    [
      'failed',
      { sync: { ...well, merge: { ok_at: null, failure: failure('disk_full', NOW - 3 * MINUTE) } } },
      /Merging .* failed 3 min ago: no/,
    ],
    [
      'held',
      { sync: { ...well, push: { ok_at: null, failure: failure('memory_guarded', NOW) } } },
      /Sending failed/,
    ],
    ['held', { memory: { ...ready, heldDeletes: 90 } }, /90 memories are gone.*deletes approve/],
    ['held', { sync: { ...well, held: 2 } }, /2 segments of nodes that this node does not trust/],
    ['held', { sync: { ...well, staged: 1 } }, /1 segment of other nodes/],
    ['held', { sync: { ...well, problems: ['b: segment 3 is damaged'] } }, /b: segment 3 is damaged/],
    [
      'held',
      { sync: { ...well, waiting: 3, waiting_since: NOW - 60 * MINUTE, waiting_reason: 'no session' } },
      /3 rows .*60 min ago: no session/,
    ],
    ['failed', { memory: { ...ready, state: 'corrupt' as const } }, /damaged/],
    ['stale', { heartbeatAt: NOW - 3 * 60 * MINUTE }, /last reported 3 h ago\. Start its agent/],
    [
      'stale',
      { sync: { ...well, pull: { ok_at: NOW - 50 * MINUTE, failure: null } } },
      /fetch was 50 min ago/,
    ],
    [
      'stale',
      { sync: { ...well, pull: { ok_at: null, failure: null } } },
      /not fetched anything .* joined 60 min ago/,
    ],
    ['syncing', { round: { ...inStep, status: 'syncing' as const, detail: '' } }, /A sync runs/],
  ])('is %s with its reason: %o', (state, differs, words) => {
    const known = syncState({
      now: NOW,
      heartbeatAt: NOW,
      memory: ready,
      sync: well,
      round: inStep,
      ...differs,
    });
    expect(known.state).toBe(state);
    expect(known.detail).toMatch(words);
  });

  it('allows rows to wait some time for their session', () => {
    const waiting = { ...well, waiting: 3, waiting_since: NOW - 5 * MINUTE };
    expect(syncState({ now: NOW, memory: ready, sync: waiting }).state).toBe('in-step');
  });
});

function failure(code: string, at: number) {
  return { code, message: 'no', at, since: at };
}

describe('the state of a node’s memory', () => {
  it('is ready only when every space is in sync', () => {
    fc.assert(
      fc.property(memory, (told) => {
        const { state, detail } = memoryState({ now: NOW, database: told, syncs: told.syncs ?? [] });
        if (!isWell(state)) expect((detail ?? '').trim()).not.toBe('');
        if (state !== 'ready') return;
        expect(told.state).toBe('ready');
        expect(told.heldDeletes ?? 0).toBe(0);
        for (const each of told.syncs ?? []) {
          expect(hasFailed(each)).toBe(false);
          expect(isHeldBack(each)).toBe(false);
          expect(NOW - (each.pull.ok_at ?? 0)).toBeLessThanOrEqual(STALE_AFTER_MS);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  it('does not stay ready in a report that is old', () => {
    fc.assert(
      fc.property(fc.option(memory), maybe, (told, heardAt) => {
        const { state, detail } = memoryStateAt(told, heardAt, NOW);
        if (!isWell(state)) expect((detail ?? '').trim()).not.toBe('');
        else expect(NOW - (heardAt ?? 0)).toBeLessThanOrEqual(ONLINE_WITHIN_MS);
      }),
      { numRuns: 10_000 },
    );
  });

  it('is not well in the agent while the control plane does not answer', () => {
    fc.assert(
      fc.property(memory, maybe, fc.option(sentence), (told, lastOk, problem) => {
        const { isWell: well, detail } = agentState({
          now: NOW,
          memory: told,
          heartbeat: { lastOk, problem },
        });
        if (well) {
          expect(told.state).toBe('ready');
          expect(problem).toBeNull();
          expect(lastOk).not.toBeNull();
          expect(NOW - told.checkedAt).toBeLessThanOrEqual(STALE_AFTER_MS);
        } else expect(detail.trim()).not.toBe('');
      }),
      { numRuns: 10_000 },
    );
  });

  it('counts as failing when a newer agent reports a state that this version does not know', () => {
    const told = {
      path: '/x',
      state: 'frozen',
      detail: 'cold',
      schema: null,
      rows: null,
      bytes: null,
      checkedAt: 1,
      news: true,
    };
    expect(MemoryStatus.parse(told)).toMatchObject({ state: 'failing', detail: 'cold' });
    expect(MemoryStatus.parse(told)).not.toHaveProperty('news');
  });
});
