import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { MemoryWriter } from '../../fixtures/claude-mem/write.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/** A machine that still runs the original's script: its own claude-mem database, and where its pushes put what. */
export interface OriginalMachine {
  readonly db: Database.Database;
  readonly write: MemoryWriter;
  /** Pushes as the script does. @param parts which parts of it are done, in its order, and what happens to the file */
  push(parts?: {
    spoil?: (bytes: Buffer) => Buffer;
    digestOf?: 'spoiled' | 'whole';
    stop?: 'after-database';
  }): Promise<void>;
  close(): void;
}

const prefixOf = (project: string): string => `projects/${canonicalId(project)}/sqlite`;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const count = (db: Database.Database, table: string): number =>
  db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;

/** Makes a machine with a new database of a claude-mem release. */
export function originalMachine(
  folder: string,
  options: { host: string; release: string; project: string; store: ObjectStore },
): OriginalMachine {
  const { host, release, project, store } = options;
  const db = buildDatabase(join(folder, host, 'claude-mem.db'), release);
  const push: OriginalMachine['push'] = async ({
    spoil = (bytes: Buffer) => bytes,
    digestOf = 'whole',
    stop,
  } = {}) => {
    const path = join(folder, host, 'snap.db');
    rmSync(path, { force: true });
    db.exec(`VACUUM INTO '${path}'`);
    const whole = readFileSync(path);
    const bytes = spoil(whole);
    const sha = sha256(digestOf === 'whole' ? whole : bytes);
    const prefix = prefixOf(project);
    await store.put(`${prefix}/claude-mem.db`, bytes);
    if (stop === 'after-database') return;
    await store.put(`${prefix}/claude-mem.db.sha256`, Buffer.from(`${sha}  claude-mem.db\n`));
    const manifest = {
      project,
      canonical_id: canonicalId(project),
      timestamp: new Date().toISOString(),
      source_host: host,
      db_size: bytes.length,
      sha256: sha,
      observations: count(db, 'observations'),
      session_summaries: count(db, 'session_summaries'),
      user_prompts: count(db, 'user_prompts'),
      tables: count(db, `sqlite_master WHERE type = 'table'`),
    };
    await store.put(`${prefix}/manifest.json`, Buffer.from(JSON.stringify(manifest, null, 2)));
  };
  return { db, write: new MemoryWriter(db), push, close: () => db.close() };
}

/** Returns what the script's pull would put in place of its machine's database, after all its checks. */
export async function originalPull(
  folder: string,
  options: { project: string; store: ObjectStore },
): Promise<{ path: string; db: Database.Database; sha: string; manifest: Record<string, unknown> }> {
  const { project, store } = options;
  const prefix = prefixOf(project);
  const digest = (await store.get(`${prefix}/claude-mem.db.sha256`))?.toString('utf8') ?? '';
  const [sha = ''] = digest.trim().split(/\s+/);
  const bytes = await store.get(`${prefix}/claude-mem.db`);
  if (bytes === null || sha256(bytes) !== sha) throw new Error('SHA256 mismatch');
  const path = join(folder, `pulled-${sha.slice(0, 8)}.db`);
  if (!existsSync(path)) writeFileSync(path, bytes);
  const db = new Database(path);
  const manifest = JSON.parse(
    (await store.get(`${prefix}/manifest.json`))?.toString('utf8') ?? '{}',
  ) as Record<string, unknown>;
  return { path, db, sha, manifest };
}
