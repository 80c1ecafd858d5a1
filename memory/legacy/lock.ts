import { randomUUID } from 'node:crypto';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { legacyKeys, parseLock, type LockBody } from './objects.ts';
import { shellWord } from './shell-word.ts';
import type { LegacyStore } from './transfer.ts';

/** How long another host's lock is valid: the original's LOCK_TTL_SECONDS plus STALE_LOCK_GRACE_SECONDS. */
export const LOCK_SECONDS = 7_200 + 60;

/** Time limit for releasing, in milliseconds, also after the publication was canceled. */
const RELEASE_MS = 10_000;

export interface LockHolder {
  /** This machine's name in the original: the host name. */
  readonly hostname: string;
  readonly lockSeconds: number;
  /** Returns epoch milliseconds. */
  readonly now: () => number;
  /** Takes the lock from any holder: the original's FORCE_PUSH=1. */
  readonly force: boolean;
}

/**
 * Takes the original's push lock by its rules. This host's own lock can be taken again. Another host's lock
 * is valid for its lifetime plus the grace period, but a person may take it at any time. Best effort, like
 * the original, which uses no conditional write. Unlike the original, the lock is released.
 * @throws MembridgeError conflict, with the holder, its times and how to take the lock; store_*
 */
export async function takeLock(
  store: LegacyStore,
  config: SpaceConfig,
  holder: LockHolder,
): Promise<{ release(): Promise<void> }> {
  const key = legacyKeys(config.cid).lock;
  const refuseIfHeld = (text: string | null): void => {
    const lock = text === null ? null : parseLock(text);
    if (lock === null || lock.hostname === holder.hostname) return;
    const age = Math.floor(holder.now() / 1_000) - lock.timestamp;
    if (age <= holder.lockSeconds)
      throw lockedError(key, lock, { ...holder, age, projectId: config.projectId });
  };
  if (!holder.force) refuseIfHeld(await store.text(key));
  const token = randomUUID();
  const body = {
    hostname: holder.hostname,
    timestamp: Math.floor(holder.now() / 1_000),
    project: config.projectId,
    canonical_id: config.cid,
    token,
  };
  await store.put(key, JSON.stringify(body, null, 2));
  // Two hosts that checked at the same moment both wrote: the later write wins, even against a person's.
  refuseIfHeld(await store.text(key));
  return {
    release: async () => {
      const own = store.detached(RELEASE_MS);
      const held = await own.text(key);
      if (held !== null && parseLock(held)?.token === token) await own.remove(key);
    },
  };
}

function lockedError(
  key: string,
  lock: LockBody,
  { age, lockSeconds, projectId }: { age: number; lockSeconds: number; projectId: string },
): MembridgeError {
  const since = formatSeconds(lock.timestamp);
  const until = formatSeconds(lock.timestamp + lockSeconds);
  const taken = age < 0 ? `at ${since}, which this clock has yet to reach` : `${age} s ago`;
  return new MembridgeError(
    'conflict',
    `${lock.hostname} took the push lock ${key} ${taken}. Nothing was published. ` +
      `The lock is held since ${since} and counts until ${until}, because the original's scripts never release it: ` +
      `try again in ${lockSeconds - age + 1} s. If no push runs on ${lock.hostname}, take the lock now: ` +
      `membridge legacy publish --project ${shellWord(projectId)} --force, or FORCE_PUSH=1 in config.env.`,
  );
}

/** Formats epoch seconds for people; a lock may contain any number. */
function formatSeconds(seconds: number): string {
  const time = new Date(seconds * 1_000);
  return Number.isNaN(time.getTime()) ? `second ${seconds}` : time.toISOString().replace('.000Z', 'Z');
}
