import { randomUUID } from 'node:crypto';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory.ts';
import { legacyKeys, parseLock } from './objects.ts';
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
}

/**
 * Takes the lock of the original's pushes by the original's rules: this host's own lock is taken again, another host's
 * counts until it is older than the time to live and the grace. Best effort, as the original's: it knows no
 * conditional write. Unlike the original's it is released.
 * @throws MembridgeError conflict, saying who holds it and for how long; store_*
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
    if (age > holder.lockSeconds) return;
    throw new MembridgeError(
      'conflict',
      `${lock.hostname} took the push lock ${key} ${age} s ago. Nothing was published. The original's scripts never release it: try again in ${holder.lockSeconds - age + 1} s, or remove that object if no push runs there.`,
    );
  };
  refuseIfHeld(await store.text(key));
  const token = randomUUID();
  const body = {
    hostname: holder.hostname,
    timestamp: Math.floor(holder.now() / 1_000),
    project: config.projectId,
    canonical_id: config.cid,
    token,
  };
  await store.put(key, JSON.stringify(body, null, 2));
  // Two who looked at the same moment both wrote: the later stands.
  const now = await store.text(key);
  refuseIfHeld(now);
  return {
    release: async () => {
      const own = store.detached(RELEASE_MS);
      const held = await own.text(key);
      if (held !== null && parseLock(held)?.token === token) await own.remove(key);
    },
  };
}
