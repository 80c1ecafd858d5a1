import { copyFileSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { openForReading } from '../claude-mem/open.ts';
import { legacyKeys, parseDigest, parseManifest } from './objects.ts';
import type { LegacyStore } from './transfer.ts';

/** The original writes three objects one after another: between them, they disagree for this long (milliseconds). */
const RETRY_MS = 1_000;

/** A whole-file snapshot, verified, in a file of ours. */
export interface FetchedSnapshot {
  /** For people: where it came from. */
  readonly place: string;
  readonly path: string;
  readonly sha: string;
  /** The machine that pushed it, null where nothing says so. */
  readonly host: string | null;
  /** The database object's ETag right before it was fetched. */
  readonly etag: string | null;
}

/**
 * Runs work with a temporary folder beside the ledger that only this user can read, and removes it. Folders that a
 * killed process left are removed, too: there is one engine to a ledger.
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

/** The digest that the store states for a snapshot; null when there is none. */
export async function statedDigest(store: LegacyStore, cid: string): Promise<string | null> {
  const key = legacyKeys(cid).digest;
  const text = await store.text(key);
  if (text === null) return null;
  const sha = parseDigest(text);
  if (sha === null) throw refused(key, 'it states no SHA-256');
  return sha;
}

/**
 * Fetches a snapshot into a folder and verifies it by its digest. The original writes database, digest and manifest
 * unguarded, so a disagreement is looked at once more.
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
      // The manifest is written apart from the others and may be another snapshot's: then it says nothing.
      const host = manifest?.sha256 === expected ? (manifest.source_host ?? null) : null;
      return { place: keys.database, path, sha: expected, host, etag };
    }
    if (attempt === 2) {
      const held = got === null ? 'there is no database' : `the database (${got.size} bytes) has ${got.sha}`;
      throw refused(
        keys.database,
        `${keys.digest} says ${expected}, ${held}. A push to it did not finish, or runs now: try again, or push again from the machine that pushed last`,
      );
    }
    await sleep(RETRY_MS, undefined, { signal });
    expected = (await statedDigest(store, cid)) ?? expected;
  }
}

/**
 * Takes a snapshot from a file: as a copy, so that nothing is written where it lies.
 * @param own the database that is synced, which is no snapshot of itself
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
    // What a database in use holds beside its main file belongs to it.
    if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${path}-wal`);
    return path;
  } catch (cause) {
    if (cause instanceof MembridgeError) throw cause;
    throw new MembridgeError('bad_request', `${file} cannot be imported: ${errorMessage(cause)}.`, { cause });
  }
}

/**
 * Opens a fetched snapshot for reading, as a claude-mem database of any release.
 * @param place what to call it
 * @throws MembridgeError segment_invalid when SQLite finds it damaged
 */
export function openSnapshot(path: string, place: string): Database.Database {
  let db: Database.Database;
  try {
    db = openForReading(path);
  } catch (cause) {
    throw refused(place, `it is no sound database: ${errorMessage(cause)}`, cause);
  }
  try {
    const problem = integrityProblem(db);
    if (problem !== null) throw new Error(problem);
    return db;
  } catch (cause) {
    db.close();
    throw refused(place, `SQLite finds it damaged: ${errorMessage(cause)}`, cause);
  }
}

/** What SQLite finds wrong with a database, null for nothing. Full-text indexes are made of the rows and do not count. */
export function integrityProblem(db: Database.Database): string | null {
  const found = checkIntegrity(db);
  return found.find((line) => line !== 'ok' && !/fts5/i.test(line)) ?? null;
}

function checkIntegrity(db: Database.Database): string[] {
  const check = (what: string): string[] =>
    (db.pragma(what) as { integrity_check: string }[]).map(({ integrity_check: line }) => line);
  try {
    return check('main.integrity_check');
  } catch (error) {
    // An index that has lost its own tables cannot even be opened: then the others are looked at one by one.
    if (!errorMessage(error).startsWith('vtable constructor failed')) throw error;
    const tables = db.pragma('main.table_list') as { schema: string; name: string; type: string }[];
    return tables
      .filter(({ schema, type }) => schema === 'main' && type === 'table')
      .flatMap(({ name }) => check(`main.integrity_check("${name.replaceAll('"', '""')}")`));
  }
}

function refused(key: string, problem: string, cause?: unknown): MembridgeError {
  return new MembridgeError('segment_invalid', `The snapshot ${key} was not used: ${problem}.`, { cause });
}
