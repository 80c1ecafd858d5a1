import { z } from 'zod';
import { EpochMs } from '../http/primitives.ts';

/**
 * A file that a task left. Field names follow the original. `content` is present only when one text artifact is
 * requested.
 */
export const Artifact = z.strictObject({
  id: z.string(),
  task_id: z.string(),
  /** The lease of the attempt that made it; an attempt makes it only once. */
  job_id: z.string(),
  type: z.string(),
  name: z.string(),
  media_type: z.string(),
  sha256: z.string(),
  bytes: z.number().int(),
  created_at: EpochMs,
  finalized: z.boolean(),
  /** `minio://bucket/key`; null once retention has removed the bytes. */
  url: z.string().nullable(),
  entity_refs: z.array(z.string()),
  tags: z.array(z.string()),
  content: z.string().nullable(),
});
export type Artifact = z.infer<typeof Artifact>;

/** `GET /api/runtime/artifacts`. */
export const ListArtifacts = z.strictObject({
  task_id: z.string().max(512).optional(),
  type: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});
