import type { Membership } from '../../contract/memory/membership.ts';
import { readMembership } from '../../db/queries/read-membership.ts';
import { signMembership } from '../../memory/format/signing.ts';
import type { Deps } from '../deps.ts';

/** How long one reading serves all heartbeats, in milliseconds. */
const FRESH_MS = 1_000;

const known = new WeakMap<Deps['db'], { at: number; reading: Promise<Membership> }>();

/**
 * Returns the control plane's signed membership; reads it at most once a second, however many nodes report.
 * @throws MembridgeError database_unavailable
 */
export async function currentMembership({
  config,
  db,
  now,
}: Pick<Deps, 'config' | 'db' | 'now'>): Promise<Membership> {
  const at = now();
  const kept = known.get(db);
  if (kept !== undefined && Math.abs(at - kept.at) < FRESH_MS) return await kept.reading;
  const reading = readMembership(db, { now: at }).then((body) => signMembership(body, config.signingKey));
  known.set(db, { at, reading });
  reading.catch(() => known.delete(db));
  return await reading;
}
