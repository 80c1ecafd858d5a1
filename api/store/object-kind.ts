import { STORE_PROBE_KEY } from '../../contract/nodes/agent-store.ts';
import { leaseKey } from '../../contract/memory/leadership.ts';
import { CanonicalId, NodeId } from '../../contract/http/primitives.ts';
import {
  ackKey,
  acksPrefix,
  certificateKey,
  certificatesPrefix,
  headKey,
  headPrefix,
  parseSegmentKey,
  parseSnapshotKey,
  segmentKey,
  spaceKey,
} from '../../memory/format/layout.ts';
import { legacyKeys } from '../../memory/legacy/objects.ts';
import { blobKey } from '../../storage/blobs.ts';

/** The kind of object that a key names. `node` is the node that the object belongs to. */
export type ObjectKind =
  | { readonly kind: 'space' | 'lease'; readonly cid: string }
  | { readonly kind: 'head' | 'keys' | 'ack'; readonly cid: string; readonly node: string }
  /** `hash`: the first 32 hex digits of SHA-256 over the whole object. */
  | { readonly kind: 'segment'; readonly cid: string; readonly node: string; readonly hash: string }
  | { readonly kind: 'snapshot-part' | 'snapshot-manifest'; readonly cid: string; readonly node: string }
  /** The original's whole-file snapshot, the small objects that describe it, and the lock of its pushes. */
  | { readonly kind: 'mirror-database' | 'mirror-note' | 'mirror-lock'; readonly cid: string }
  | { readonly kind: 'blob'; readonly sha256: string }
  /** Nothing is stored there: agents ask for it to check whether the store answers. */
  | { readonly kind: 'probe' };

/** The longest key in S3: 1,024 bytes. */
const MAX_KEY_CHARS = 1_024;

/** Returns whether a text can be a key or a prefix: plain characters, and no segment that a proxy would resolve. */
export function isPlainKey(text: string): boolean {
  if (text.length > MAX_KEY_CHARS || !/^[A-Za-z0-9._/-]+$/.test(text)) return false;
  const segments = text.split('/');
  // A prefix may end with a slash.
  if (segments.at(-1) === '') segments.pop();
  return segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

/** Parses a key of the object store; null when no part of Membridge that a node may know writes such a key. */
export function parseObjectKey(key: string): ObjectKind | null {
  if (!isPlainKey(key)) return null;
  if (key === STORE_PROBE_KEY) return { kind: 'probe' };
  const [, sha256] = /^blobs\/[0-9a-f]{2}\/([0-9a-f]{64})$/.exec(key) ?? [];
  if (sha256 !== undefined) return key === blobKey(sha256) ? { kind: 'blob', sha256 } : null;
  const cid = spaceOfKey(key);
  return cid === null ? null : (memoryKind(key, cid) ?? originalKind(key, cid));
}

/** Returns the canonical id in a key or prefix below `projects/`; null when there is none. */
export function spaceOfKey(key: string): string | null {
  const [, cid] = /^projects\/([^/]+)\//.exec(key) ?? [];
  return CanonicalId.safeParse(cid).success ? (cid ?? null) : null;
}

function memoryKind(key: string, cid: string): ObjectKind | null {
  if (key === spaceKey(cid)) return { kind: 'space', cid };
  const segment = parseSegmentKey(cid, key);
  if (segment !== null) {
    const { node, hash } = segment;
    return key === segmentKey(cid, segment) ? { kind: 'segment', cid, node, hash } : null;
  }
  const snapshot = parseSnapshotKey(cid, key);
  if (snapshot !== null) {
    const { node } = snapshot.name;
    const kind = snapshot.isManifest ? 'snapshot-manifest' : 'snapshot-part';
    return NodeId.safeParse(node).success ? { kind, cid, node } : null;
  }
  return (
    ownKind('head', key, cid, headPrefix(cid), headKey) ??
    ownKind('keys', key, cid, certificatesPrefix(cid), certificateKey) ??
    ownKind('ack', key, cid, acksPrefix(cid), ackKey)
  );
}

/** Parses the key of an object that each node has once. */
function ownKind(
  kind: 'head' | 'keys' | 'ack',
  key: string,
  cid: string,
  prefix: string,
  keyOf: (cid: string, node: string) => string,
): ObjectKind | null {
  if (!key.startsWith(prefix)) return null;
  const name = key.slice(prefix.length);
  const node = kind === 'keys' ? name.replace(/\.json$/, '') : name;
  return NodeId.safeParse(node).success && key === keyOf(cid, node) ? { kind, cid, node } : null;
}

/** Parses the keys of objects that machines with the original's scripts read. */
function originalKind(key: string, cid: string): ObjectKind | null {
  if (key === leaseKey(cid)) return { kind: 'lease', cid };
  const { database, digest, manifest, lock } = legacyKeys(cid);
  if (key === database) return { kind: 'mirror-database', cid };
  if (key === digest || key === manifest) return { kind: 'mirror-note', cid };
  return key === lock ? { kind: 'mirror-lock', cid } : null;
}
