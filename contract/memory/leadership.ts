import { z } from 'zod';
import { EpochMs, ReportedId } from '../http/primitives.ts';

/** A change in the leadership of a space. */
export const LeadershipEvent = z.strictObject({
  epoch: z.number().int(),
  at: EpochMs,
  event: z.enum(['selected', 'expired', 'released']),
  primary_node_id: ReportedId.nullable(),
  /** The actor: `page`, `api`, `admin`, or `engine`. */
  by: z.string(),
});
export type LeadershipEvent = z.infer<typeof LeadershipEvent>;

/** The primary of a space: the original's lease, with the leadership epoch as the fencing token. */
export const Leadership = z.strictObject({
  canonical_id: ReportedId,
  /** Null: there is no primary, and a person must choose one. */
  primary_node_id: ReportedId.nullable(),
  /** The leadership epoch. It grows by one at every change of the primary, and never falls; 0 before the first. */
  epoch: z.number().int().nonnegative(),
  issued_at: EpochMs.nullable(),
  /** The lease is renewed while its node lives; after this time the space has no primary. */
  expires_at: EpochMs.nullable(),
  lease_seconds: z.number().int().nonnegative(),
  policy: z.literal('primary_authoritative'),
  issued_by: z.string().nullable(),
  status: z.enum(['active', 'needs_selection']),
  /** When the primary last took a snapshot of the space. */
  last_snapshot_at: EpochMs.nullable(),
  last_mirror_at: EpochMs.nullable(),
  last_error: z.string().nullable(),
  events: z.array(LeadershipEvent),
});
export type Leadership = z.infer<typeof Leadership>;

/** The length of a lease when none is given, in seconds: the original's default. */
export const DEFAULT_LEASE_SECONDS = 3_600;

/** As in the original, an unknown node may be selected. A shorter lease would be renewed more often than every 3 s. */
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

/** The part of the original's lease.json from which the leadership epoch continues. */
export const FoundLease = z.object({ epoch: z.number().int().nonnegative().max(2_000_000_000) });

/** Object keys of the original's lease and its log, which machines with its scripts also read. */
export const leaseKey = (cid: string): string => `projects/${cid}/leadership/lease.json`;
export const leaseAuditKey = (cid: string, name: string): string =>
  `projects/${cid}/leadership/audit/${name}.json`;
