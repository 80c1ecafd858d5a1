import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { canonicalId } from '../contract/memory/canonical-id.ts';
import type { MirrorOutcome } from '../contract/memory/mirror.ts';
import { freshDatabase } from '../test/support/control-plane.ts';
import { connectDatabase, type Database } from './connect.ts';
import { migrateDatabase } from './migrate.ts';
import { listJobs } from './queries/list-jobs.ts';
import { recordLeadership, recordPrimaryAction } from './queries/record-leadership.ts';
import { recordMirrorJob, type MirrorRound } from './queries/record-mirror-job.ts';

const cid = canonicalId('mem');
let db: Database;
let drop: () => Promise<void>;
let startedAt = 10;

beforeAll(async () => {
  const fresh = await freshDatabase(inject('parts').databaseUrl);
  drop = () => fresh.drop();
  db = connectDatabase(fresh.url, { onIdleError: () => undefined });
  await migrateDatabase(db);
  const state = {
    cid,
    primary: 'a',
    epoch: 1,
    leaseSeconds: 60,
    issuedAt: 1,
    expiresAt: 100,
    issuedBy: 'test',
  };
  await recordLeadership(db, { state, event: 'selected', by: 'test', now: 1 });
});
afterAll(async () => {
  await db.close();
  await drop();
});

const outcome = (published: boolean, imported: number): MirrorOutcome => ({
  line: `${published ? 'published' : 'unchanged'}; ${imported} came in`,
  published,
  imported,
  requests: 1,
  bytesUp: 2,
  bytesDown: 3,
  everyMs: 1,
});

/**
 * Records one round.
 * @returns how many jobs it left
 */
async function round(ended: Partial<MirrorRound>): Promise<number> {
  startedAt += 1;
  const before = (await listJobs(db, { limit: 200 })).length;
  const input: MirrorRound = {
    cid,
    project: 'mem',
    node: 'a',
    jobId: `job_${startedAt}`,
    isAsked: false,
    workflowId: 'w',
    runId: 'r',
    startedAt,
    outcome: null,
    error: null,
    ...ended,
  };
  for (let time = 0; time < 2; time += 1) await recordMirrorJob(db, { ...input, now: startedAt + 5 });
  await recordPrimaryAction(db, {
    cid,
    node: 'a',
    epoch: 1,
    what: 'mirror',
    error: input.error?.message ?? null,
    now: startedAt + 5,
  });
  return (await listJobs(db, { limit: 200 })).length - before;
}

test('leaves a job when memories were imported or something was published, and none otherwise', async () => {
  expect(await round({ outcome: outcome(false, 0) })).toBe(0);
  expect(await round({ outcome: outcome(false, 12) })).toBe(1);
  expect(await round({ outcome: outcome(true, 0) })).toBe(1);
  const [latest] = await listJobs(db, { limit: 1 });
  expect(latest).toMatchObject({ status: 'completed', detail: 'mirror: published; 0 came in', ms: 5 });
});

test('leaves one job for a repeated failure, even if its ages and times differ', async () => {
  const held = (age: number) => ({ code: 'conflict', message: `old-laptop took the lock ${age} s ago.` });
  expect(await round({ error: held(60) })).toBe(1);
  expect(await round({ error: held(660) })).toBe(0);
  expect(await round({ error: { code: 'mirror_guarded', message: '532 would become 0.' } })).toBe(1);
  expect(await round({ error: held(1_260) })).toBe(1);
  expect(await round({ error: held(1_860), isAsked: true })).toBe(1);
  expect(await round({ outcome: outcome(false, 0) })).toBe(0);
  expect(await round({ error: held(2_460) })).toBe(1);
});
