import { expect, it } from 'vitest';
import { pauseBeforeTry } from './pause.ts';

it.each([
  // Outage in ms, random number, pause in ms.
  [null, 0.5, 0],
  [0, 0, 500],
  [0, 1, 1_000],
  [900, 0.5, 750],
  [4_500, 0.5, 2_500],
  [60_000, 0, 500],
  [60_000, 1, 15_000],
])('waits after an outage of %s ms, with the random number %s, for %s ms', (outage, random, pause) => {
  expect(pauseBeforeTry(outage, random)).toBe(pause);
});
