import type Database from 'better-sqlite3';
import type { SpaceConfig, Traffic } from '../../contract/memory/memory.ts';
import { RowReader, isInMadeUpSession, namedSession, type MemoryRow } from '../claude-mem/read.ts';
import { detectSchema, type ClaudeMemSchema } from '../claude-mem/schema.ts';
import { EXCLUDED_PROJECT, KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { memoryKey } from '../format/keys.ts';
import { WHOLE_PART } from '../ledger/dirty.ts';
import { isStub, type Entity } from '../ledger/entities.ts';
import type { Merger } from '../merge/merger.ts';
import type { Outcome } from '../merge/merge-context.ts';
import { SpaceProjects } from '../space/space-projects.ts';
import type { FullOperation } from '../format/operation.ts';
import { publishedForms, redactRow } from '../space/redact.ts';
import type { SyncSession } from '../session.ts';
import type { Row, Value } from '../format/values.ts';
import type { Version } from '../format/versions.ts';
import { Coverage } from './coverage.ts';
import { hasOwnRow } from './find-echoes.ts';
import { NO_MEMORIES, type Holding, type MemoryCounts } from './memory-counts.ts';
import { legacyNode } from './objects.ts';
import { readAlready, type MergeBatches } from '../merge/batches.ts';
import type { OpenLegacyStore } from './transfer.ts';

/** The result of an import, in numbers of memories. */
export interface LegacyImport {
  /** The examined snapshots; `unchanged` ones were merged before and not fetched. */
  snapshots: { place: string; host: string | null; sha: string; state: 'merged' | 'unchanged' }[];
  inserted: number;
  /** Already here and unchanged. */
  present: number;
  /** Deleted here and not restored. */
  deleted: number;
  /** Of projects that the space does not cover. */
  outside: number;
  /** Not mergeable yet; the next import retries. */
  waiting: number;
  traffic: Traffic;
  ms: number;
}

/** Dependencies of an import. */
export interface ImportContext {
  readonly session: SyncSession;
  readonly config: SpaceConfig;
  readonly ledgerPath: string;
  readonly openStore: OpenLegacyStore;
  readonly progress: (text: string) => void;
}

/** The rows of a snapshot, regardless of what was merged here. */
export type SnapshotTally = Pick<Holding, 'counts' | 'outside' | 'projects'>;

/** Maximum number of project names in a tally. */
const MAX_NAMES = 5;

const COUNTED_AS: Readonly<Partial<Record<Kind, keyof MemoryCounts>>> = {
  observation: 'observations',
  summary: 'summaries',
  prompt: 'prompts',
};

/** Snapshot rows read at a time. */
const PAGE_ROWS = 500;

/**
 * Merges the rows of one snapshot, page by page: inserts what is missing, leaves everything else unchanged.
 */
export class SnapshotMerge {
  readonly #context: ImportContext;
  readonly #batches: MergeBatches;
  readonly #source: Database.Database;
  readonly #schema: ClaudeMemSchema;
  readonly #segment: number;
  readonly #version: Version;
  readonly #result: LegacyImport;
  readonly #names: SpaceProjects;
  /** How many rows with the same key columns were seen so far, for rows that may have twins. */
  readonly #twins = new Map<string, number>();

  constructor(
    context: ImportContext,
    batches: MergeBatches,
    source: Database.Database,
    snapshot: { readonly place: string; readonly host: string | null },
    segment: number,
    result: LegacyImport,
  ) {
    this.#context = context;
    this.#batches = batches;
    this.#source = source;
    this.#schema = detectSchema(source, snapshot.place);
    this.#segment = segment;
    // Older than every write of a node, and equal for every importer: two importers then write the same
    // operation.
    this.#version = { counter: 1, hlc: 0, node: legacyNode(snapshot.host) };
    this.#result = result;
    this.#names = new SpaceProjects(context.config);
  }

  /** @returns the contents of the snapshot */
  async run(): Promise<SnapshotTally> {
    const { progress, session } = this.#context;
    const tally = { counts: { ...NO_MEMORIES }, outside: { ...NO_MEMORIES }, projects: new Set<string>() };
    const reader = new RowReader(this.#source, this.#schema);
    const coverage = new Coverage(this.#source, this.#schema, this.#context.config);
    for (const kind of KINDS) {
      const shared = this.#sharedTimes(kind);
      for (let last = 0; ;) {
        session.signal.throwIfAborted();
        const rows = reader.readAfter(kind, last, PAGE_ROWS);
        last = rows.at(-1)?.id ?? last;
        const operations: FullOperation[] = [];
        for (const row of rows) {
          if (hasOwnRow(reader, row)) continue;
          const isCovered = coverage.has(row);
          const table = row.project === EXCLUDED_PROJECT ? undefined : COUNTED_AS[kind];
          if (table !== undefined) {
            tally.counts[table] += 1;
            if (!isCovered) {
              tally.outside[table] += 1;
              if (row.project !== null && tally.projects.size < MAX_NAMES) tally.projects.add(row.project);
            }
          }
          // The machine that wrote it sends it. It counts all the same: an original machine has only this row.
          if (isInMadeUpSession(row)) continue;
          if (!isCovered) {
            this.#result.outside += 1;
            continue;
          }
          const operation = this.#missingOperation(row, shared);
          if (operation !== null) operations.push(operation);
        }
        await this.#batches.run(
          readAlready(operations),
          (merger, operation) => this.#apply(merger, operation),
          (_outcomes, refused) => {
            this.#result.inserted -= refused;
          },
        );
        progress(`imported ${this.#result.inserted} memories`);
        if (rows.length < PAGE_ROWS) break;
      }
    }
    return { ...tally, projects: [...tally.projects] };
  }

  #apply(merger: Merger, operation: FullOperation): Outcome {
    const { ledger } = this.#context.session;
    const before = ledger.entities.byKey(operation.key);
    const outcome = merger.apply(operation, this.#segment, true);
    if (outcome === 'inserted') this.#result.inserted += 1;
    else if (outcome !== 'waiting') this.#result.present += 1;
    // The row of a stub session lies below the ids already considered for sending, so it must be queued.
    if (before !== null && outcome === 'updated') {
      ledger.dirty.mark(ledger.spaces.get(this.#context.config.cid).id, operation.key, WHOLE_PART);
    }
    return outcome;
  }

  /** Returns the operation for a row, unless the row is here or was deleted here. */
  #missingOperation(row: MemoryRow, shared: ReadonlySet<Value>): FullOperation | null {
    const { kind, set, of, mem, extra } = row;
    const name = namedSession(of);
    const ordinal = this.#chooseOrdinal(row, shared);
    const raw = memoryKey(kind, set, name, ordinal);
    // The fleet knows a memory with secrets by its redacted key.
    const redacts = this.#context.config.redact !== false;
    const clean = redacts ? redactRow(set) : set;
    const key = clean === set ? raw : memoryKey(kind, clean, name, ordinal);
    const { entities } = this.#context.session.ledger;
    const former = clean === set ? [] : publishedForms(set).slice(1, -1);
    const keys = [raw, key, ...former.map((form) => memoryKey(kind, form, name, ordinal))];
    const known = keys.map((each) => entities.byKey(each));
    if (known.some((entity) => entity?.dead === true)) {
      this.#result.deleted += 1;
      return null;
    }
    if (known.some((entity) => entity !== null && isHere(entity))) {
      this.#result.present += 1;
      return null;
    }
    const told = entities.byKey(key)?.version;
    return {
      type: 'full',
      kind,
      key,
      version: told !== undefined && told.counter > 0 ? told : this.#version,
      ordinal,
      of: kind === 'session' ? null : of,
      mem: kind === 'session' ? mem : null,
      set: withoutNulls(this.#names.rowToSpace(clean)),
      extra: extra !== null && redacts ? redactRow(extra) : extra,
      written: new Map(),
    };
  }

  /** Distinguishes true twins of the snapshot, as freeKey (scan.ts) does for local rows. */
  #chooseOrdinal(row: MemoryRow, shared: ReadonlySet<Value>): number {
    if (row.kind === 'session' || !shared.has(row.set['created_at_epoch'] ?? null)) return 0;
    const key = memoryKey(row.kind, row.set, namedSession(row.of)).toString('hex');
    const ordinal = this.#twins.get(key) ?? 0;
    this.#twins.set(key, ordinal + 1);
    return ordinal;
  }

  /** Returns times that several rows of a kind share: only such rows can be twins. */
  #sharedTimes(kind: Kind): Set<Value> {
    this.#twins.clear();
    if (kind === 'session') return new Set();
    const times = this.#source
      .prepare(`SELECT created_at_epoch FROM ${SHAPES[kind].table} GROUP BY 1 HAVING count(*) > 1`)
      .pluck()
      .all() as Value[];
    return new Set(times);
  }
}

/** Returns whether a memory has its own row here; a stub session does not count. */
const isHere = (entity: Entity): boolean => entity.row !== null && !isStub(entity);

const withoutNulls = (row: Row): Row =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
