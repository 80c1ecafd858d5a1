import { z } from 'zod';
import { EpochMs } from '../http/primitives.ts';

/** The name of the call that reads a node's log. Its answer comes in pieces, each a JSON array of lines. */
export const LOG_CALL = 'log';

/** The most lines that an agent keeps. */
export const MAX_LOG_LINES = 1_000;

/** The most characters of a line's message, and of its fields. */
export const MAX_LOG_CHARS = 2_000;

/** How long a caller may follow a log, in milliseconds. */
export const LOG_FOLLOW_MS = 3_600_000;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** A line of an agent's own log, without secrets of a known form. */
export const LogLine = z.strictObject({
  at: EpochMs,
  level: z.enum(LOG_LEVELS),
  message: z.string().max(MAX_LOG_CHARS),
  /** What the line says besides, such as the reason of a failure: JSON, perhaps cut short. */
  fields: z.string().max(MAX_LOG_CHARS),
});
export type LogLine = z.infer<typeof LogLine>;

/** The arguments of the call. */
export const LogInput = z.strictObject({
  /** How many of the last lines to begin with. */
  lines: z.number().int().min(0).max(MAX_LOG_LINES).default(200),
  /** Whether to send new lines as they come. */
  follow: z.boolean().default(false),
});
export type LogInput = z.infer<typeof LogInput>;
