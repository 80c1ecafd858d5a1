import { hash } from 'node:crypto';
import { join } from 'node:path';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { canonicalJson } from '../format/canonical-json.ts';
import { parseOperation } from '../format/operation.ts';
import { auditChanged } from '../detect/audit.ts';
import { scanNewRows } from '../detect/scan.ts';
import { MergeBatches, readAlready } from '../merge/batches.ts';
import type { Merger } from '../merge/merger.ts';
import type { Outcome } from '../merge/merge-context.ts';
import { countReadable, noteHolding, readHolding, NO_MEMORIES, type Holding } from './memory-counts.ts';
import {
  SnapshotMerge,
  type ImportContext,
  type LegacyImport,
  type SnapshotTally,
} from './merge-snapshot.ts';
import { legacyKeys } from './objects.ts';
import { IMPORT_BIT, recordSnapshot, isMerged, noteMerged, listWaitingFrom } from './origin.ts';
import { copySnapshot, fetchSnapshot, openSnapshot, readStatedDigest, withScratch } from './snapshot.ts';
import { fileDigest } from './file-digest.ts';
import type { LegacyStore } from './transfer.ts';

/** The location of the original's snapshot: a store, under the space's own names, or a file. */
export type LegacySource = { readonly access: StoreAccess } | { readonly file: string };

/**
 * Merges whole-file snapshots of the original as a peer's rows: inserts what is missing, leaves everything
 * else unchanged. The next push sends the inserted rows to the fleet.
 * @throws MembridgeError not_found when there is no snapshot; segment_invalid when it does not match its
 * digest; memory_*, store_*. Safe to call again after any of them.
 */
export async function importSnapshots(context: ImportContext, source: LegacySource): Promise<LegacyImport> {
  const { session, config, ledgerPath } = context;
  const began = performance.now();
  const result = emptyImport();
  await noticeRows(context);
  await withScratch(ledgerPath, async (folder) => {
    if ('file' in source) {
      const path = copySnapshot(source.file, session.path, folder);
      const sha = await fileDigest(path);
      const snapshot = { place: source.file, path, sha, host: null, cid: config.cid, kept: false };
      await mergeSnapshot(context, snapshot, result);
      return;
    }
    const store = context.openStore(source.access, session.signal);
    // A renamed project may have a snapshot under its former canonical id.
    for (const cid of [config.cid, ...(config.aliases ?? [])]) {
      const stated = await readStatedDigest(store, cid);
      if (stated !== null) await importFrom(context, store, cid, stated, folder, result);
    }
    result.traffic = store.traffic;
    if (result.snapshots.length === 0) {
      throw new MembridgeError(
        'not_found',
        `The store ${source.access.endpoint}/${source.access.bucket} has no snapshot of the original for ${config.projectId} (${config.cid}).`,
      );
    }
  });
  result.ms = performance.now() - began;
  return result;
}

/**
 * Merges the snapshot of one canonical id unless it was merged before.
 * @param etag the database object's current ETag, null when there is no such object. If it differs from the
 * recorded one, the snapshot is fetched regardless of its digest
 * @returns the contents of the snapshot
 */
export async function importFrom(
  context: ImportContext,
  store: LegacyStore,
  cid: string,
  stated: string,
  folder: string,
  result: LegacyImport,
  etag?: string | null,
): Promise<Holding> {
  const { session, progress } = context;
  const terms = mergeTermsOf(context.config);
  // A ledger of 0.4 records that it merged a snapshot, but not its contents, so the snapshot is examined once
  // more.
  const held = readHolding(session.ledger, cid, stated, terms);
  const isStill = held !== null && (etag === undefined || etag === held.etag);
  if (isStill && isMerged(session.ledger, cid, stated, terms)) {
    addRetried(result, await retryWaiting(context, cid));
    result.snapshots.push({ place: legacyKeys(cid).database, host: null, sha: stated, state: 'unchanged' });
    return held;
  }
  progress('fetching the snapshot');
  const fetched = await fetchSnapshot(store, cid, stated, folder, session.signal);
  const tally = await mergeSnapshot(context, { ...fetched, cid, kept: true }, result);
  const holding = { sha: fetched.sha, isSound: true, etag: fetched.etag, ...tally };
  noteHolding(session.ledger, cid, terms, holding);
  return holding;
}

/**
 * Imports what is readable of a damaged database, or of one that does not match its digest, because a person
 * wants to overwrite it. Merges an intact one completely.
 * @returns its contents, as far as they can be counted; null when there is none, or nothing is readable
 */
export async function importUnverified(
  context: ImportContext,
  store: LegacyStore,
  cid: string,
  folder: string,
  result: LegacyImport,
): Promise<Holding | null> {
  const place = legacyKeys(cid).database;
  const path = join(folder, 'unverified.db');
  const etag = await store.etag(place);
  const got = await store.download(place, path);
  if (got === null) return null;
  const { sha } = got;
  try {
    const tally = await mergeSnapshot(context, { place, path, sha, host: null, cid, kept: false }, result);
    return { sha, isSound: true, etag, ...tally };
  } catch (error) {
    if (!(error instanceof MembridgeError && error.code === 'segment_invalid')) throw error;
    const counts = countReadable(path);
    return counts === null ? null : { sha, isSound: false, etag, counts, outside: NO_MEMORIES, projects: [] };
  }
}

/** Returns the result of an import that has found nothing yet. */
export function emptyImport(): LegacyImport {
  return {
    snapshots: [],
    inserted: 0,
    present: 0,
    deleted: 0,
    outside: 0,
    waiting: 0,
    traffic: { requests: 0, bytesUp: 0, bytesDown: 0 },
    ms: 0,
  };
}

/**
 * Returns what a merge depends on besides the snapshot's bytes: with other projects or names, it must be
 * merged again.
 */
export function mergeTermsOf({ projects, excluded, names, redact }: SpaceConfig): string {
  const terms = {
    projects: [...projects].sort(),
    excluded: [...(excluded ?? [])].sort(),
    names: names ?? {},
    redact: redact ?? true,
  };
  return hash('sha256', canonicalJson(terms)).slice(0, 16);
}

type MergeContext = Pick<ImportContext, 'session' | 'config'>;

interface Snapshot {
  /** Whether it came from the store and is then not fetched again. */
  readonly kept: boolean;
  readonly place: string;
  readonly path: string;
  readonly sha: string;
  readonly host: string | null;
  readonly cid: string;
}

async function mergeSnapshot(
  context: ImportContext,
  snapshot: Snapshot,
  result: LegacyImport,
): Promise<SnapshotTally> {
  const { session, config } = context;
  const { ledger } = session;
  context.progress('checking the snapshot');
  const source = openSnapshot(snapshot.path, snapshot.place);
  let tally: SnapshotTally;
  try {
    const segment = recordSnapshot(ledger, snapshot, session.now());
    tally = await withBatches(context, (batches) =>
      new SnapshotMerge(context, batches, source, snapshot, segment, result).run(),
    );
    ledger.inbox.markApplied(segment);
    if (snapshot.kept) noteMerged(ledger, snapshot.cid, snapshot.sha, mergeTermsOf(config));
  } finally {
    source.close();
  }
  addRetried(result, await retryWaiting(context, snapshot.cid));
  const { place, host, sha } = snapshot;
  result.snapshots.push({ place, host, sha, state: 'merged' });
  return tally;
}

/**
 * Retries rows of imported snapshots that could not be merged, for example because their session was in use.
 * A pull retries them too: once a space is encrypted, no import follows.
 */
export async function retryImported({ session, config }: MergeContext): Promise<void> {
  for (const cid of [config.cid, ...(config.aliases ?? [])]) await retryWaiting({ session, config }, cid);
}

/** @returns how many memories of one canonical id were merged, and how many still wait */
async function retryWaiting(
  context: MergeContext,
  cid: string,
): Promise<{ inserted: number; waiting: number }> {
  const { ledger } = context.session;
  const waiting = listWaitingFrom(ledger, cid);
  let inserted = 0;
  if (waiting.length === 0) return { inserted, waiting: 0 };
  await withBatches(context, async (batches) => {
    const retry = (merger: Merger, { line, origin, key, version }: (typeof waiting)[number]): Outcome => {
      const outcome = merger.apply(parseOperation(line), origin, true);
      if (outcome !== 'waiting') ledger.inbox.stopWaiting(IMPORT_BIT, key, version);
      if (outcome === 'inserted') inserted += 1;
      return outcome;
    };
    await batches.run(readAlready(waiting), retry, (_outcomes, refused) => {
      inserted -= refused;
    });
  });
  return { inserted, waiting: listWaitingFrom(ledger, cid).length };
}

function addRetried(
  result: LegacyImport,
  { inserted, waiting }: { inserted: number; waiting: number },
): void {
  result.inserted += inserted;
  result.waiting += waiting;
}

async function withBatches<T>(
  { session, config }: MergeContext,
  work: (batches: MergeBatches) => Promise<T>,
): Promise<T> {
  const space = { ...session.ledger.spaces.get(config.cid), id: IMPORT_BIT };
  const batches = new MergeBatches(session, config, space);
  try {
    return await work(batches);
  } finally {
    batches.close();
  }
}

/**
 * Prepares an import: configures the space, records changed and deleted rows, and names new ones. Deletions
 * come before the import, because an imported similar row must not replace the row that a clean-up kept.
 * Edits come before new rows: another sync may bring the old text back, and that is not a copy of the edited
 * row.
 */
export async function noticeRows({ session, config }: ImportContext): Promise<void> {
  session.ledger.spaces.configure(config);
  await auditChanged(session, session.signal);
  await scanNewRows(session);
}
