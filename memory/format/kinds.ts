import { KINDS } from '../../contract/memory/kinds.ts';

export { KINDS };

/** A kind of memory that is synced. */
export type Kind = (typeof KINDS)[number];

/**
 * The role of each column of a kind. Columns are addressed by name only: their order differs between fresh and
 * upgraded claude-mem databases.
 */
interface KindShape {
  /** Number that the ledger stores for the kind; never reused. */
  readonly code: number;
  readonly table: string;
  /** Columns that are synced; all are immutable except those in `registers`. */
  readonly columns: readonly string[];
  /** Columns that may change in place and are merged as last-writer-wins registers. */
  readonly registers: readonly string[];
  /**
   * Columns of a memory's details that claude-mem may fill in later. They are registers too, and share one
   * slot of a mark.
   */
  readonly details: readonly string[];
  /**
   * Columns that are merged by keeping the furthest value, each with its epoch column if it has one: see
   * fold.ts.
   */
  readonly lattices: readonly string[];
  /** Columns that are meaningful on one machine only and are never synced. */
  readonly local: readonly string[];
}

const REPLICA_COLUMNS = ['synced_at', 'origin_device_id', 'origin_local_id', 'sync_rev'] as const;

export const SHAPES: Readonly<Record<Kind, KindShape>> = {
  session: {
    code: 0,
    table: 'sdk_sessions',
    columns: [
      'content_session_id',
      'platform_source',
      'project',
      'user_prompt',
      'started_at',
      'started_at_epoch',
      'completed_at',
      'completed_at_epoch',
      'status',
      'custom_title',
      'prompt_counter',
      'observed_model',
      'observed_billing',
    ],
    registers: ['project', 'user_prompt', 'custom_title', 'observed_model', 'observed_billing'],
    details: [],
    lattices: ['status', 'started_at', 'completed_at'],
    local: ['id', 'memory_session_id', 'worker_port'],
  },
  prompt: {
    code: 1,
    table: 'user_prompts',
    columns: ['prompt_number', 'prompt_text', 'created_at', 'created_at_epoch'],
    registers: [],
    details: [],
    lattices: [],
    local: ['id', 'session_db_id', 'content_session_id', ...REPLICA_COLUMNS],
  },
  summary: {
    code: 2,
    table: 'session_summaries',
    columns: [
      'project',
      'request',
      'investigated',
      'learned',
      'completed',
      'next_steps',
      'files_read',
      'files_edited',
      'notes',
      'prompt_number',
      'created_at',
      'created_at_epoch',
      'discovery_tokens',
      'merged_into_project',
    ],
    registers: ['project', 'merged_into_project'],
    details: ['discovery_tokens'],
    lattices: [],
    local: ['id', 'memory_session_id', ...REPLICA_COLUMNS],
  },
  observation: {
    code: 3,
    table: 'observations',
    columns: [
      'project',
      'text',
      'type',
      'title',
      'subtitle',
      'facts',
      'narrative',
      'concepts',
      'files_read',
      'files_modified',
      'prompt_number',
      'created_at',
      'created_at_epoch',
      'discovery_tokens',
      'content_hash',
      'generated_by_model',
      'merged_into_project',
      'agent_type',
      'agent_id',
      'metadata',
    ],
    registers: ['project', 'merged_into_project', 'concepts'],
    details: [
      'files_read',
      'files_modified',
      'discovery_tokens',
      'generated_by_model',
      'agent_type',
      'agent_id',
      'metadata',
    ],
    lattices: [],
    local: ['id', 'memory_session_id', 'relevance_count', ...REPLICA_COLUMNS],
  },
};

/** The register that holds the session of a summary or an observation. */
export const LINK_REGISTER = 'of';

/** A part of a memory that may change later, and the columns that hold it (none for the link). */
export interface Unit {
  readonly name: string;
  readonly columns: readonly string[];
  readonly merge: 'register' | 'lattice' | 'link';
  /** Whether it shares a mark's slot with the other details of its kind. */
  readonly isDetail: boolean;
}

/**
 * The parts of each kind that may change. The ledger's marks and masks depend on the order, so new parts go
 * to the end.
 */
export const UNITS: Readonly<Record<Kind, readonly Unit[]>> = {
  session: unitsOf('session'),
  prompt: [],
  summary: unitsOf('summary'),
  observation: unitsOf('observation'),
};

/** Returns every column of a kind that is merged as a register. */
export function registersOf(kind: Kind): string[] {
  const { registers, details } = SHAPES[kind];
  return [...registers, ...details];
}

function unitsOf(kind: Kind): Unit[] {
  const { registers, details, lattices } = SHAPES[kind];
  const toRegister =
    (isDetail: boolean) =>
    (name: string): Unit => ({
      name,
      columns: [name],
      merge: 'register',
      isDetail,
    });
  return [
    ...registers.map(toRegister(false)),
    ...lattices.map((name): Unit => {
      const columns = name === 'status' ? [name] : [name, `${name}_epoch`];
      return { name, columns, merge: 'lattice', isDetail: false };
    }),
    ...(kind === 'session'
      ? []
      : [{ name: LINK_REGISTER, columns: [], merge: 'link', isDetail: false } as const]),
    ...details.map(toRegister(true)),
  ];
}

/** The project of claude-mem's own observer conversations: noise on every machine, never sent. */
export const EXCLUDED_PROJECT = 'observer-sessions';

const KIND_BY_CODE = new Map(KINDS.map((kind) => [SHAPES[kind].code, kind]));

/** Returns the kind that the ledger stores under a number. */
export function kindOfCode(code: number): Kind {
  const kind = KIND_BY_CODE.get(code);
  if (kind === undefined) throw new Error(`the ledger names an unknown kind of memory: ${code}`);
  return kind;
}

/**
 * The name under which operations and the ledger store the version at which a memory was deleted, or written
 * again afterwards.
 */
export const LIFE_REGISTER = 'life';
