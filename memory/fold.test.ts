import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differingColumns, foldSession } from './fold.ts';
import type { Row } from './values.ts';

const COLUMNS = [
  'project',
  'user_prompt',
  'custom_title',
  'status',
  'started_at',
  'started_at_epoch',
  'completed_at',
  'completed_at_epoch',
  'prompt_counter',
];

const time = fc.option(fc.integer({ min: 1, max: 5 }), { nil: null });
const session: fc.Arbitrary<Row> = fc
  .record({
    project: fc.constantFrom('garden', 'billing'),
    user_prompt: fc.option(fc.constantFrom('a', 'b'), { nil: null }),
    custom_title: fc.option(fc.constantFrom('A', 'B'), { nil: null }),
    status: fc.constantFrom('active', 'completed', 'failed'),
    started: fc.integer({ min: 1, max: 5 }),
    completed: time,
    prompt_counter: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ started, completed, ...rest }) => ({
    ...rest,
    started_at: `at ${started}`,
    started_at_epoch: started,
    completed_at: completed === null ? null : `at ${completed}`,
    completed_at_epoch: completed,
  }));

describe('folding a session', () => {
  it('changes nothing when the same is folded in again', () => {
    fc.assert(
      fc.property(session, session, fc.boolean(), (local, incoming, later) => {
        const once = foldSession(local, incoming, later);
        expect(differingColumns(foldSession(once, incoming, later), once, COLUMNS)).toEqual([]);
      }),
    );
  });

  it('gives the same whichever of two comes first', () => {
    fc.assert(
      fc.property(session, session, (older, newer) => {
        const oneWay = foldSession(older, newer, true);
        const otherWay = foldSession(newer, older, false);
        expect(differingColumns(oneWay, otherWay, COLUMNS)).toEqual([]);
      }),
    );
  });

  it('never loses a value to NULL, never goes back in status, keeps the earliest start and the latest end', () => {
    fc.assert(
      fc.property(session, session, fc.boolean(), (local, incoming, later) => {
        const folded = foldSession(local, incoming, later);
        for (const column of COLUMNS) {
          if (local[column] !== null) expect(folded[column]).not.toBeNull();
        }
        if (local['status'] === 'completed' || incoming['status'] === 'completed') {
          expect(folded['status']).toBe('completed');
        }
        expect(folded['started_at_epoch']).toBe(
          Math.min(Number(local['started_at_epoch']), Number(incoming['started_at_epoch'])),
        );
        expect(folded['started_at']).toBe(`at ${Number(folded['started_at_epoch'])}`);
      }),
    );
  });
});
