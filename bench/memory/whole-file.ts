/** Alternatives on the same database in the same run: the original's whole file up and down, and sqlite3_rsync's pages. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, rmSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { Client } from 'minio';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { BulkWriter } from '../../fixtures/claude-mem/bulk.ts';
import { findOnPath } from '../../stack/machine.mjs';
import { single, type Result } from '../results.ts';
import { copyDatabase, openAsWorker } from './fleet.ts';
import { notMeasured } from './goals.ts';

const KEY = 'whole-file/claude-mem.db';

/**
 * Pushes a database as the original does (integrity_check, VACUUM INTO, SHA-256, upload of the whole file) and pulls
 * it (download, SHA-256), once each. Its locks, worker restarts and backups, which cost it more, are left out.
 */
export async function measureWholeFile(
  label: string,
  path: string,
  access: StoreAccess,
  log: (line: string) => void,
): Promise<Result[]> {
  const url = new URL(access.endpoint);
  const client = new Client({
    endPoint: url.hostname,
    port: Number(url.port),
    useSSL: url.protocol === 'https:',
    accessKey: access.access_key,
    secretKey: access.secret_key,
  });
  const snapshot = `${path}.whole`;
  const fetched = `${path}.fetched`;
  const results: Result[] = [];
  const step = async <T>(metric: string, work: () => T | Promise<T>): Promise<[T, number]> => {
    const began = performance.now();
    const value = await work();
    const ms = performance.now() - began;
    log(`  the original's way: ${metric} ${Math.round(ms)} ms`);
    results.push(single(label, `the original's way: ${metric}`, 'ms', ms));
    return [value, ms];
  };
  const db = new Database(path, { readonly: true });
  try {
    const [, check] = await step('integrity_check', () => db.pragma('integrity_check'));
    const [, vacuum] = await step('VACUUM INTO', () => db.prepare('VACUUM INTO ?').run(snapshot));
    const [sent, hash] = await step('SHA-256', () => sha256(snapshot));
    const [, upload] = await step('upload', () => client.fPutObject(access.bucket, KEY, snapshot));
    const bytes = statSync(snapshot).size;
    rmSync(snapshot);
    const [, download] = await step('download', () => client.fGetObject(access.bucket, KEY, fetched));
    const [got, verify] = await step('SHA-256 of the download', () => sha256(fetched));
    if (got !== sent) throw new Error('the download is not what was uploaded');
    results.push(
      single(label, "the original's way: push of anything", 'ms', check + vacuum + hash + upload),
      single(label, "the original's way: pull of anything", 'ms', download + verify),
      single(label, "the original's way: bytes up, and bytes down", 'bytes', bytes),
    );
    return results;
  } finally {
    db.close();
    for (const file of [snapshot, fetched]) rmSync(file, { force: true });
    await client.removeObject(access.bucket, KEY);
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/**
 * Updates a copy of a database after 100 new rows with SQLite's own sqlite3_rsync. Both files are on this machine, so
 * the figure excludes the network. Without the program it returns only a line that says so.
 */
export function measureRsync(label: string, path: string): Result[] {
  const [program] = findOnPath('sqlite3_rsync');
  if (program === undefined) return [notMeasured(label, 'sqlite3_rsync', 'not installed on this machine')];
  const replica = `${path}.replica`;
  copyDatabase(path, replica);
  try {
    const db = openAsWorker(path);
    new BulkWriter(db, { name: 'rsync', seed: 14, from: Date.now() }).write(100);
    db.close();
    const began = performance.now();
    const said = execFileSync(program, [path, replica, '-v'], { encoding: 'utf8' });
    const results = [single(label, 'sqlite3_rsync of 100 new rows', 'ms', performance.now() - began)];
    const sent = /sent ([\d,]+) bytes/.exec(said)?.[1];
    if (sent !== undefined) {
      const bytes = Number(sent.replaceAll(',', ''));
      results.push(single(label, 'sqlite3_rsync of 100 new rows: bytes sent', 'bytes', bytes));
    }
    return results;
  } finally {
    for (const suffix of ['', '-wal', '-shm']) rmSync(replica + suffix, { force: true });
  }
}
