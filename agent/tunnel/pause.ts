/** The shortest and the longest pause before a tunnel is opened again, in milliseconds. */
const FIRST_MS = 500;
const LAST_MS = 15_000;

/**
 * Returns how long to wait before the next try to open a tunnel, in milliseconds: a random time, up to as long as the outage has lasted.
 * After a restart of the control plane a thousand agents then come back over seconds, not at once.
 * @param outageMs since the first failure; null when the last try worked
 * @param random from 0 to 1
 */
export function pauseBeforeTry(outageMs: number | null, random: number): number {
  if (outageMs === null) return 0;
  const longest = Math.min(Math.max(2 * FIRST_MS, outageMs), LAST_MS);
  return FIRST_MS + random * (longest - FIRST_MS);
}
