import { z } from 'zod';
import { CanonicalId, EpochMs, NodeId } from '../http/primitives.ts';

/** The id of a key: the first 16 hex digits of SHA-256 over its public half. */
const KeyId = z.string().regex(/^[0-9a-f]{16}$/);

/**
 * The control plane's account of the members of its spaces, signed with its key. Nodes check by it what peers put
 * into the object store. Unknown fields are kept, since the signature covers them.
 */
export const Membership = z.looseObject({
  format: z.literal('membridge-membership/1'),
  /** Keys that no longer sign for their node, and until when they did. Their nodes were removed or enrolled again. */
  retired: z.array(z.object({ node: NodeId, key_id: KeyId, until: EpochMs })),
  /** The encrypted spaces, each with the time since when it is encrypted. */
  encrypted: z.record(CanonicalId, EpochMs),
  /**
   * The keys that others may encrypt for each node with, as the node reported them: the present one first, then the
   * former ones.
   */
  sealing: z.record(NodeId, z.array(KeyId)),
  /** Deletions that a person lets through: all that a node sent to a space until then. */
  deletions: z.array(z.object({ space: CanonicalId, node: NodeId, until: EpochMs })),
  /** Since when the control plane keeps this account; older things are not checked by it. */
  since: EpochMs,
  /** Ed25519 in base64. */
  signature: z.string(),
});
export type Membership = z.infer<typeof Membership>;

/** The request header that names the membership an agent has: its signature, or `none`. */
export const MEMBERSHIP_HEADER = 'X-MEMBRIDGE-MEMBERSHIP';
/** The request header that names an agent's sealing keys: their ids, separated by commas, the present one first. */
export const SEALING_HEADER = 'X-MEMBRIDGE-SEALING-KEYS';

/** A key that no longer signs for its node. */
export const RetiredKey = z.strictObject({ key_id: KeyId, node_id: NodeId, until: EpochMs });
export type RetiredKey = z.infer<typeof RetiredKey>;

/** `PUT /api/membridge/retired-keys/:key_id`. */
export const MoveRetirement = z.strictObject({ until: EpochMs });
