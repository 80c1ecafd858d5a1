import { describe, expect, it } from 'vitest';
import { MUTATIONS } from './mutations.ts';
import { runMutated } from './mutate.ts';
import { commandFor, runMany } from './run.ts';

/** Histories of one test run; `npm run sim` runs 10,000. */
const HISTORIES = 300;
const SEED = 1;

/** How many histories a broken engine may survive before it counts as undetected. */
const PATIENCE = 120;

describe('simulated fleets', () => {
  it(
    `lose, duplicate and invent nothing and converge in ${HISTORIES} histories`,
    { timeout: 900_000 },
    async () => {
      const report = await runMany({ seed: SEED, histories: HISTORIES, workers: 2 });
      const failures = report.failures.map(({ history, outcome }) => ({
        repeat: commandFor(SEED, history),
        ...outcome,
        faults: undefined,
      }));
      expect(failures).toEqual([]);
      expect(report.histories).toBe(HISTORIES);
      // Every fault of the list must really have struck.
      expect(Object.values(report.faults).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(HISTORIES);
    },
  );
});

describe('an engine that is broken on purpose', () => {
  it.each(MUTATIONS)('is caught: $breaks', { timeout: 300_000 }, async (mutation) => {
    const report = await runMutated(mutation, { seed: SEED, histories: PATIENCE });
    expect(report.failures.length).toBeGreaterThan(0);
  });
});
