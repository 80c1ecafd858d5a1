import { assertNever } from '../../contract/http/primitives.ts';
import { memoryPrefix } from '../../memory/format/layout.ts';
import { isPlainKey, parseObjectKey, spaceOfKey, type ObjectKind } from './object-kind.ts';

/** The facts about a node that the rule needs. */
export interface StoreFacts {
  readonly node: string;
  /** Canonical ids of the spaces that it takes part in. */
  readonly spaces: ReadonlySet<string>;
  /** The spaces whose primary it is, each with its leadership epoch. */
  readonly primaryOf: ReadonlyMap<string, number>;
  /** The most bytes of one task output, by the leases that the node holds; 0 while it holds none. */
  readonly outputBytes: number;
  /** SHA-256 of the blobs that its tasks, the tasks that it may get, and the proposals of its clones name. */
  readonly namedBlobs: ReadonlySet<string>;
}

/** A node's request. */
export interface StoreRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly key: string;
  /** The leadership epoch that a primary acts in, where it names one. */
  readonly epoch?: number | null;
}

/** The rule's answer. `bad_request`: no node could ask for this; `forbidden`: this node may not. */
export type StoreVerdict =
  | { readonly allowed: true; readonly kind: ObjectKind }
  | { readonly allowed: false; readonly code: 'bad_request' | 'forbidden'; readonly reason: string };

const MIB = 2 ** 20;

/** Decides whether a node may do this with this key. The function is pure: everything that it depends on is in `facts`. */
export function mayTouch(facts: StoreFacts, request: StoreRequest): StoreVerdict {
  const kind = parseObjectKey(request.key);
  if (kind === null) return outsideLayout(request.key);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const reason = isRead ? objectToRead(facts, kind) : objectToChange(facts, kind, request);
  return reason === null ? { allowed: true, kind } : { allowed: false, code: 'forbidden', reason };
}

/**
 * Decides whether a node may list a prefix.
 * @param startAfter the key after which the list begins; empty for the first page
 */
export function mayList(facts: StoreFacts, prefix: string, startAfter: string): StoreVerdict {
  const cid = spaceOfKey(prefix);
  const isMemory = cid !== null && isPlainKey(prefix) && prefix.startsWith(memoryPrefix(cid));
  if (!isMemory) return outsideLayout(prefix);
  if (startAfter !== '' && !(startAfter.startsWith(prefix) && isPlainKey(startAfter))) {
    return outsideLayout(startAfter);
  }
  const reason = objectToMember(facts, cid);
  return reason === null
    ? { allowed: true, kind: { kind: 'space', cid } }
    : { allowed: false, code: 'forbidden', reason };
}

/** Returns the largest body of a kind of object, in bytes, from what its writers write and its readers accept. */
export function maxBytes(kind: ObjectKind, facts: StoreFacts): number {
  switch (kind.kind) {
    case 'segment':
    case 'snapshot-part':
      // Readers unpack at most 64 MiB (memory/format/segment.ts); one memory can be that large. The header adds less than 1
      // MiB.
      return 65 * MIB;
    case 'snapshot-manifest':
      // A head names every segment of the space in some 50 bytes each.
      return 32 * MIB;
    case 'head':
    case 'ack':
      return 4 * MIB;
    case 'keys':
      return MIB / 4;
    case 'mirror-note':
    case 'mirror-lock':
      return MIB / 16;
    case 'mirror-database':
      // The limit of S3 for one request.
      return 5 * 1024 * MIB;
    case 'blob':
      // The log of an attempt escapes each byte into at most six, and adds times.
      return 6 * facts.outputBytes + 4 * MIB;
    case 'space':
    case 'lease':
    case 'probe':
      return 0;
    default:
      return assertNever(kind);
  }
}

function outsideLayout(key: string): StoreVerdict {
  const shown = JSON.stringify(key.slice(0, 200));
  const reason = `${shown} is not a key of the object store that a node can ask for.`;
  return { allowed: false, code: 'bad_request', reason };
}

function objectToRead(facts: StoreFacts, kind: ObjectKind): string | null {
  switch (kind.kind) {
    case 'probe':
      return null;
    case 'blob':
      return facts.namedBlobs.has(kind.sha256)
        ? null
        : `No task or proposal that ${facts.node} works on names blob ${kind.sha256}.`;
    case 'mirror-database':
    case 'mirror-note':
    case 'mirror-lock':
      return objectToPrimary(facts, kind.cid);
    case 'space':
    case 'lease':
    case 'head':
    case 'keys':
    case 'ack':
    case 'segment':
    case 'snapshot-part':
    case 'snapshot-manifest':
      return objectToMember(facts, kind.cid);
    default:
      return assertNever(kind);
  }
}

function objectToChange(facts: StoreFacts, kind: ObjectKind, { method, epoch }: StoreRequest): string | null {
  const isDelete = method === 'DELETE';
  switch (kind.kind) {
    case 'space':
    case 'lease':
    case 'probe':
      return 'Only the control plane writes and deletes this object.';
    case 'head':
    case 'keys':
    case 'ack':
      return isDelete ? 'No node deletes this object; it is written over.' : objectToOwner(facts, kind);
    case 'segment':
    case 'snapshot-part':
    case 'snapshot-manifest':
      // Collection deletes only what the node itself wrote.
      return objectToOwner(facts, kind);
    case 'mirror-database':
    case 'mirror-note':
      return isDelete
        ? 'No node deletes a mirror; it is written over.'
        : objectToEpoch(facts, kind.cid, epoch);
    case 'mirror-lock':
      return objectToEpoch(facts, kind.cid, epoch);
    case 'blob':
      if (isDelete) return 'Only the control plane deletes blobs.';
      return facts.outputBytes > 0 ? null : `${facts.node} holds no lease of a task that it could write for.`;
    default:
      return assertNever(kind);
  }
}

function objectToMember({ node, spaces }: StoreFacts, cid: string): string | null {
  return spaces.has(cid) ? null : `${node} does not take part in space ${cid}.`;
}

function objectToOwner(facts: StoreFacts, { cid, node }: { cid: string; node: string }): string | null {
  const reason = objectToMember(facts, cid);
  if (reason !== null) return reason;
  return node === facts.node ? null : `This object belongs to ${node}, not to ${facts.node}.`;
}

function objectToPrimary(facts: StoreFacts, cid: string): string | null {
  const reason = objectToMember(facts, cid);
  if (reason !== null) return reason;
  return facts.primaryOf.has(cid) ? null : `${facts.node} is not primary of space ${cid}.`;
}

/** A primary that was selected again must not finish its earlier work: the leadership epoch is the fencing token. */
function objectToEpoch(facts: StoreFacts, cid: string, epoch: number | null | undefined): string | null {
  const reason = objectToPrimary(facts, cid);
  if (reason !== null) return reason;
  const current = facts.primaryOf.get(cid);
  return epoch === current
    ? null
    : `${facts.node} is primary of space ${cid} in leadership epoch ${current ?? 0}; the request names ${epoch ?? 'none'}.`;
}
