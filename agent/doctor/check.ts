import { z } from 'zod';

/** One thing that was looked at. */
export const Check = z.strictObject({
  name: z.string(),
  ok: z.boolean(),
  /** What was found and, where something is wrong, what to do. */
  detail: z.string(),
  /** Worth reading although nothing is broken. */
  warning: z.boolean().optional(),
  /** What `membridge doctor --fix` can do about it. */
  fix: z.strictObject({ id: z.string(), what: z.string() }).optional(),
});
export type Check = z.infer<typeof Check>;
