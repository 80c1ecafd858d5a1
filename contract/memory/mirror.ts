import { z } from 'zod';
import { NodeId } from '../http/primitives.ts';

/** `POST /api/membridge/spaces/:cid/mirror`: what a person accepts for one publication. */
export const PublishMirror = z.strictObject({
  /** How many memories fewer than before: the number that the refusal (mirror_guarded) named. */
  fewer: z.number().int().positive().optional(),
  /** Take the push lock although another machine holds it. */
  force: z.boolean().optional(),
});
export type PublishMirror = z.infer<typeof PublishMirror>;

export const PublishMirrorResponse = z.strictObject({ job_id: z.string(), node_id: NodeId });

/** A publication that a person requested; its job is recorded under `jobId`. */
export interface MirrorRequest extends PublishMirror {
  readonly jobId: string;
}

/** The result of a publication by the primary. */
export interface MirrorOutcome {
  /** What came in and what was published, for people. */
  readonly line: string;
  readonly published: boolean;
  /** Memories that machines with the original's scripts had pushed and that this node imported first. */
  readonly imported: number;
  readonly requests: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** How long this node waits until it imports and publishes again, in milliseconds. */
  readonly everyMs: number;
}
