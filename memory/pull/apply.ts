import { errorMessage } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { freeBytes } from '../format/free-bytes.ts';
import { KINDS, UNITS } from '../format/kinds.ts';
import { parseSegmentName } from '../format/layout.ts';
import { MERGED_BEFORE_DELETION } from '../merge/deletions.ts';
import { judgeSegment } from './incoming-guard.ts';
import { isAllowed } from '../space/membership.ts';
import { latestUpdates } from '../merge/latest-updates.ts';
import type { StagedSegment } from '../ledger/inbox.ts';
import { readAlready, type Merged, type Merging, type Stretch } from '../merge/batches.ts';
import type { Merger } from '../merge/merger.ts';
import type { Outcome } from '../merge/merge-context.ts';
import { parseOperation, type Operation } from '../format/operation.ts';
import { readOperations } from '../format/segment.ts';
import { recordSigner } from '../merge/signed-writes.ts';
import type { SyncSession } from '../session.ts';
import { NOT_TRUSTED, listUntrusted } from '../space/trust.ts';
import { hasPassed } from '../format/versions.ts';

/** The result of one call. */
export interface Applied {
  operations: number;
  inserted: number;
  updated: number;
  deleted: number;
  waiting: number;
  /** Segments with operations that could not be used. */
  problems: { node: string; problem: string }[];
}

/** The unit numbers that record a session's progress (status, start, end, prompt count). */
const PROGRESS_UNITS = UNITS.session.flatMap(({ merge }, index) => (merge === 'lattice' ? [index] : []));

/** Sessions are applied before their rows; deletions last, and in the opposite order. */
const rank = ({ kind, type }: Operation): number =>
  type === 'delete' ? 2 * KINDS.length - KINDS.indexOf(kind) : KINDS.indexOf(kind);

/**
 * Applies every staged segment of a space, then retries rows that wait. Uses short exclusive transactions
 * with pauses between them. After a crash the work is repeated, without further effect.
 * @param merging the merge that this call belongs to; the caller closes it
 * @throws MembridgeError memory_locked, memory_corrupt, … ; staged segments stay for the next try
 */
export async function applyStaged(
  session: SyncSession,
  config: SpaceConfig,
  progress: (text: string) => void,
  merging: Merging,
): Promise<Applied> {
  const { ledger, clock } = session;
  const space = ledger.spaces.get(config.cid);
  const applied: Applied = { operations: 0, inserted: 0, updated: 0, deleted: 0, waiting: 0, problems: [] };
  const distrusted = listUntrusted(config);
  ledger.atomically(() => {
    ledger.inbox.holdFrom(space.id, distrusted);
    ledger.inbox.unparkReason(space.id, NOT_TRUSTED);
    for (const { id, node, stored: at } of ledger.inbox.listGuarded(space.id)) {
      if (isAllowed(session.membership, { cid: config.cid, node, at })) ledger.inbox.release(id);
    }
  });
  if (ledger.inbox.nextStaged(space.id) === null && ledger.inbox.countWaiting(space.id) === 0) return applied;

  const batches = merging.batches();
  const merged: Merged = (outcomes, refused) => {
    const count = (of: Outcome): number => outcomes.filter((outcome) => outcome === of).length;
    applied.inserted += count('inserted') - refused;
    applied.updated += count('updated');
    applied.deleted += count('deleted');
    progress(`merged ${applied.operations} rows`);
  };
  const mergedNew: Merged = (outcomes, refused) => {
    applied.operations += outcomes.length;
    merged(outcomes, refused);
  };
  const apply = (merger: Merger, { operation, staged }: StagedOperation): Outcome => {
    clock.receive(operation.version.hlc);
    const outcome = merger.apply(operation, staged.id, false);
    // A snapshot carries the writes of every node under one signature, which does not prove who wrote what.
    const isSigned = staged.node !== session.identity.node && !staged.epoch.startsWith('snap');
    if (isSigned) recordSigner(ledger, operation, staged);
    return outcome;
  };
  await batches.run(readStaged(session, config.cid, applied.problems), apply, mergedNew);

  // Retries are not new operations. Rows that still wait are counted once, from the ledger.
  const waiting = ledger.inbox
    .listWaiting(space.id)
    .map((entry) => ({ ...entry, operation: parseOperation(entry.line) }));
  waiting.sort((a, b) => rank(a.operation) - rank(b.operation));
  const retry = (merger: Merger, entry: (typeof waiting)[number]): Outcome => {
    const stub = hasPassed(entry.since, session.orphanWaitMs, session.now());
    const outcome = merger.apply(entry.operation, entry.origin, stub);
    if (outcome !== 'waiting') ledger.inbox.stopWaiting(space.id, entry.key, entry.version);
    const entity =
      outcome === 'updated' && entry.reason === MERGED_BEFORE_DELETION
        ? ledger.entities.byKey(entry.key)
        : null;
    if (entity !== null) session.changes.claim(entity, PROGRESS_UNITS);
    return outcome;
  };
  await batches.run(readAlready(waiting), retry, merged);
  applied.waiting = ledger.inbox.countWaiting(space.id);
  return applied;
}

/** An operation and the segment that brought it. */
interface StagedOperation {
  readonly operation: Operation;
  readonly staged: StagedSegment;
}

/**
 * Reads the staged segments of a space one at a time, each only after the one before it was applied. Sets
 * aside segments that cannot be read or must wait for a person.
 * @param problems receives what is wrong with segments that are applied nevertheless
 */
function* readStaged(
  session: SyncSession,
  cid: string,
  problems: Applied['problems'],
): Generator<Stretch<StagedOperation>> {
  const { ledger, identity } = session;
  const { inbox } = ledger;
  const space = ledger.spaces.get(cid).id;
  for (let staged = inbox.nextStaged(space); staged !== null; staged = inbox.nextStaged(space)) {
    const { id, node, done: before } = staged;
    let read: ReturnType<typeof readOperations>;
    try {
      read = readOperations(staged.bytes, identity.sealingKeys);
    } catch (error) {
      inbox.markUnreadable(id, errorMessage(error));
      continue;
    } finally {
      freeBytes(staged.bytes);
    }
    if (read.problems.length > 0) {
      const problem = `${read.problems.length} operations of segment ${staged.seq} could not be read (${read.problems[0]})`;
      problems.push({ node, problem });
      inbox.noteUnreadable(id, problem);
    }
    const isOwn = node === identity.node;
    const reason = isOwn ? null : judgeSegment(session, { space, cid }, staged, read);
    if (reason !== null) {
      inbox.guard(id, reason);
      continue;
    }
    // Sessions first, because their rows need them. A merge begun by an earlier version is finished in the
    // order in which it began.
    const operations = [...(before > 0 ? read.operations : latestUpdates(read.operations))];
    operations.sort((a, b) => rank(a) - rank(b));
    const of = staged;
    yield {
      items: operations.slice(before).map((operation) => ({ operation, staged: of })),
      filed: (done) => inbox.setDone(id, before + done),
      end: () =>
        ledger.atomically(() => {
          inbox.markApplied(id, isOwn);
          for (const name of read.header.heals ?? []) inbox.markHealed(space, parseSegmentName(name));
        }),
    };
  }
}
