import { z } from 'zod';
import { EpochMs, ReportedId } from '../http/primitives.ts';

/** What happened to the leadership of a space. */
export const LeadershipEvent = z.strictObject({
  epoch: z.number().int(),
  at: EpochMs,
  event: z.enum(['selected', 'expired', 'released']),
  primary_node_id: ReportedId.nullable(),
  /** Who did it: `page`, `api`, `admin`, or `engine`. */
  by: z.string(),
});
export type LeadershipEvent = z.infer<typeof LeadershipEvent>;

/** The primary of a space: the original's lease, with its epoch as the fencing token. */
export const Leadership = z.strictObject({
  canonical_id: ReportedId,
  /** Null: nobody is primary, and a person is to choose. */
  primary_node_id: ReportedId.nullable(),
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

/** How long a lease is that nobody gave a length, in seconds: the original's default. */
export const DEFAULT_LEASE_SECONDS = 3_600;

/** As in the original, a node that nobody has seen yet may be selected. Shorter leases would be renewed more often than every 3 s. */
export const SelectPrimary = z.strictObject({
  primary_node_id: ReportedId,
  lease_seconds: z
    .number()
    .int()
    .min(10)
    .max(604_800)
    .nullish()
    .transform((seconds) => seconds ?? DEFAULT_LEASE_SECONDS),
});
export type SelectPrimary = z.infer<typeof SelectPrimary>;

/** What of the original's lease.json an epoch continues from. */
export const FoundLease = z.object({ epoch: z.number().int().nonnegative().max(2_000_000_000) });

/** Object keys of the original's lease and its log, which machines on its scripts read, too. */
export const leaseKey = (cid: string): string => `projects/${cid}/leadership/lease.json`;
export const leaseAuditKey = (cid: string, name: string): string =>
  `projects/${cid}/leadership/audit/${name}.json`;
