import type { Membership } from '../../contract/memory/membership.ts';

/**
 * Allowance for clock differences between control plane and object store, and for the time until a node
 * learns of a change, in milliseconds. Segments stored this soon after the change are not held against an
 * honest node.
 */
const RETIRED_GRACE_MS = 10_000;
const ENCRYPTED_GRACE_MS = 60_000;

/** The facts about a stored segment that need no reading. */
interface Stored {
  readonly cid: string;
  readonly node: string;
  readonly keyId: string;
  readonly isSealed: boolean;
  /** When the store received it, by the store's clock, epoch milliseconds. */
  readonly at: number;
}

/**
 * Returns why a segment must not be used although its signature is valid.
 * @param membership null when the control plane sends none (before 0.5); then every segment may be used
 * @returns a sentence for people, or null when it may be used
 */
export function findObjection(membership: Membership | null, stored: Stored): string | null {
  if (membership === null) return null;
  const { cid, node, keyId, at } = stored;
  const retired = membership.retired.find((key) => key.node === node && key.key_id === keyId);
  if (retired !== undefined && at > retired.until + RETIRED_GRACE_MS) {
    return `it was stored at ${timeText(at)}, after the key ${keyId} of node ${node} was retired at ${timeText(retired.until)} (the node was removed or enrolled again). If the objects were moved to this store later, let the key through: PUT /api/membridge/retired-keys/${keyId}`;
  }
  const since = membership.encrypted[cid];
  if (since !== undefined && !stored.isSealed && at > since + ENCRYPTED_GRACE_MS) {
    return `it is not encrypted, and was stored at ${timeText(at)}, after the space was encrypted at ${timeText(since)}`;
  }
  return null;
}

/**
 * Returns whether a person lets through what a node sent to a space at a time, or the segment is older than
 * the membership.
 */
export function isAllowed(
  membership: Membership | null,
  { cid, node, at }: Pick<Stored, 'cid' | 'node' | 'at'>,
): boolean {
  if (membership === null || at < membership.since) return true;
  return membership.deletions.some((each) => each.space === cid && each.node === node && at <= each.until);
}

const timeText = (at: number): string => new Date(at).toISOString();
