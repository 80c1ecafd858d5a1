import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differingColumns, foldLattices } from './fold.ts';
import type { Row } from '../format/values.ts';

const COLUMNS = [
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

const folded = (local: Row, incoming: Row): Row => ({ ...local, ...foldLattices(local, incoming) });

describe('folding a session’s progress', () => {
  it('changes nothing when the same operation is folded in again', () => {
    fc.assert(
      fc.property(session, session, (local, incoming) => {
        expect(foldLattices(folded(local, incoming), incoming)).toEqual({});
      }),
    );
  });

  it('gives the same result for three operations in any order', () => {
    fc.assert(
      fc.property(session, session, session, (a, b, c) => {
        const oneWay = folded(folded(a, b), c);
        const otherWay = folded(folded(c, b), a);
        expect(differingColumns(oneWay, otherWay, COLUMNS)).toEqual([]);
      }),
    );
  });

  it('never lowers the status, keeps the earliest start and the latest end with their texts', () => {
    fc.assert(
      fc.property(session, session, (local, incoming) => {
        const both = folded(local, incoming);
        for (const column of COLUMNS) if (local[column] !== null) expect(both[column]).not.toBeNull();
        if (local['status'] === 'completed' || incoming['status'] === 'completed') {
          expect(both['status']).toBe('completed');
        }
        const earliest = Math.min(Number(local['started_at_epoch']), Number(incoming['started_at_epoch']));
        expect(both['started_at_epoch']).toBe(earliest);
        expect(both['started_at']).toBe(`at ${earliest}`);
      }),
    );
  });
});
