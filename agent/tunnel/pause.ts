/** The shortest and the longest pause before a tunnel is opened again, in milliseconds. */
const FIRST_MS = 500;
const LAST_MS = 15_000;

/**
 * Returns how long to wait before the next try to open a tunnel, in milliseconds. The time is random, at most as long
 * as the outage has lasted. So after a restart of the control plane, a thousand agents return over seconds, not all
 * at once.
 * @param outageMs since the first failure; null when the last try worked
 * @param random from 0 to 1
 */
export function pauseBeforeTry(outageMs: number | null, random: number): number {
  if (outageMs === null) return 0;
  const longest = Math.min(Math.max(2 * FIRST_MS, outageMs), LAST_MS);
  return FIRST_MS + random * (longest - FIRST_MS);
}
