import { pruneOutput } from '../../db/queries/task-output.ts';
import { readTaskSettings } from '../../db/queries/task-settings.ts';
import { expireArtifacts, listRemovableBlobs, removeBlobOnce } from '../../db/queries/expire-artifacts.ts';
import { purgeAside, setBlobAside } from '../../storage/blobs.ts';
import type { Deps } from '../deps.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How many artifacts expire in one transaction, and how many contents are checked at a time. */
const BATCH_ARTIFACTS = 200;

/**
 * How long set-aside bytes are kept, in milliseconds: far longer than a worker's report takes from storing a result
 * to its record.
 */
const ASIDE_MS = 7 * DAY_MS;

/** The result of a round of retention. */
interface Retained {
  /** Rows of live output that were removed. */
  readonly output: number;
  /** Expired artifacts. */
  readonly expired: number;
  /** Contents that were removed from the store. */
  readonly removed: number;
}

/**
 * Removes what is older than the task settings allow: rows of live output, and artifacts.
 * Artifacts are removed in three steps. Each step may be interrupted, and the next round repeats it. First their rows
 * are marked as expired. Then the bytes of each content without a reference are set aside, under a lock that a record
 * of a new artifact also takes (`removeBlobOnce`). A record that refers to a content with an expired artifact brings
 * the bytes back. So a worker that stored the same content just before loses nothing (`setBlobAside`). After a week
 * the bytes are removed for good.
 * @throws MembridgeError when PostgreSQL or the object store is away
 */
export async function applyRetention(deps: Pick<Deps, 'db' | 'store' | 'now'>): Promise<Retained> {
  const { db, store, now } = deps;
  const { output_hours: hours, artifact_days: days } = await db.run(readTaskSettings);
  const output = await pruneOutput(db, { before: now() - hours * HOUR_MS });
  let expired = 0;
  for (let more = days !== null; more;) {
    const kept = days ?? 0;
    const before = now() - kept * DAY_MS;
    const ended = await expireArtifacts(db, { before, days: kept, limit: BATCH_ARTIFACTS, now: now() });
    expired += ended;
    more = ended === BATCH_ARTIFACTS;
  }
  let removed = 0;
  for (let after = ''; ;) {
    const contents = await listRemovableBlobs(db, { after, limit: BATCH_ARTIFACTS });
    for (const sha256 of contents) {
      if (await removeBlobOnce(db, { sha256, now: now() }, () => setBlobAside(store, sha256))) removed += 1;
    }
    const last = contents.at(-1);
    if (last === undefined || contents.length < BATCH_ARTIFACTS) break;
    after = last;
  }
  await purgeAside(store, now() - ASIDE_MS);
  return { output, expired, removed };
}
