import { basename } from 'node:path';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { readAcks, type Ack } from '../pull/acks.ts';
import {
  certificatesPrefix,
  parseSegmentKey,
  segmentKey,
  segmentPrefix,
  snapshotTime,
  type SegmentName,
} from '../format/layout.ts';
import { readKeys } from '../push/publish.ts';
import type { SyncSession } from '../session.ts';
import {
  coverageTest,
  isOlder,
  latestPlausibleClock,
  listSnapshots,
  readManifest,
  type ListedSnapshot,
  type Manifest,
} from './manifest.ts';
import {
  SnapshotMemories,
  describeMissingFromSegments,
  describeMissingFromSnapshot,
} from './snapshot-memories.ts';
import { verifySnapshot } from './verify.ts';
import { trustOf } from '../space/trust.ts';
import { clockAt } from '../format/versions.ts';

const DAY_MS = 24 * 3_600_000;

/** Default window for a restore to a point in time, in milliseconds. */
const RESTORE_WINDOW_MS = 30 * DAY_MS;

/**
 * Collection stops waiting for a node without a sign of life for this long. Such a node starts from a
 * snapshot when it returns.
 */
const LIVE_MS = 30 * DAY_MS;

/** Snapshot parts without a manifest after this long belong to an interrupted snapshot. */
const CUT_OFF_MS = DAY_MS;

export interface CollectOptions {
  /** How far back a restore to a point in time must be possible, in milliseconds; 30 days when absent. */
  readonly windowMs?: number;
}

/** The result of a collection, and what prevents it from removing more. */
export interface Collected {
  readonly segments: number;
  readonly snapshots: number;
  /** Objects of interrupted snapshots. */
  readonly remnants: number;
  /** Total bytes removed. */
  readonly bytes: number;
  /** The snapshot that holds the removed memories; null when no snapshot is old enough. */
  readonly base: string | null;
  /** Live nodes that have not used everything that could otherwise be removed. */
  readonly waitsFor: readonly string[];
  /** Snapshots that failed verification, with the reason. */
  readonly problems: readonly string[];
}

/**
 * Removes objects of this node that no node needs any longer.
 *
 * A segment is removed when all of this holds:
 * - A trusted node's snapshot older than the restore window holds it, so that every time in the window has a
 *   snapshot before it. This call has read that snapshot whole, verified its signature, and found in it every
 *   memory of the removed segments.
 * - Every live node has acknowledged the segment. A node is live with an ack of the last 30 days. Without any
 *   ack, a certificate of the last 30 days is enough.
 * - No other object lies at its place or needs it to prove its predecessor; incarnations of a cloned machine
 *   are left alone.
 *
 * A snapshot is removed when a later, verified one holds everything that it holds. The latest old snapshot
 * always stays, even one of another node, so nodes that collect concurrently cannot remove each other's base.
 * @throws MembridgeError store_unavailable or store_refused; safe to call again
 */
export async function collectOwn(
  session: SyncSession,
  config: SpaceConfig,
  options: CollectOptions,
): Promise<Collected> {
  const { ledger, store, identity } = session;
  const { cid } = config;
  const now = session.now();
  const before = now - (options.windowMs ?? RESTORE_WINDOW_MS);
  const snapshots = await listSnapshots(session, cid);
  const sizes = new Map<string, number>();
  let bytes = 0;
  const remove = async (key: string): Promise<void> => {
    session.signal.throwIfAborted();
    await store.remove(key);
    bytes += sizes.get(key) ?? 0;
  };
  const own = snapshots.filter(({ name }) => name.node === identity.node);

  let remnants = 0;
  for (const { name, hasManifest, keys } of own) {
    if (hasManifest || snapshotTime(name) > now - CUT_OFF_MS) continue;
    for (const key of keys) {
      await remove(key);
      remnants += 1;
    }
  }

  const names: SegmentName[] = [];
  for (const { key, size } of await store.list(segmentPrefix(cid, identity.node))) {
    const name = parseSegmentKey(cid, key);
    if (name === null) continue;
    names.push(name);
    sizes.set(key, size);
  }
  const problems: string[] = [];
  const nothing = { segments: 0, snapshots: 0, remnants, base: null, problems, bytes, waitsFor: [] };
  if (names.length === 0 && own.length < 2) return nothing;

  const living = await readLiveAcks(session, cid, now);
  const filed = new Set(ledger.inbox.listUsedOf(ledger.spaces.get(cid).id, identity.node).map(positionOf));
  const forked = new Set(
    names.filter((name, at) => hasSamePosition(name, names[at + 1])).map(({ epoch }) => epoch),
  );
  const waitsFor = new Set<string>();
  /** Returns the segments that are no longer needed once a snapshot replaces them. */
  const behind = (manifest: Manifest): SegmentName[] => {
    const isCovered = coverageTest(manifest);
    return names.filter((name) => {
      if (!isCovered(name) || !filed.has(positionOf(name)) || forked.has(name.epoch)) return false;
      const missing = [...living].filter(([, ack]) => !hasUsed(ack, name)).map(([node]) => node);
      for (const node of missing) waitsFor.add(node);
      return missing.length === 0;
    });
  };
  const told = new SnapshotMemories(ledger);
  const base = await findNewest(session, config, snapshots, before, { told, behind, problems });
  if (base === null) return nothing;
  const unneeded = behind(base);
  // The ledger first: otherwise a full listing would take these segments for lost, and send everything again.
  ledger.atomically(() => ledger.inbox.markCollected(ledger.spaces.get(cid).id, unneeded));
  for (const name of unneeded) await remove(segmentKey(cid, name));

  let removedSnapshots = 0;
  for (const snapshot of own) {
    if (!snapshot.hasManifest || !isOlder(snapshot.name, base.name)) continue;
    const manifest = await readManifest(session, cid, snapshot);
    // A snapshot that cannot be read may hold something that the base does not, so it stays.
    if (manifest === null || !coversAllOf(base, manifest)) continue;
    const kept = await describeMissingFromSnapshot(session, cid, manifest, told);
    if (kept !== null) {
      problems.push(`snapshot ${base.id} of ${base.node}: ${kept}`);
      continue;
    }
    // The manifest first: an interrupted removal then leaves remnants, not half a snapshot.
    for (const key of snapshot.keys.toSorted()) await remove(key);
    removedSnapshots += 1;
  }
  told.clear();
  return {
    segments: unneeded.length,
    snapshots: removedSnapshots,
    remnants,
    base: base.id,
    problems,
    bytes,
    waitsFor: [...waitsFor],
  };
}

interface Wanted {
  /** Receives the memories of the returned snapshot. */
  readonly told: SnapshotMemories;
  /** Returns the segments that a snapshot would replace. */
  readonly behind: (manifest: Manifest) => SegmentName[];
  readonly problems: string[];
}

/**
 * Returns the latest usable snapshot of a trusted node. It must be older than the window, by its name and by
 * the store's clock, and intact to the last byte. It must also hold every memory of the segments that it
 * would replace.
 */
async function findNewest(
  session: SyncSession,
  config: SpaceConfig,
  snapshots: readonly ListedSnapshot[],
  before: number,
  { told, behind, problems }: Wanted,
): Promise<Manifest | null> {
  const { cid } = config;
  for (const { name, hasManifest, modified } of snapshots) {
    if (!hasManifest || Math.max(snapshotTime(name), modified) > before) continue;
    if (trustOf(config, name.node) !== 'accept') continue;
    const manifest = await readManifest(session, cid, { name, modified });
    told.clear();
    let problem =
      manifest === null
        ? 'it has no valid manifest'
        : await verifySnapshot(session, cid, manifest, (lines) => told.addLines(lines));
    if (manifest !== null && problem === null) {
      if (latestPlausibleClock(manifest) > clockAt(before)) problem = 'it contains later writes';
      else problem = await describeMissingFromSegments(session, cid, behind(manifest), told);
      if (problem === null) return manifest;
    }
    problems.push(`snapshot ${name.id} of ${name.node}: ${problem ?? ''}`);
  }
  return null;
}

/** Returns the acks of live nodes except this one; null for a node that has written none yet. */
async function readLiveAcks(
  session: SyncSession,
  cid: string,
  now: number,
): Promise<Map<string, Ack | null>> {
  const { store, identity } = session;
  const acks = await readAcks(session, cid);
  const living = new Map<string, Ack | null>();
  for (const { key } of await store.list(certificatesPrefix(cid))) {
    const node = basename(key, '.json');
    if (node === identity.node) continue;
    const ack = acks.get(node) ?? null;
    if (ack !== null && ack.at >= now - LIVE_MS) living.set(node, ack);
    else if (ack === null) {
      const { certificates } = await readKeys(store, cid, node, identity.controlPublicKey);
      const issued = Math.max(...certificates.map(({ issued_at: at }) => at));
      if (issued >= now - LIVE_MS) living.set(node, null);
    }
  }
  return living;
}

const positionOf = ({ epoch, seq, hash }: SegmentName): string => `${epoch}/${seq}-${hash}`;

const hasSamePosition = (name: SegmentName, next: SegmentName | undefined): boolean =>
  next !== undefined && name.epoch === next.epoch && name.seq === next.seq;

const hasUsed = (ack: Ack | null, { node, epoch, seq }: SegmentName): boolean =>
  (ack?.applied[node]?.[epoch] ?? 0) >= seq;

/** Returns whether one snapshot covers everything that another one covers. */
function coversAllOf(later: Manifest, earlier: Manifest): boolean {
  const reached = new Map(later.covers.map(({ node, epoch, seq }) => [`${node}/${epoch}`, seq]));
  return earlier.covers.every(({ node, epoch, seq }) => (reached.get(`${node}/${epoch}`) ?? 0) >= seq);
}
