import { z } from 'zod';

/** The result of one check. */
export const Check = z.strictObject({
  name: z.string(),
  ok: z.boolean(),
  /** What was found and, where something is wrong, what to do. */
  detail: z.string(),
  /** Whether to show it although nothing is broken. */
  warning: z.boolean().optional(),
  /** The repair that `membridge doctor --fix` can make. */
  fix: z.strictObject({ id: z.string(), what: z.string() }).optional(),
});
export type Check = z.infer<typeof Check>;
