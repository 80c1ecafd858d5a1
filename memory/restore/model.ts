import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { shadowOldTables } from '../claude-mem/table-form.ts';
import { detectSchema } from '../claude-mem/schema.ts';
import { listAll, verifyFetched } from '../pull/fetch.ts';
import { KINDS, SHAPES } from '../format/kinds.ts';
import { segmentKey, segmentName, type ListedSegment } from '../format/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { Merger } from '../merge/merger.ts';
import { parseOperation, type Operation } from '../format/operation.ts';
import { readOperations } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import {
  coverageTest,
  latestPlausibleClock,
  listSnapshots,
  readManifest,
  type Manifest,
} from '../snapshot/manifest.ts';
import { fetchPart, verifySnapshot } from '../snapshot/verify.ts';
import { HybridClock } from '../format/versions.ts';
import { restrictTo, lastClockIn } from './as-of.ts';
import { acceptMergedHere } from './accept-merged-here.ts';
import { trustOf } from '../space/trust.ts';

/** A space as it was at a time, in a separate database and ledger. */
export interface Model {
  readonly databasePath: string;
  readonly ledgerPath: string;
  /** The snapshot that it starts from, null when it consists of segments alone. */
  readonly base: string | null;
  readonly operations: number;
  /** Segments that could not be used; the model may lack their contents. */
  readonly problems: readonly string[];
}

/** Operations merged per transaction; no other process waits for these files. */
const BATCH_OPERATIONS = 2_000;

/** The model records no segments: everything in it has the same origin. */
const ORIGIN = 1;

/**
 * Merges everything written up to a time into an empty database, by the same rules as nodes merge.
 * @param at epoch milliseconds; includes the whole second that it lies in
 * @param folder where the files go; emptied first
 * @throws MembridgeError conflict when segments that this time needs were collected; store_*
 */
export async function buildModel(
  session: SyncSession,
  config: SpaceConfig,
  at: number,
  folder: string,
  progress: (text: string) => void,
): Promise<Model> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const databasePath = join(folder, 'model.db');
  const ledgerPath = join(folder, 'ledger.db');
  const db = new Database(databasePath);
  const ledger = new Ledger(ledgerPath);
  try {
    // An interrupted build starts over, so these files need no crash safety.
    db.pragma('journal_mode = OFF');
    db.pragma('synchronous = OFF');
    ledger.db.pragma('synchronous = OFF');
    copyTables(session.db, db);
    shadowOldTables(db);
    const space = ledger.spaces.configure(config);
    const merger = new Merger({
      db,
      schema: detectSchema(db, databasePath),
      ledger,
      space,
      config,
      clock: new HybridClock(0, () => at),
      node: session.identity.node,
      now: session.now,
      accepts: acceptMergedHere(session.ledger, config),
    });
    const problems: string[] = [];
    let operations = 0;
    const now = session.now();
    const apply = async (bytes: Buffer, arrived: number | null): Promise<void> => {
      const read = readOperations(bytes, session.identity.sealingKeys);
      if (read.problems.length > 0) problems.push(`${read.problems.length} operations could not be read`);
      const written = read.operations
        .map((operation) => restrictTo(operation, at, { arrived, now }))
        .filter((each) => each !== null);
      written.sort((a, b) => rank(a) - rank(b));
      for (let from = 0; from < written.length; from += BATCH_OPERATIONS) {
        session.signal.throwIfAborted();
        const batch = written.slice(from, from + BATCH_OPERATIONS);
        ledger.atomically(() =>
          db.transaction(() => {
            for (const each of batch) merger.apply(each, ORIGIN, false);
            merger.flush();
          })(),
        );
        operations += batch.length;
        await nextTurn();
      }
      progress(`merged ${operations} operations`);
    };

    const base = await findBase(session, config, at, problems);
    if (base !== null) {
      for (const index of base.parts.keys()) {
        await apply(await fetchPart(session, config.cid, base, index), base.at);
      }
    }
    for (const { name, arrived } of await listSegmentsAfter(session, config, base, at)) {
      const bytes = await session.store.get(segmentKey(config.cid, name));
      try {
        if (bytes === null) throw new Error('it is listed but missing');
        await verifyFetched(session, config.cid, name, bytes, name.modified);
        await apply(bytes, arrived);
      } catch (error) {
        if (error instanceof MembridgeError || session.signal.aborted) throw error;
        problems.push(`segment ${name.seq} of ${name.node}: ${errorMessage(error)}`);
      }
    }
    retryWaiting(ledger, db, merger, space.id);
    return { databasePath, ledgerPath, base: base?.id ?? null, operations, problems };
  } finally {
    db.close();
    ledger.close();
  }
}

const rank = ({ kind, type }: Operation): number =>
  type === 'delete' ? 2 * KINDS.length - KINDS.indexOf(kind) : KINDS.indexOf(kind);

/**
 * Retries waiting operations until none makes progress; then rows without a session get a stub, as on any
 * node.
 */
function retryWaiting(ledger: Ledger, db: Database.Database, merger: Merger, space: number): void {
  for (const stub of [false, true]) {
    for (let moved = true; moved;) {
      moved = false;
      const waiting = ledger.inbox
        .listWaiting(space)
        .map((each) => ({ ...each, operation: parseOperation(each.line) }));
      waiting.sort((a, b) => rank(a.operation) - rank(b.operation));
      ledger.atomically(() =>
        db.transaction(() => {
          for (const { operation, origin, key, version } of waiting) {
            if (merger.apply(operation, origin, stub) === 'waiting') continue;
            ledger.inbox.stopWaiting(space, key, version);
            moved = true;
          }
          merger.flush();
        })(),
      );
    }
  }
}

/** Copies the four tables and their indexes, without full-text search: what merging needs. */
function copyTables(from: Database.Database, to: Database.Database): void {
  const tables = JSON.stringify(KINDS.map((kind) => SHAPES[kind].table));
  const found = from
    .prepare(
      `SELECT sql FROM main.sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL
       AND tbl_name IN (SELECT value FROM json_each(?)) ORDER BY type DESC, rowid`,
    )
    .pluck()
    .all(tables) as string[];
  for (const sql of found) to.exec(sql);
}

/** Returns the latest intact snapshot without writes after a time. */
async function findBase(
  session: SyncSession,
  config: SpaceConfig,
  at: number,
  problems: string[],
): Promise<Manifest | null> {
  for (const { name, hasManifest, modified } of await listSnapshots(session, config.cid)) {
    if (!hasManifest || trustOf(config, name.node) !== 'accept') continue;
    const manifest = await readManifest(session, config.cid, { name, modified });
    if (manifest !== null && latestPlausibleClock(manifest) > lastClockIn(at)) continue;
    const problem =
      manifest === null ? 'has no valid manifest' : await verifySnapshot(session, config.cid, manifest);
    if (manifest !== null && problem === null) return manifest;
    problems.push(`snapshot ${name.id} of ${name.node}: ${problem ?? ''}`);
  }
  return null;
}

/**
 * A segment, and when this node recorded it (epoch milliseconds); null if its ledger is younger than the
 * restored time.
 */
interface Needed {
  readonly name: ListedSegment;
  readonly arrived: number | null;
}

/**
 * Returns the segments that a snapshot does not cover, in order; for untrusted nodes, those that were used
 * here.
 * @throws MembridgeError conflict when there are gaps
 */
async function listSegmentsAfter(
  session: SyncSession,
  config: SpaceConfig,
  base: Manifest | null,
  at: number,
): Promise<Needed[]> {
  const { ledger } = session;
  const space = ledger.spaces.get(config.cid).id;
  const isCovered = base === null ? () => false : coverageTest(base);
  const reached = new Map(base?.covers.map(({ node, epoch, seq }) => [`${node}/${epoch}`, seq]) ?? []);
  const began = ledger.inbox.firstRecordedAt(space);
  const needed: Needed[] = [];
  for (const [node, names] of await listAll(session, config.cid)) {
    const filed = new Map(ledger.inbox.listUsedOf(space, node).map((each) => [segmentName(each), each.at]));
    const isTrusted = trustOf(config, node) === 'accept';
    for (const name of names.filter((each) => !isCovered(each))) {
      const isUsed = filed.has(segmentName(name)) || ledger.coverage.includes(space, name);
      if (!isTrusted && !isUsed) continue;
      const place = `${node}/${name.epoch}`;
      const before = reached.get(place) ?? 0;
      if (isTrusted && name.seq > before + 1) throw incompleteSegments(node, before + 1);
      reached.set(place, Math.max(before, name.seq));
      needed.push({ name, arrived: at < began ? null : (filed.get(segmentName(name)) ?? null) });
    }
  }
  // Everything that this node knows to have existed, under any name, must be accounted for too.
  for (const { node, epoch, seq } of ledger.coverage.listReaches(space)) {
    if ((reached.get(`${node}/${epoch}`) ?? 0) < seq) throw incompleteSegments(node, seq);
  }
  return needed;
}

const incompleteSegments = (node: string, seq: number): MembridgeError =>
  new MembridgeError(
    'conflict',
    `The space cannot be put back to that time: segment ${seq} of ${node} was collected, and no snapshot is old enough. Choose a later time.`,
  );
