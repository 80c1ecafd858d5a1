import { z } from 'zod';
import { CanonicalId, EpochMs, NodeId } from './primitives.ts';

/** What happened to the leadership of a space. */
export const LeadershipEvent = z.strictObject({
  epoch: z.number().int(),
  at: EpochMs,
  event: z.enum(['selected', 'expired', 'released']),
  primary_node_id: NodeId.nullable(),
  /** Who did it: `browser`, `api`, `admin`, or `engine`. */
  by: z.string(),
});
export type LeadershipEvent = z.infer<typeof LeadershipEvent>;

/** The primary of a space: the original's lease, with its epoch as the fencing token. */
export const Leadership = z.strictObject({
  canonical_id: CanonicalId,
  /** Null: nobody is primary, and a person is to choose. */
  primary_node_id: NodeId.nullable(),
  /** Grows by one at every change of the primary, and never goes back; 0 before the first. */
  epoch: z.number().int().nonnegative(),
  issued_at: EpochMs.nullable(),
  /** The lease is renewed while its node lives; after this it has no primary. */
  expires_at: EpochMs.nullable(),
  lease_seconds: z.number().int().nonnegative(),
  policy: z.literal('primary_authoritative'),
  issued_by: z.string().nullable(),
  status: z.enum(['active', 'needs_selection']),
  /** What the primary last did for the space. */
  last_snapshot_at: EpochMs.nullable(),
  last_mirror_at: EpochMs.nullable(),
  last_error: z.string().nullable(),
  events: z.array(LeadershipEvent),
});
export type Leadership = z.infer<typeof Leadership>;

/** The original's limits and default. */
export const SelectPrimary = z.strictObject({
  primary_node_id: NodeId,
  lease_seconds: z.number().int().min(30).max(604_800).default(3_600),
});
export type SelectPrimary = z.infer<typeof SelectPrimary>;

/** Object keys of the original's lease and its log, which machines on its scripts read, too. */
export const leaseKey = (cid: string): string => `projects/${cid}/leadership/lease.json`;
export const leaseAuditKey = (cid: string, name: string): string =>
  `projects/${cid}/leadership/audit/${name}.json`;
