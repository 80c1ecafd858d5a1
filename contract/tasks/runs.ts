import { z } from 'zod';
import { EpochMs, NodeId } from '../http/primitives.ts';

/** The most bytes of a text inside a workflow. Larger texts go into the object store, and the workflow holds a reference. */
export const INLINE_BYTES = 65_536;

/** Bytes in the object store, named by their content; immutable, and stored once however often they are referred to. */
export const Blob = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().nonnegative(),
});
export type Blob = z.infer<typeof Blob>;

/** A prompt, or its place in the object store. */
export const PromptSource = z.union([z.strictObject({ text: z.string() }), z.strictObject({ blob: Blob })]);
export type PromptSource = z.infer<typeof PromptSource>;

/** The limits of a run. */
export const RunLimits = z.strictObject({
  /** How long the program may take, in milliseconds. */
  timeoutMs: z.number().int().positive(),
  /** Resident memory of the whole process group, in MiB; null: no limit. */
  memoryMb: z.number().int().positive().nullable(),
  /** The most bytes of standard output and error together; a program that writes more is ended. */
  outputBytes: z.number().int().positive(),
  /** US dollars, as the program itself reports them; null: no limit. */
  budgetUsd: z.number().positive().nullable(),
  /** The most tokens (of four characters) for resolved context hints. */
  contextTokens: z.number().int().nonnegative(),
});
export type RunLimits = z.infer<typeof RunLimits>;

/** One attempt at a task, as the activity `runTask` receives it. */
export const RunSpec = z.strictObject({
  taskId: z.string(),
  /** The lease epoch (fencing token) of the lease that this attempt must claim. */
  epoch: z.number().int().positive(),
  /** Names this dispatch of the attempt: a claim from an earlier dispatch is refused. */
  token: z.string(),
  contextId: z.string(),
  agentSlug: z.string(),
  prompt: PromptSource,
  hints: z.array(z.string()),
  format: z.enum(['json', 'text']),
  /** The type of its answer; a PROPOSAL must be readable as one. */
  artifactType: z.string(),
  limits: RunLimits,
  /** The project whose clone is the working directory; null: a folder of the agent. */
  project: z.strictObject({ id: z.string(), name: z.string(), targetPath: z.string().nullable() }).nullable(),
  priority: z.number().int(),
  /** How long the lease lives without a heartbeat, in milliseconds. */
  ttlMs: z.number().int().positive(),
  /** How long to wait for a free slot on this node before the answer `no_slot`, in milliseconds; 0: not at all. */
  slotWaitMs: z.number().int().nonnegative(),
});
export type RunSpec = z.infer<typeof RunSpec>;

/** What a program reported about its usage; null where it did not. */
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

/** How an attempt ended, as the workflow receives it: figures and references, never a prompt or an output. */
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

/** A new lease, as its claimant receives it. */
export const Claimed = z.strictObject({ leaseId: z.string(), epoch: z.number().int(), expiresAt: EpochMs });
export type Claimed = z.infer<typeof Claimed>;

/** A piece of a running program's output. */
export const OutputChunk = z.strictObject({
  /** The order within the attempt, from 0 without gaps. */
  seq: z.number().int().nonnegative(),
  stream: z.enum(['stdout', 'stderr']),
  at: EpochMs,
  text: z.string(),
});
export type OutputChunk = z.infer<typeof OutputChunk>;
