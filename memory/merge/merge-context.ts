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
import { SpaceProjects } from '../space/names.ts';
import { formatOperation, type FullOperation, type Operation } from '../format/operation.ts';
import { Sessions } from './sessions.ts';
import type { Row, Value } from '../format/values.ts';
import { versionText, type HybridClock } from '../format/versions.ts';
import type { Accepts } from './accepted.ts';

/** What an operation did here. */
export type Outcome = 'inserted' | 'updated' | 'deleted' | 'same' | 'waiting';

/** What merging works with; `db` is a connection that may write. */
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
  /** The ledger's id of the segment that brought it. */
  readonly origin: number;
  /** Whether a row whose session is not here gets a stub session rather than waiting. */
  readonly stub: boolean;
}

/** What every part of a merge works with: the files, opened, and how the ledger is written. */
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

  /** Of columns those that this claude-mem has. */
  localColumns(kind: Kind, row: Row, local: Record<string, Value> = {}): Record<string, Value> {
    const columns = this.context.schema.columns[kind];
    for (const column in row) if (columns.has(column)) local[column] = row[column] ?? null;
    return local;
  }

  /** Of what an operation says of a memory, also in columns that this version does not know, what this claude-mem has a place for. */
  localRow({ kind, set, extra }: FullOperation): Record<string, Value> {
    const unknown = this.context.schema.unknown[kind];
    const known = Object.entries(extra ?? {}).filter(([column]) => unknown.includes(column));
    return this.localColumns(kind, this.names.rowToLocal(set), Object.fromEntries(known));
  }

  /** Columns that this claude-mem has no place for are kept for newer peers, and for the day it has one. */
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

  /** What the ledger files of a memory that it has not heard of. */
  newEntity({ key, kind, version }: Operation, origin: number): Entity {
    return { key, kind, row: null, spaces: 0, version, origin, dead: false };
  }

  /** Files that a row holds the memory of an operation. */
  saved(
    operation: Operation,
    entity: Entity | null,
    row: number,
    origin: number,
    base = operation.version,
  ): Entity {
    const known = entity ?? this.newEntity(operation, origin);
    const { id } = this.context.space;
    // Who reads an update alone cannot make the memory of it.
    const isTold = operation.type === 'update' || isKnownIn(known, id);
    const spaces = isTold ? known.spaces : known.spaces + 2 ** id;
    const saved: Entity = { ...known, row, version: base, spaces, dead: false };
    this.ledger.entities.save(saved);
    return saved;
  }

  /** Files that the space has an operation for a memory. */
  noted(entity: Entity): Outcome {
    this.ledger.entities.addSpace(entity.key, this.context.space.id);
    return 'same';
  }

  /** Has this space be told of a memory, too. */
  tellHere(entity: Entity, parts: number): void {
    this.ledger.dirty.mark(this.context.space.id, entity.key, parts);
  }

  /** Files what a row that was just written looks like. */
  remark(kind: Kind, id: number): MemoryRow {
    const row = this.reader.byId(kind, id);
    if (row === null) throw new Error(`the row that was just written to ${SHAPES[kind].table} is not there`);
    this.ledger.marks.set(kind, id, this.changes.markOf(row));
    return row;
  }

  /** Has an operation wait; parked, until its memory is written again. */
  wait(operation: Operation, origin: number, reason: string, parked = false): Outcome {
    const { space, now } = this.context;
    const line = formatOperation(operation);
    const entry = {
      key: operation.key,
      // Clones of one machine write other things under one version.
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
