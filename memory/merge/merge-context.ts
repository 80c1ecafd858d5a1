import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { Changes } from '../detect/changes.ts';
import { RowReader, type MemoryRow } from '../claude-mem/read.ts';
import type { ClaudeMemSchema } from '../claude-mem/schema.ts';
import { RowWriter } from '../claude-mem/write.ts';
import { SHAPES, type Kind } from '../format/kinds.ts';
import { isKnownIn, type Entity } from '../ledger/entities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { hash32 } from '../detect/marks.ts';
import { SpaceProjects } from '../space/space-projects.ts';
import { formatOperation, type FullOperation, type Operation } from '../format/operation.ts';
import { Sessions } from './sessions.ts';
import type { Row, Value } from '../format/values.ts';
import { versionText, type HybridClock } from '../format/versions.ts';
import type { Accepts } from './accepted.ts';

/** The effect of an operation here. */
export type Outcome = 'inserted' | 'updated' | 'deleted' | 'same' | 'waiting';

/** Dependencies of a merge; `db` is a connection that may write. */
export interface MergeContext {
  readonly db: Database.Database;
  readonly schema: ClaudeMemSchema;
  readonly ledger: Ledger;
  readonly space: LedgerSpace;
  readonly config: SpaceConfig;
  readonly clock: HybridClock;
  readonly node: string;
  readonly now: () => number;
  /** Which writes may be merged; those of trusted nodes when absent. */
  readonly accepts?: Accepts;
}

/** An operation and where it came from. */
export interface Incoming<T extends Operation = Operation> {
  readonly operation: T;
  /** The ledger's id of the operation's segment. */
  readonly origin: number;
  /** Whether a row without its session gets a stub session instead of waiting. */
  readonly stub: boolean;
}

/** Shared by all parts of a merge: the opened files, and the writes to the ledger. */
export class MergeTools {
  readonly context: MergeContext;
  readonly ledger: Ledger;
  readonly reader: RowReader;
  readonly writer: RowWriter;
  readonly sessions: Sessions;
  readonly changes: Changes;
  readonly names: SpaceProjects;

  constructor(context: MergeContext) {
    this.context = context;
    this.ledger = context.ledger;
    this.reader = new RowReader(context.db, context.schema);
    this.writer = new RowWriter(context.db);
    this.changes = new Changes(context);
    const { writer, reader, changes } = this;
    this.sessions = new Sessions({ ...context, writer, reader, changes });
    this.names = new SpaceProjects(context.config);
  }

  /** Returns the columns that this claude-mem has. */
  localColumns(kind: Kind, row: Row, local: Record<string, Value> = {}): Record<string, Value> {
    const columns = this.context.schema.columns[kind];
    for (const column in row) if (columns.has(column)) local[column] = row[column] ?? null;
    return local;
  }

  /** Returns what this claude-mem has columns for, including columns that this version does not know. */
  localRow({ kind, set, extra }: FullOperation): Record<string, Value> {
    const unknown = this.context.schema.unknown[kind];
    const known = Object.entries(extra ?? {}).filter(([column]) => unknown.includes(column));
    return this.localColumns(kind, this.names.rowToLocal(set), Object.fromEntries(known));
  }

  /** Keeps columns that this claude-mem lacks, for newer peers and for a later upgrade. */
  keepHomeless({ kind, key, set, extra }: FullOperation): void {
    const columns = this.context.schema.columns[kind];
    let kept: Record<string, Value> | null = null;
    for (const row of extra === null ? [set] : [set, extra]) {
      for (const column in row) {
        if (columns.has(column)) continue;
        kept ??= {};
        kept[column] = row[column] ?? null;
      }
    }
    if (kept !== null) this.ledger.inbox.setExtra(key, kept);
  }

  /** Returns the ledger record of a memory that is not known yet. */
  newEntity({ key, kind, version }: Operation, origin: number): Entity {
    return { key, kind, row: null, spaces: 0, version, origin, dead: false };
  }

  /** Records that a row holds the memory of an operation. */
  recordSaved(
    operation: Operation,
    entity: Entity | null,
    row: number,
    origin: number,
    base = operation.version,
  ): Entity {
    const known = entity ?? this.newEntity(operation, origin);
    const { id } = this.context.space;
    // An update alone is not enough to create the memory.
    const isTold = operation.type === 'update' || isKnownIn(known, id);
    const spaces = isTold ? known.spaces : known.spaces + 2 ** id;
    const saved: Entity = { ...known, row, version: base, spaces, dead: false };
    this.ledger.entities.save(saved);
    return saved;
  }

  /** Records that the space has an operation for a memory. */
  recordKnown(entity: Entity): Outcome {
    this.ledger.entities.addSpace(entity.key, this.context.space.id);
    return 'same';
  }

  /** Queues a memory for this space, too. */
  queueHere(entity: Entity, parts: number): void {
    this.ledger.dirty.mark(this.context.space.id, entity.key, parts);
  }

  /** Records the mark of a row that was just written. */
  writeMarkOf(kind: Kind, id: number): MemoryRow {
    const row = this.reader.byId(kind, id);
    if (row === null) throw new Error(`the row that was just written to ${SHAPES[kind].table} is not there`);
    this.ledger.marks.set(kind, id, this.changes.markOf(row));
    return row;
  }

  /** Makes an operation wait; if parked, until its memory is written again. */
  wait(operation: Operation, origin: number, reason: string, parked = false): Outcome {
    const { space, now } = this.context;
    const line = formatOperation(operation);
    const entry = {
      key: operation.key,
      // Clones of one machine write different operations under one version.
      version: `${versionText(operation.version)}-${hash32(line).toString(16)}`,
      line,
      origin,
      reason,
      parked,
    };
    this.ledger.inbox.wait(space.id, entry, now());
    return 'waiting';
  }
}
