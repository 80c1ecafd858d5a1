import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeRegisters, writtenAt, type Registers } from './registers.ts';
import { UNVERSIONED, type Version } from './versions.ts';

const NAMES = ['project', 'title'];

const version: fc.Arbitrary<Version> = fc.record({
  counter: fc.integer({ min: 1, max: 3 }),
  hlc: fc.integer({ min: 1, max: 3 }),
  node: fc.constantFrom('a', 'b'),
});
const value = fc.option(fc.constantFrom('x', 'y', 'z'), { nil: null });

/** Generates an operation: a whole memory, or some registers of it written at one time. */
const operation: fc.Arbitrary<Registers> = fc
  .record({
    base: version,
    project: value,
    title: value,
    pins: fc.dictionary(fc.constantFrom(...NAMES), version),
  })
  .map(({ base, project, title, pins }) => ({
    values: { project, title },
    written: { base, units: new Map(Object.entries(pins)) },
  }));

const nothing: Registers = { values: {}, written: { base: UNVERSIONED, units: new Map() } };

function merge(local: Registers, incoming: Registers): Registers {
  const { taken, written } = mergeRegisters(local, incoming, NAMES);
  const values = Object.fromEntries(
    NAMES.map((name) => [name, (taken.includes(name) ? incoming : local).values[name] ?? null]),
  );
  return { values, written };
}

/** Returns the comparable state: each register's value, and when it was written. */
const stateOf = (registers: Registers): unknown =>
  NAMES.map((name) => [registers.values[name] ?? null, writtenAt(registers, name)]);

describe('registers', () => {
  it('converge for every order and repetition of operations', () => {
    fc.assert(
      fc.property(
        fc
          .array(operation, { maxLength: 5 })
          .chain((list) =>
            fc.tuple(
              fc.constant(list),
              fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 }),
            ),
          ),
        ([once, shuffled]) => {
          const straight = once.reduce(merge, nothing);
          expect(stateOf(shuffled.reduce(merge, nothing))).toEqual(stateOf(straight));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('keep the later write of each, regardless of who wrote the others', () => {
    const first: Version = { counter: 1, hlc: 1, node: 'a' };
    const later: Version = { counter: 2, hlc: 1, node: 'b' };
    const whole: Registers = {
      values: { project: 'x', title: 'x' },
      written: { base: first, units: new Map() },
    };
    const update: Registers = {
      values: { title: 'y' },
      written: { base: first, units: new Map([['title', later]]) },
    };
    expect(merge(whole, update).values).toEqual({ project: 'x', title: 'y' });
    expect(merge(merge(nothing, update), whole).values).toEqual({ project: 'x', title: 'y' });
  });

  it('can be set to NULL, which differs from never having a value', () => {
    const first: Version = { counter: 1, hlc: 1, node: 'a' };
    const cleared: Version = { counter: 2, hlc: 1, node: 'a' };
    const whole: Registers = { values: { title: 'x' }, written: { base: first, units: new Map() } };
    const empty: Registers = { values: {}, written: { base: cleared, units: new Map() } };
    const clears: Registers = {
      values: { title: null },
      written: { base: first, units: new Map([['title', cleared]]) },
    };
    expect(merge(whole, empty).values['title']).toBe('x');
    expect(merge(whole, clears).values['title']).toBeNull();
  });
});
