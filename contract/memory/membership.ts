import { z } from 'zod';
import { CanonicalId, EpochMs, NodeId } from '../http/primitives.ts';

/** The id of a key: the first 16 hex digits of SHA-256 over its public half. */
const KeyId = z.string().regex(/^[0-9a-f]{16}$/);

/**
 * What the control plane says of the members of its spaces, signed with its key. Nodes judge by it what peers put into the object store.
 * Fields that this version does not know are kept, since the signature covers them.
 */
export const Membership = z.looseObject({
  format: z.literal('membridge-membership/1'),
  /** Keys that no longer sign for their node, and until when they did: of nodes that were removed or enrolled again. */
  retired: z.array(z.object({ node: NodeId, key_id: KeyId, until: EpochMs })),
  /** Since when each encrypted space is. */
  encrypted: z.record(CanonicalId, EpochMs),
  /** The keys that each node was encrypted for, as the node itself said: today's first, then those that it gave up. */
  sealing: z.record(NodeId, z.array(KeyId)),
  /** Deletions that a person lets through: those that a node sent to a space until then, however many. */
  deletions: z.array(z.object({ space: CanonicalId, node: NodeId, until: EpochMs })),
  /** Since when the control plane keeps this account: what is older is not judged by it. */
  since: EpochMs,
  /** Ed25519 in base64. */
  signature: z.string(),
});
export type Membership = z.infer<typeof Membership>;

/** The request header by which an agent says which membership it has: its signature, or `none`. */
export const MEMBERSHIP_HEADER = 'X-MEMBRIDGE-MEMBERSHIP';
/** The request header by which an agent says which keys it has: their ids with commas between, today's first. */
export const SEALING_HEADER = 'X-MEMBRIDGE-SEALING-KEYS';

/** A key that no longer signs for its node. */
export const RetiredKey = z.strictObject({ key_id: KeyId, node_id: NodeId, until: EpochMs });
export type RetiredKey = z.infer<typeof RetiredKey>;

/** `PUT /api/membridge/retired-keys/:key_id`. */
export const MoveRetirement = z.strictObject({ until: EpochMs });
