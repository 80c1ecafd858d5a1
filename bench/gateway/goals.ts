import type { Result } from '../results.ts';

/** Something for each of the two ways to Temporal or to the object store. */
export interface Ways<T> {
  readonly direct: T;
  readonly through: T;
}

/** Adds its goal to a figure. */
export function goalOf(result: Result, goal: string, met: boolean): Result {
  return { ...result, goal, met };
}
