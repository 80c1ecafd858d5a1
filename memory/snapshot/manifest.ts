import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { isSignedBy } from '../pull/acks.ts';
import { canonicalJson } from '../format/canonical-json.ts';
import {
  manifestKey,
  parseSnapshotKey,
  snapshotTime,
  snapshotsPrefix,
  type SegmentName,
  type SnapshotName,
} from '../format/layout.ts';
import type { SyncSession } from '../session.ts';
import { signBytes, type NodeKey } from '../format/signing.ts';
import { MAX_DRIFT_MS, clockAt } from '../format/versions.ts';

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const ManifestBody = z.object({
  format: z.literal('membridge-snapshot/1'),
  space: z.string(),
  node: z.string(),
  id: z.string(),
  key_id: z.string(),
  /** When it was begun, epoch milliseconds. */
  at: z.number().int(),
  /** The hybrid clock of the latest write in it; a restore to an earlier time cannot start from it. */
  newest: z.number().int(),
  /** The segments that every incarnation of every node had sent; the snapshot covers them. */
  covers: z.array(
    z.object({ node: z.string(), epoch: z.string(), seq: z.number().int(), hashes: z.array(z.string()) }),
  ),
  /**
   * The covered segments that were in the store, by "node/epoch" as "seq-hash": exact even for a cloned
   * machine.
   */
  segments: z.record(z.string(), z.array(z.string())),
  /** The parts in order, each stored as a segment. */
  parts: z.array(z.object({ sha256: Sha256, bytes: z.number().int(), operations: z.number().int() })),
  /** Memories by kind, deletions, and waiting operations. */
  counts: z.record(z.string(), z.number().int()),
  /** SHA-256 over all operations, each with its newline. */
  operations_sha256: Sha256,
});
export type ManifestBody = z.infer<typeof ManifestBody>;

const ManifestObject = ManifestBody.extend({ signature: z.string() });

/** A manifest with a valid signature of its node. */
export interface Manifest extends ManifestBody {
  readonly name: SnapshotName;
  /** When the store received the last object, epoch milliseconds by the store's clock. */
  readonly stored: number;
}

/** All objects of one snapshot in the store. */
export interface ListedSnapshot {
  readonly name: SnapshotName;
  readonly hasManifest: boolean;
  /** When the store received the last object, epoch milliseconds by the store's clock. */
  readonly modified: number;
  readonly keys: readonly string[];
}

/** Returns the bytes of a signed manifest. */
export function sealManifest(body: ManifestBody, key: NodeKey): Buffer {
  const signature = signBytes(key, Buffer.from(canonicalJson(body), 'utf8'));
  return Buffer.from(`${canonicalJson({ ...body, signature })}\n`, 'utf8');
}

/**
 * Reads a manifest.
 * @returns null when it is missing, not signed by its node, or stored under the wrong name
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function readManifest(
  session: SyncSession,
  cid: string,
  { name, modified: stored }: Pick<ListedSnapshot, 'name' | 'modified'>,
): Promise<Manifest | null> {
  const bytes = await session.store.get(manifestKey(cid, name));
  if (bytes === null) return null;
  try {
    const { signature, ...body } = ManifestObject.parse(JSON.parse(bytes.toString('utf8')));
    if (body.space !== cid || body.node !== name.node || body.id !== name.id) return null;
    if (!(await isSignedBy(session, cid, body, canonicalJson(body), signature))) return null;
    return { ...body, name, stored };
  } catch (error) {
    if (error instanceof MembridgeError) throw error;
    return null;
  }
}

/**
 * Lists the snapshots of a space, the newest first, complete or not.
 * @throws MembridgeError store_*
 */
export async function listSnapshots(
  session: Pick<SyncSession, 'store'>,
  cid: string,
): Promise<ListedSnapshot[]> {
  const found = new Map<
    string,
    { name: SnapshotName; hasManifest: boolean; modified: number; keys: string[] }
  >();
  for (const { key, modified } of await session.store.list(snapshotsPrefix(cid))) {
    const parsed = parseSnapshotKey(cid, key);
    if (parsed === null) continue;
    const { name, isManifest } = parsed;
    const place = `${name.id}/${name.node}`;
    const snapshot = found.get(place) ?? { name, hasManifest: false, modified: 0, keys: [] };
    snapshot.hasManifest ||= isManifest;
    snapshot.modified = Math.max(snapshot.modified, modified);
    snapshot.keys.push(key);
    found.set(place, snapshot);
  }
  return [...found].sort(([a], [b]) => (a < b ? 1 : -1)).map(([, snapshot]) => snapshot);
}

/**
 * Returns the hybrid clock of the latest write in a snapshot. A clock that is ahead does not put it into the
 * future: all its writes existed when it was begun.
 */
export const latestPlausibleClock = ({ newest, at }: ManifestBody): number =>
  Math.min(newest, clockAt(at + MAX_DRIFT_MS));

/** Returns whether a snapshot was taken before another one. */
export const isOlder = (a: SnapshotName, b: SnapshotName): boolean =>
  snapshotTime(a) !== snapshotTime(b)
    ? snapshotTime(a) < snapshotTime(b)
    : `${a.id}/${a.node}` < `${b.id}/${b.node}`;

/**
 * Returns the name under which a part is sealed, verified and stored: under an incarnation that no node can
 * have.
 */
export function partName(manifest: Pick<Manifest, 'name' | 'parts'>, index: number): SegmentName {
  const hash = manifest.parts[index]?.sha256.slice(0, 32) ?? '';
  return { node: manifest.name.node, epoch: partIncarnation(manifest.name), seq: index + 1, hash };
}

export const partIncarnation = ({ id }: SnapshotName): string => `snap${id.replace('-', '')}`;

/** Returns a test for whether a snapshot covers a segment. */
export function coverageTest(manifest: ManifestBody): (name: SegmentName) => boolean {
  const sets = new Map(Object.entries(manifest.segments).map(([place, names]) => [place, new Set(names)]));
  return ({ node, epoch, seq, hash }) => sets.get(`${node}/${epoch}`)?.has(`${seq}-${hash}`) === true;
}
