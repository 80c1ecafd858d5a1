/** Names of objects in the store. Every object is content-named and immutable, but for heads and keys. */
import { NodeId } from '../../contract/http/primitives.ts';

/** Everything of a space's memory lies below this prefix. */
export const memoryPrefix = (cid: string): string => `projects/${cid}/memory/v1/`;

export const spaceKey = (cid: string): string => `${memoryPrefix(cid)}space.json`;
export const headPrefix = (cid: string): string => `${memoryPrefix(cid)}heads/`;
export const headKey = (cid: string, node: string): string => `${headPrefix(cid)}${node}`;
export const certificatesPrefix = (cid: string): string => `${memoryPrefix(cid)}keys/`;
export const certificateKey = (cid: string, node: string): string => `${certificatesPrefix(cid)}${node}.json`;
export const segmentsPrefix = (cid: string): string => `${memoryPrefix(cid)}seg/`;
export const segmentPrefix = (cid: string, node: string): string => `${segmentsPrefix(cid)}${node}/`;

const SEQ_DIGITS = 12;
const NAME_HASH_DIGITS = 32;

/** Where a segment lies: who wrote it, in which incarnation, as which in order, with which content. */
export interface SegmentName {
  readonly node: string;
  readonly epoch: string;
  readonly seq: number;
  /** The first 32 hex digits of SHA-256 over the whole object. */
  readonly hash: string;
}

/** A segment as a listing shows it. */
export interface ListedSegment extends SegmentName {
  /** When the store took it, by the store's clock, epoch ms. */
  readonly modified: number;
}

/** The segments of a space among listed objects; other objects are left out. */
export function parseListed(
  cid: string,
  objects: readonly { key: string; modified: number }[],
): ListedSegment[] {
  return objects.flatMap(({ key, modified }) => {
    const name = parseSegmentKey(cid, key);
    return name === null ? [] : [{ ...name, modified }];
  });
}

/** The object key of a segment. */
export function segmentKey(cid: string, name: SegmentName): string {
  const seq = String(name.seq).padStart(SEQ_DIGITS, '0');
  return `${segmentPrefix(cid, name.node)}${name.epoch}/${seq}-${name.hash}.mbs`;
}

/** Reads an object key back; null when it is no segment of this space. */
export function parseSegmentKey(cid: string, key: string): SegmentName | null {
  const prefix = segmentsPrefix(cid);
  if (!key.startsWith(prefix)) return null;
  const match = /^([^/]+)\/([0-9a-z]+)\/(\d{12})-([0-9a-f]{32})\.mbs$/.exec(key.slice(prefix.length));
  if (match === null) return null;
  const [, node, epoch, seq, hash] = match;
  if (epoch === undefined || seq === undefined || hash === undefined) return null;
  const named = NodeId.safeParse(node);
  return named.success ? { node: named.data, epoch, seq: Number(seq), hash } : null;
}

/** The part of a SHA-256 in hex that names an object. */
export const nameHash = (sha256Hex: string): string => sha256Hex.slice(0, NAME_HASH_DIGITS);

export const acksPrefix = (cid: string): string => `${memoryPrefix(cid)}acks/`;
export const ackKey = (cid: string, node: string): string => `${acksPrefix(cid)}${node}`;
export const snapshotsPrefix = (cid: string): string => `${memoryPrefix(cid)}snap/`;

/** Where a snapshot lies: who wrote it, and when. */
export interface SnapshotName {
  readonly node: string;
  /** Epoch ms in 12 hex digits, then 16 of SHA-256 over what it covers: names sort by time. */
  readonly id: string;
}

const snapshotPrefix = (cid: string, { node, id }: SnapshotName): string =>
  `${snapshotsPrefix(cid)}${node}/${id}/`;
export const manifestKey = (cid: string, name: SnapshotName): string =>
  `${snapshotPrefix(cid, name)}manifest.json`;
export const snapshotPartKey = (cid: string, name: SnapshotName, part: number): string =>
  `${snapshotPrefix(cid, name)}part-${String(part).padStart(4, '0')}.mbs`;

/** Reads the key of a snapshot's object back; null when it is none. */
export function parseSnapshotKey(
  cid: string,
  key: string,
): { name: SnapshotName; isManifest: boolean } | null {
  const prefix = snapshotsPrefix(cid);
  if (!key.startsWith(prefix)) return null;
  const match = /^([^/]+)\/([0-9a-f]{12}-[0-9a-f]{16})\/(manifest\.json|part-\d{4,}\.mbs)$/.exec(
    key.slice(prefix.length),
  );
  const [, node, id, file] = match ?? [];
  if (node === undefined || id === undefined) return null;
  return { name: { node, id }, isManifest: file === 'manifest.json' };
}

/** When a snapshot was begun, epoch ms. */
export const snapshotTime = ({ id }: SnapshotName): number => Number.parseInt(id.slice(0, 12), 16);

/** "node/epoch/seq-hash", as acks and headers name a segment. */
export const segmentName = ({ node, epoch, seq, hash }: SegmentName): string =>
  `${node}/${epoch}/${seq}-${hash}`;

/** Reads "node/epoch/seq-hash", as acks and headers name a segment; null when it is none. */
export function parseSegmentName(text: string): SegmentName | null {
  const match = /^([^/]+)\/([0-9a-z]+)\/(\d+)-([0-9a-f]{32})$/.exec(text);
  const [, node, epoch, seq, hash] = match ?? [];
  if (node === undefined || epoch === undefined || seq === undefined || hash === undefined) return null;
  return { node, epoch, seq: Number(seq), hash };
}
