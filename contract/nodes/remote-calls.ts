/** What people may ask of a node from afar: the names, the arguments and the answers of the calls. */
import { z } from 'zod';
import { ProjectName } from '../http/primitives.ts';
import { KINDS } from '../memory/kinds.ts';
import { MemoryStatus, SpaceConfig } from '../memory/memory.ts';
import { Uncovered } from '../memory/uncovered.ts';

/** The answer of a call of the memory engine that a dry run only describes. */
export const DryRunAnswer = z.strictObject({ dryrun: z.literal(true), detail: z.string() });

/** The arguments of a call that takes none. */
export const NoInput = z.strictObject({});

/** The project that a call is about; absent: the first space of the node. */
export const ProjectInput = z.strictObject({ project: ProjectName.optional() });

/** The result of one check of `doctor`. */
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

/** The answer of `doctor`. `ok`: no check failed. */
export const DoctorAnswer = z.strictObject({
  ok: z.boolean(),
  hostname: z.string(),
  dryrun: z.boolean(),
  /** How many checks are fine, or the checks that failed. */
  detail: z.string(),
  checks: z.array(Check),
});
export type DoctorAnswer = z.infer<typeof DoctorAnswer>;

/** The answer of `status`. Paths are those of the node. */
export const StatusAnswer = z.strictObject({
  ok: z.boolean(),
  state: z.string(),
  project: z.string(),
  canonical_id: z.string(),
  hostname: z.string(),
  detail: z.string(),
  dryrun: z.boolean(),
  config_env_exists: z.boolean(),
  hooks_bin_exists: z.boolean(),
  db_exists: z.boolean(),
  db_path: z.string(),
  memory: MemoryStatus,
  spaces: z.array(SpaceConfig),
  space_states: z.array(z.strictObject({ canonical_id: z.string(), state: z.string(), detail: z.string() })),
  heartbeat: z.strictObject({
    lastOk: z.number().nullable(),
    problem: z.string().nullable(),
    clockAheadMs: z.number().nullable(),
  }),
});
export type StatusAnswer = z.infer<typeof StatusAnswer>;

export const AuditInput = z.strictObject({ deep: z.boolean().default(true) });
export const AuditAnswer = z.strictObject({
  rows: z.number().int(),
  changed: z.number().int(),
  deleted: z.number().int(),
});

export const BlameInput = z.strictObject({ kind: z.enum(KINDS), id: z.number().int().positive() });

/**
 * The node that wrote something. `signer` is the node that signed it, where that is another one; an agent of 0.4 does
 * not report it.
 */
const Writer = z.object({ node: z.string(), at: z.number(), signer: z.string().nullable().default(null) });

export const BlameAnswer = z.strictObject({
  memories: z.array(
    z.object({
      key: z.string(),
      writer: Writer.nullable(),
      segment: z
        .object({ node: z.string(), epoch: z.string(), seq: z.number(), hash: z.string(), at: z.number() })
        .nullable(),
      changed: z.array(z.object({ part: z.string(), ...Writer.shape })),
    }),
  ),
});

export const CoverageAnswer = z.strictObject({
  spaces: z.array(
    z.strictObject({
      cid: z.string(),
      project: z.string(),
      /** Null when the space covers a claude-mem project of this node, or the database has no project yet. */
      uncovered: Uncovered.nullable(),
    }),
  ),
});
export type CoverageAnswer = z.infer<typeof CoverageAnswer>;

/** A call that people may make from afar. */
export interface RemoteCall {
  readonly summary: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodType;
}

/**
 * Every call that people may make from afar. They need the right that reading nodes and spaces needs; Membridge has
 * no finer one.
 */
export const REMOTE_CALLS = {
  status: {
    summary: 'Ask a node for its state: its database, its spaces, its last heartbeat',
    input: ProjectInput,
    output: StatusAnswer,
  },
  doctor: {
    summary: 'Have a node check everything that its sync depends on; it changes nothing',
    input: NoInput,
    output: DoctorAnswer,
  },
  audit: {
    summary: 'Have a node find changes and deletions of memories that were sent before',
    input: AuditInput,
    output: z.union([AuditAnswer, DryRunAnswer]),
  },
  blame: {
    summary: 'Ask a node which node wrote one of its memories, and how it arrived',
    input: BlameInput,
    output: BlameAnswer,
  },
  coverage: {
    summary: 'Ask a node whether each space covers anything of its claude-mem database',
    input: NoInput,
    output: CoverageAnswer,
  },
} as const satisfies Record<string, RemoteCall>;

export type RemoteCallName = keyof typeof REMOTE_CALLS;

/** Returns whether people may make a call from afar. */
export const isRemoteCall = (name: string): name is RemoteCallName => Object.hasOwn(REMOTE_CALLS, name);

/** Calls that change or send memories: only somebody on the machine makes them, or the page has a safer way. */
export const MACHINE_ONLY_CALLS: readonly string[] = [
  'collect',
  'deletes',
  'legacy',
  'restore',
  'revoke',
  'snapshot',
];

/** How long a caller waits for a node's answer, in seconds. The default is less than the 60 s after which nginx gives up. */
export const CALL_SECONDS = { default: 50, max: 300 } as const;

/** The deadline in the body of a call. */
export const DeadlineSeconds = z.number().int().min(1).max(CALL_SECONDS.max).default(CALL_SECONDS.default);
