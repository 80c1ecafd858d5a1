/**
 * Names of objects in the store. Every object is named by its content and immutable, except heads and keys.
 */
import { NodeId } from '../../contract/http/primitives.ts';

/** Returns the prefix of everything that belongs to a space's memory. */
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

/** A segment's name: its writer, incarnation, position and content hash. */
export interface SegmentName {
  readonly node: string;
  readonly epoch: string;
  readonly seq: number;
  /** The first 32 hex digits of SHA-256 over the whole object. */
  readonly hash: string;
}

/** A segment as it appears in a listing. */
export interface ListedSegment extends SegmentName {
  /** When the store received it, by the store's clock, epoch milliseconds. */
  readonly modified: number;
}

/** Returns the segments of a space among listed objects; leaves out other objects. */
export function parseListed(
  cid: string,
  objects: readonly { key: string; modified: number }[],
): ListedSegment[] {
  return objects.flatMap(({ key, modified }) => {
    const name = parseSegmentKey(cid, key);
    return name === null ? [] : [{ ...name, modified }];
  });
}

/** Returns the object key of a segment. */
export function segmentKey(cid: string, name: SegmentName): string {
  const seq = String(name.seq).padStart(SEQ_DIGITS, '0');
  return `${segmentPrefix(cid, name.node)}${name.epoch}/${seq}-${name.hash}.mbs`;
}

/** Parses an object key; returns null when it is not a segment of this space. */
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

/** Returns the part of a SHA-256 in hex that names an object. */
export const nameHash = (sha256Hex: string): string => sha256Hex.slice(0, NAME_HASH_DIGITS);

export const acksPrefix = (cid: string): string => `${memoryPrefix(cid)}acks/`;
export const ackKey = (cid: string, node: string): string => `${acksPrefix(cid)}${node}`;
export const snapshotsPrefix = (cid: string): string => `${memoryPrefix(cid)}snap/`;

/** A snapshot's name: its writer and its time. */
export interface SnapshotName {
  readonly node: string;
  /**
   * Epoch milliseconds in 12 hex digits, then 16 digits of SHA-256 over what it covers: names sort by time.
   */
  readonly id: string;
}

const snapshotPrefix = (cid: string, { node, id }: SnapshotName): string =>
  `${snapshotsPrefix(cid)}${node}/${id}/`;
export const manifestKey = (cid: string, name: SnapshotName): string =>
  `${snapshotPrefix(cid, name)}manifest.json`;
export const snapshotPartKey = (cid: string, name: SnapshotName, part: number): string =>
  `${snapshotPrefix(cid, name)}part-${String(part).padStart(4, '0')}.mbs`;

/** Parses the key of a snapshot's object; returns null when it is not one. */
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

/** Returns when a snapshot was begun, epoch milliseconds. */
export const snapshotTime = ({ id }: SnapshotName): number => Number.parseInt(id.slice(0, 12), 16);

/** Returns "node/epoch/seq-hash", the form in which acks and headers name a segment. */
export const segmentName = ({ node, epoch, seq, hash }: SegmentName): string =>
  `${node}/${epoch}/${seq}-${hash}`;

/** Parses "node/epoch/seq-hash"; returns null when the text has another form. */
export function parseSegmentName(text: string): SegmentName | null {
  const match = /^([^/]+)\/([0-9a-z]+)\/(\d+)-([0-9a-f]{32})$/.exec(text);
  const [, node, epoch, seq, hash] = match ?? [];
  if (node === undefined || epoch === undefined || seq === undefined || hash === undefined) return null;
  return { node, epoch, seq: Number(seq), hash };
}
