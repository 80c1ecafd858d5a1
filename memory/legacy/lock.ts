import { randomUUID } from 'node:crypto';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { legacyKeys, parseLock, type LockBody } from './objects.ts';
import { shellWord } from './shell-word.ts';
import type { LegacyStore } from './transfer.ts';

/** The original's LOCK_TTL_SECONDS and STALE_LOCK_GRACE_SECONDS: another host's lock counts for so long. */
export const LOCK_SECONDS = 7_200 + 60;

/** How long releasing may take, in milliseconds, also when the publication was called off. */
const RELEASE_MS = 10_000;

export interface LockHolder {
  /** This machine as the original names it: the host's name. */
  readonly hostname: string;
  readonly lockSeconds: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Take the lock whoever holds it: the original's FORCE_PUSH=1. */
  readonly force: boolean;
}

/**
 * Takes the lock of the original's pushes by the original's rules: this host's own lock is taken again, another host's
 * counts until it is older than the time to live and the grace, and a person may take it at any time. Best effort, as the
 * original's: it knows no conditional write. Unlike the original's it is released.
 * @throws MembridgeError conflict, saying who holds it since when, until when, and how to take it; store_*
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
    if (age <= holder.lockSeconds) throw heldBy(key, lock, { ...holder, age, projectId: config.projectId });
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
  // Two who looked at the same moment both wrote: the later one has it, also against a person who took it.
  refuseIfHeld(await store.text(key));
  return {
    release: async () => {
      const own = store.detached(RELEASE_MS);
      const held = await own.text(key);
      if (held !== null && parseLock(held)?.token === token) await own.remove(key);
    },
  };
}

function heldBy(
  key: string,
  lock: LockBody,
  { age, lockSeconds, projectId }: { age: number; lockSeconds: number; projectId: string },
): MembridgeError {
  const since = timeOf(lock.timestamp);
  const until = timeOf(lock.timestamp + lockSeconds);
  const taken = age < 0 ? `at ${since}, which this clock has yet to reach` : `${age} s ago`;
  return new MembridgeError(
    'conflict',
    `${lock.hostname} took the push lock ${key} ${taken}. Nothing was published. ` +
      `The lock is held since ${since} and counts until ${until}, because the original's scripts never release it: ` +
      `try again in ${lockSeconds - age + 1} s. If no push runs on ${lock.hostname}, take the lock now: ` +
      `membridge legacy publish --project ${shellWord(projectId)} --force, or FORCE_PUSH=1 in config.env.`,
  );
}

/** Epoch seconds for people; a lock may state any number. */
function timeOf(seconds: number): string {
  const time = new Date(seconds * 1_000);
  return Number.isNaN(time.getTime()) ? `second ${seconds}` : time.toISOString().replace('.000Z', 'Z');
}
