import { copyFileSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { openForReading } from '../claude-mem/open.ts';
import { legacyKeys, parseDigest, parseManifest } from './objects.ts';
import type { LegacyStore } from './transfer.ts';

/**
 * The original writes three objects one after another, and they may disagree for this long (milliseconds).
 */
const RETRY_MS = 1_000;

/** A verified whole-file snapshot in a temporary file. */
export interface FetchedSnapshot {
  /** Its origin, for people. */
  readonly place: string;
  readonly path: string;
  readonly sha: string;
  /** The machine that pushed it; null when unknown. */
  readonly host: string | null;
  /** The database object's ETag right before the download. */
  readonly etag: string | null;
}

/**
 * Runs work with a temporary folder beside the ledger that only this user can read, then removes it. Also
 * removes folders of killed processes: a ledger has only one engine.
 */
export async function withScratch<T>(ledgerPath: string, work: (folder: string) => Promise<T>): Promise<T> {
  const prefix = `${basename(ledgerPath)}-legacy-`;
  const parent = dirname(ledgerPath);
  for (const name of readdirSync(parent)) {
    if (name.startsWith(prefix)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const folder = mkdtempSync(join(parent, prefix));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns the digest that the store states for a snapshot; null when there is none. */
export async function readStatedDigest(store: LegacyStore, cid: string): Promise<string | null> {
  const key = legacyKeys(cid).digest;
  const text = await store.text(key);
  if (text === null) return null;
  const sha = parseDigest(text);
  if (sha === null) throw refusedSnapshot(key, 'it states no SHA-256');
  return sha;
}

/**
 * Downloads a snapshot into a folder and verifies its digest. The original writes database, digest and
 * manifest without a guard, so a disagreement is checked once more.
 * @param stated the digest that was read last
 * @throws MembridgeError segment_invalid when database and digest disagree; store_*
 */
export async function fetchSnapshot(
  store: LegacyStore,
  cid: string,
  stated: string,
  folder: string,
  signal: AbortSignal,
): Promise<FetchedSnapshot> {
  const keys = legacyKeys(cid);
  const path = join(folder, 'snapshot.db');
  let expected = stated;
  for (let attempt = 1; ; attempt += 1) {
    const etag = await store.etag(keys.database);
    const got = await store.download(keys.database, path);
    if (got?.sha === expected) {
      const text = await store.text(keys.manifest);
      const manifest = text === null ? null : parseManifest(text);
      // The manifest is written separately and may belong to another snapshot, in which case it is ignored.
      const host = manifest?.sha256 === expected ? (manifest.source_host ?? null) : null;
      return { place: keys.database, path, sha: expected, host, etag };
    }
    if (attempt === 2) {
      const held = got === null ? 'there is no database' : `the database (${got.size} bytes) has ${got.sha}`;
      throw refusedSnapshot(
        keys.database,
        `${keys.digest} says ${expected}, ${held}. A push to it did not finish, or runs now: try again, or push again from the machine that pushed last`,
      );
    }
    await sleep(RETRY_MS, undefined, { signal });
    expected = (await readStatedDigest(store, cid)) ?? expected;
  }
}

/**
 * Copies a snapshot from a file, so that nothing is written beside the original file.
 * @param own the synced database, which is not a snapshot of itself
 * @throws MembridgeError bad_request when it cannot be read or is that database
 */
export function copySnapshot(file: string, own: string, folder: string): string {
  try {
    if (realpathSync(file) === realpathSync(own)) {
      throw new MembridgeError(
        'bad_request',
        `${file} is this node's own database: there is nothing to import.`,
      );
    }
    const path = join(folder, 'snapshot.db');
    copyFileSync(file, path);
    // The WAL of a database in use belongs to it.
    if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${path}-wal`);
    return path;
  } catch (cause) {
    if (cause instanceof MembridgeError) throw cause;
    throw new MembridgeError('bad_request', `${file} cannot be imported: ${errorMessage(cause)}.`, { cause });
  }
}

/**
 * Opens a downloaded snapshot for reading, as a claude-mem database of any release.
 * @param place its name in messages
 * @throws MembridgeError segment_invalid when SQLite finds it damaged
 */
export function openSnapshot(path: string, place: string): Database.Database {
  let db: Database.Database;
  try {
    db = openForReading(path);
  } catch (cause) {
    throw refusedSnapshot(place, `it is no sound database: ${errorMessage(cause)}`, cause);
  }
  try {
    const problem = findIntegrityProblem(db);
    if (problem !== null) throw new Error(problem);
    return db;
  } catch (cause) {
    db.close();
    throw refusedSnapshot(place, `SQLite finds it damaged: ${errorMessage(cause)}`, cause);
  }
}

/**
 * Returns SQLite's finding about a database, null for none. Full-text indexes are derived from the rows and
 * are ignored.
 */
export function findIntegrityProblem(db: Database.Database): string | null {
  const found = checkIntegrity(db);
  return found.find((line) => line !== 'ok' && !/fts5/i.test(line)) ?? null;
}

function checkIntegrity(db: Database.Database): string[] {
  const check = (what: string): string[] =>
    (db.pragma(what) as { integrity_check: string }[]).map(({ integrity_check: line }) => line);
  try {
    return check('main.integrity_check');
  } catch (error) {
    // An index that lost its own tables cannot be opened at all, so the other tables are checked one by one.
    if (!errorMessage(error).startsWith('vtable constructor failed')) throw error;
    const tables = db.pragma('main.table_list') as { schema: string; name: string; type: string }[];
    return tables
      .filter(({ schema, type }) => schema === 'main' && type === 'table')
      .flatMap(({ name }) => check(`main.integrity_check("${name.replaceAll('"', '""')}")`));
  }
}

function refusedSnapshot(key: string, problem: string, cause?: unknown): MembridgeError {
  return new MembridgeError('segment_invalid', `The snapshot ${key} was not used: ${problem}.`, { cause });
}
