import { z } from 'zod';
import { EpochMs, NodeId } from '../http/primitives.ts';

/** Texts of at most so many bytes travel inside a workflow; larger ones go by reference to the object store. */
export const INLINE_BYTES = 65_536;

/** Bytes in the object store, named by what they are; immutable, and stored once however often they are referred to. */
export const Blob = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().nonnegative(),
});
export type Blob = z.infer<typeof Blob>;

/** A prompt, or where it lies. */
export const PromptSource = z.union([z.strictObject({ text: z.string() }), z.strictObject({ blob: Blob })]);
export type PromptSource = z.infer<typeof PromptSource>;

/** What a run may use. */
export const RunLimits = z.strictObject({
  /** How long the program may take, in milliseconds. */
  timeoutMs: z.number().int().positive(),
  /** Resident memory of the whole process group, in MiB; null: no limit. */
  memoryMb: z.number().int().positive().nullable(),
  /** Bytes of standard output and error together; what says more is ended. */
  outputBytes: z.number().int().positive(),
  /** US dollars, as the program itself reports them; null: no limit. */
  budgetUsd: z.number().positive().nullable(),
  /** Tokens (four characters each) that resolved context hints may take. */
  contextTokens: z.number().int().nonnegative(),
});
export type RunLimits = z.infer<typeof RunLimits>;

/** One attempt at a task, as the activity `runTask` gets it. */
export const RunSpec = z.strictObject({
  taskId: z.string(),
  /** The fencing token: of the lease that this attempt is to claim. */
  epoch: z.number().int().positive(),
  /** Of this very giving-out of the attempt: a claim that comes after another was given out is refused. */
  token: z.string(),
  contextId: z.string(),
  agentSlug: z.string(),
  prompt: PromptSource,
  hints: z.array(z.string()),
  format: z.enum(['json', 'text']),
  /** What its answer is; a PROPOSAL must be one that can be read. */
  artifactType: z.string(),
  limits: RunLimits,
  /** The project whose clone is the working directory; null: a folder of the agent's own. */
  project: z.strictObject({ id: z.string(), name: z.string(), targetPath: z.string().nullable() }).nullable(),
  priority: z.number().int(),
  /** How long the lease lives without a heartbeat, in milliseconds. */
  ttlMs: z.number().int().positive(),
  /** How long to wait for a free slot on this node before `no_slot` is answered, in milliseconds; 0: not at all. */
  slotWaitMs: z.number().int().nonnegative(),
});
export type RunSpec = z.infer<typeof RunSpec>;

/** What a program said that it used; null where it did not say. */
export const Usage = z.strictObject({
  inputTokens: z.number().int().nonnegative().nullable(),
  outputTokens: z.number().int().nonnegative().nullable(),
  cacheReadTokens: z.number().int().nonnegative().nullable(),
  cacheWriteTokens: z.number().int().nonnegative().nullable(),
  costUsd: z.number().nonnegative().nullable(),
  turns: z.number().int().nonnegative().nullable(),
  model: z.string().nullable(),
});
export type Usage = z.infer<typeof Usage>;

export const NO_USAGE: Usage = {
  inputTokens: null,
  outputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  costUsd: null,
  turns: null,
  model: null,
};

/** Why an attempt failed. */
export const RunError = z.strictObject({
  code: z.string(),
  message: z.string(),
  /** Whether another attempt may help. */
  retryable: z.boolean(),
});
export type RunError = z.infer<typeof RunError>;

/** How an attempt ended, as the workflow hears it: figures and references, never a prompt or an output. */
export const RunReport = z.strictObject({
  worker: NodeId,
  exitCode: z.number().int().nullable(),
  durationMs: z.number().nonnegative(),
  usage: Usage,
  /** What the program answered; null when it answered nothing. */
  output: Blob.nullable(),
  /** Everything that it wrote, both streams with times, as the page showed it live. */
  log: Blob.nullable(),
  error: RunError.nullable(),
  /** Hints that were not found or did not fit, for people. */
  notes: z.array(z.string()),
});
export type RunReport = z.infer<typeof RunReport>;

/** A lease that was minted, as whoever claimed it hears. */
export const Claimed = z.strictObject({ leaseId: z.string(), epoch: z.number().int(), expiresAt: EpochMs });
export type Claimed = z.infer<typeof Claimed>;

/** A piece of what a running program writes. */
export const OutputChunk = z.strictObject({
  /** Order within the attempt, from 0 without gaps. */
  seq: z.number().int().nonnegative(),
  stream: z.enum(['stdout', 'stderr']),
  at: EpochMs,
  text: z.string(),
});
export type OutputChunk = z.infer<typeof OutputChunk>;
