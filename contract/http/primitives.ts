import { z } from 'zod';

/** A moment as epoch milliseconds: the only form of time in the API and in PostgreSQL. */
export const EpochMs = z.number().int().nonnegative();

/**
 * Returns whether PostgreSQL can hold a text unchanged: its text type has no NUL, and its jsonb no unpaired
 * surrogate. Such text must be refused where it comes in, because a workflow that should record it would retry
 * forever.
 */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** The problem of a text that PostgreSQL cannot hold. */
export const NOT_STORABLE = 'must not contain U+0000 or half of a surrogate pair';

/**
 * Text without control characters (Unicode Cc). Generators in other languages read the patterns from the OpenAPI
 * document. So patterns keep to what the engines of Python, Java and Go share: no flags, no `\\p`, no look-around.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what it refuses
export const ONE_LINE = /^[^\x00-\x1f\x7f-\x9f]+$/;

/**
 * Reads an enumeration to which another version of Membridge may have added words.
 * @param careful the value that replaces an unknown word: the one that promises least
 */
export function openEnum<Word extends string>(words: z.ZodType<Word>, careful: Word) {
  return z.preprocess(
    (said) => (typeof said === 'string' && !words.safeParse(said).success ? careful : said),
    words,
  );
}

/** The original's canonical id: the first 16 hex digits of SHA-256 of the project id. */
export const CanonicalId = z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hex digits');

/** A node's name. It becomes a task queue, an object key and a file name, so the alphabet is small. */
export const NodeId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
    'must be 1 to 128 letters, digits, "_", "." or "-", starting with a letter or digit',
  );

/**
 * The name of a node or the id of a project as the original accepted them, in any form. Such a node only reports
 * (docs/compatibility.md), so nothing is named after it.
 */
export const ReportedId = z
  .string()
  .min(1)
  .max(128)
  .regex(ONE_LINE, 'must not contain control characters')
  .refine(isStorable, NOT_STORABLE);

/** The id of a project that may have a leader. It becomes part of an object's key and of a workflow's id. */
export const LedId = z
  .string()
  .regex(
    /^[A-Za-z0-9_. -]{1,128}$/,
    'must be 16 hex digits, or 1 to 128 letters, digits, spaces, "_", "." or "-"',
  )
  .refine((id) => id !== '.' && id !== '..', 'must not be "." or ".."');

/** A project's name as people write it (the original allowed 1 to 128 characters). */
export const ProjectName = z.string().min(1).max(128).regex(ONE_LINE, 'must not contain control characters');

/** What a memory sync does: send this node's new memories, fetch those of other nodes, or both in that order. */
export const SyncAction = z.enum(['push', 'pull', 'sync']);
export type SyncAction = z.infer<typeof SyncAction>;

/** Why a sync was requested; shown beside each job. */
export const SyncTrigger = z.enum([
  'button',
  'api',
  'cli',
  'schedule',
  'noticed',
  'fan-out',
  'catch-up',
  'returned',
]);
export type SyncTrigger = z.infer<typeof SyncTrigger>;

/** Ends an exhaustive switch: an unhandled case becomes a type error. */
export function assertNever(value: never): never {
  throw new Error(`unexpected case: ${JSON.stringify(value)}`);
}
