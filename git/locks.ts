/**
 * Locks of another git in the same clone, for example while an editor fetches or a person commits. They are
 * nearly always gone within a second or two.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GitAnswer } from './run.ts';

/** Pauses between the tries, in milliseconds: three tries within four seconds. */
const WAITS_MS = [700, 2_300] as const;

/**
 * git's messages when another git holds a lock, or changed a ref at the same time. Does not match conflicting
 * names (`a` and `a/b`).
 */
const LOCKED_MESSAGE =
  /unable to create '[^']*\.lock': file exists|another git process seems to be running|cannot lock ref '[^']*': is at [0-9a-f]+ but expected|unable to lock|could not lock config file/i;

/** Returns whether a git command failed because of another git in the clone. */
export const isLocked = (stderr: string): boolean => LOCKED_MESSAGE.test(stderr);

/**
 * Repeats a git command while another git holds a lock that it needs.
 * @returns the last answer
 */
export async function retryWhileLocked(
  run: () => Promise<GitAnswer>,
  signal: AbortSignal | undefined,
): Promise<GitAnswer> {
  for (const ms of WAITS_MS) {
    const answer = await run();
    if (answer.code === 0 || !isLocked(answer.stderr)) return answer;
    await sleep(ms, null, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
  }
  return await run();
}
