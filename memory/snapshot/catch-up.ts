import { errorMessage } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { MAX_STAGED_SEGMENTS, listAll, verifyFetched } from '../pull/fetch.ts';
import { segmentKey, type ListedSegment, type SegmentName } from '../format/layout.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import type { Operation } from '../format/operation.ts';
import { readOperations } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import { coverageTest, listSnapshots, partName, readManifest, type Manifest } from './manifest.ts';
import { fetchPart, isOfTheStore } from './verify.ts';
import { trustOf } from '../space/trust.ts';

/** The result of catching up from snapshots. */
export interface CaughtUp {
  parts: number;
  /** Snapshots that could not be used, with the reason; an older one or the segments replaced them. */
  problems: { node: string; problem: string }[];
}

/**
 * Takes a space's memories from a snapshot where segments that this node lacks were collected. Uses this
 * node's own snapshot where its ledger knows nothing of the space. Fetching continues after it. Restartable:
 * applied parts are not fetched again.
 * @param apply called after each staged part
 * @throws MembridgeError store_unavailable or store_refused; what was applied stays
 */
export async function catchUp(
  session: SyncSession,
  config: SpaceConfig,
  apply: () => Promise<void>,
): Promise<CaughtUp> {
  const { ledger } = session;
  const { cid } = config;
  const caught: CaughtUp = { parts: 0, problems: [] };
  const complete = (await listSnapshots(session, cid)).filter(({ hasManifest }) => hasManifest);
  let listed: Map<string, ListedSegment[]> | null = null;
  for (const { name, modified } of complete) {
    session.signal.throwIfAborted();
    if (trustOf(config, name.node) !== 'accept') continue;
    const manifest = await readManifest(session, cid, { name, modified });
    if (manifest === null) {
      caught.problems.push({ node: name.node, problem: `snapshot ${name.id} has no valid manifest` });
      continue;
    }
    const space = ledger.spaces.get(cid);
    const isNew = ledger.coverage.listReaches(space.id).length === 0;
    const behind = findGaps(session, space, manifest);
    if (behind.length === 0) return caught;
    listed ??= await listAll(session, cid);
    // Segments that still exist are read anyway, so another node's snapshot has nothing to add.
    const isOwnOfNew = isNew && name.node === session.identity.node;
    if (!isOwnOfNew && behind.every((gap) => isListed(gap, listed?.get(gap.node) ?? []))) return caught;
    try {
      caught.parts += await usePartsOf(session, space, manifest, apply);
    } catch (error) {
      if (isOfTheStore(error)) throw error;
      const problem = `snapshot ${name.id} was not used: ${errorMessage(error)}`;
      caught.problems.push({ node: name.node, problem });
      continue;
    }
    const lacking = await checkSnapshotContents(session, cid, config, behind, coverageTest(manifest), listed);
    if (lacking !== null) {
      caught.problems.push({
        node: name.node,
        problem: `snapshot ${name.id} was not used: ${lacking}`,
      });
      continue;
    }
    countAsUsed(session, cid, manifest, listed);
    return caught;
  }
  return caught;
}

/** A range of one incarnation that a snapshot covers and this node has not used: above `from`, up to `to`. */
interface Gap {
  readonly node: string;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
}

function findGaps({ ledger }: SyncSession, space: LedgerSpace, manifest: Manifest): Gap[] {
  const here = new Map(
    ledger.coverage.listReaches(space.id).map(({ node, epoch, seq }) => [`${node}/${epoch}`, seq]),
  );
  return manifest.covers
    .map(({ node, epoch, seq }) => ({ node, epoch, from: here.get(`${node}/${epoch}`) ?? 0, to: seq }))
    .filter(({ from, to }) => from < to);
}

/** Returns whether the store has every segment of a range. */
function isListed({ epoch, from, to }: Gap, names: readonly SegmentName[]): boolean {
  const there = new Set(names.filter((name) => name.epoch === epoch).map(({ seq }) => seq));
  for (let seq = from + 1; seq <= to; seq += 1) if (!there.has(seq)) return false;
  return true;
}

/**
 * Stages and applies the parts of a snapshot.
 * @returns how many were fetched.
 * @throws Error when one is damaged
 */
async function usePartsOf(
  session: SyncSession,
  space: LedgerSpace,
  manifest: Manifest,
  apply: () => Promise<void>,
): Promise<number> {
  const { ledger } = session;
  let fetched = 0;
  let staged: SegmentName[] = [];
  for (const index of manifest.parts.keys()) {
    session.signal.throwIfAborted();
    const name = partName(manifest, index);
    if (!ledger.inbox.has(space.id, name)) {
      const bytes = await fetchPart(session, space.cid, manifest, index);
      ledger.atomically(() => ledger.inbox.stage(space.id, name, bytes, session.now()));
      fetched += 1;
    }
    staged.push(name);
    if (staged.length < MAX_STAGED_SEGMENTS && index < manifest.parts.length - 1) continue;
    await apply();
    for (const each of staged) {
      const problem = ledger.inbox.problemOf(space.id, each);
      if (problem !== null) throw new Error(problem);
    }
    staged = [];
  }
  return fetched;
}

/**
 * Checks that an applied snapshot really contained what it claims to cover. Compares it with the last segment
 * of each range that the store still has. No later step would notice a gap, because nodes never fetch segments
 * that count as used.
 * @returns what it lacks, in words; null when nothing was found
 */
async function checkSnapshotContents(
  session: SyncSession,
  cid: string,
  config: SpaceConfig,
  gaps: readonly Gap[],
  isCovered: (name: SegmentName) => boolean,
  listed: ReadonlyMap<string, readonly ListedSegment[]>,
): Promise<string | null> {
  const { ledger, store, identity } = session;
  const space = ledger.spaces.get(cid).id;
  for (const { node, epoch } of gaps) {
    const name = listed.get(node)?.findLast((each) => each.epoch === epoch && isCovered(each));
    if (name === undefined || trustOf(config, node) !== 'accept') continue;
    const bytes = await store.get(segmentKey(cid, name));
    if (bytes === null) continue;
    let operations: Operation[];
    try {
      await verifyFetched(session, cid, name, bytes, name.modified);
      operations = readOperations(bytes, identity.sealingKeys).operations;
    } catch (error) {
      if (isOfTheStore(error)) throw error;
      // An unreadable segment is no evidence against the snapshot.
      continue;
    }
    // A snapshot leaves out sessions that have another name now.
    const lacking = operations.filter(
      ({ kind, key }) =>
        kind !== 'session' && ledger.entities.byKey(key) === null && !ledger.inbox.isWaiting(space, key),
    );
    if (lacking.length > 0) return `it lacks ${lacking.length} memories of segment ${name.seq} of ${node}`;
  }
  return null;
}

/**
 * Records what a snapshot covered as used, in one transaction. Another node's snapshot counts only where the
 * store has no segments. This node reads existing segments as well, because the snapshot's writer may have left
 * memories out.
 */
function countAsUsed(
  session: SyncSession,
  cid: string,
  manifest: Manifest,
  listed: ReadonlyMap<string, readonly SegmentName[]>,
): void {
  const { ledger, identity } = session;
  const isCovered = coverageTest(manifest);
  ledger.atomically(() => {
    const space = ledger.spaces.get(cid);
    if (manifest.name.node === identity.node) {
      const names = [...listed.values()].flat().filter(isCovered);
      ledger.inbox.markCovered(space.id, names, session.now());
    }
    for (const reach of manifest.covers) {
      ledger.coverage.raise(space.id, reach);
      // This node's own incarnation continued beyond what the ledger knows: the ledger was rolled back.
      if (reach.node === identity.node && reach.epoch === space.incarnation && reach.seq > space.seq) {
        ledger.spaces.beginIncarnation(cid, session.now());
      }
    }
  });
}
