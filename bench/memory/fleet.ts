import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { RESOURCE_LIMITS } from '../../agent/memory/memory-host.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { bulkDatabase, BULK_VERSION } from '../../fixtures/claude-mem/bulk.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { generateSealingKey } from '../../memory/format/sealing.ts';
import { generateNodeKey, signCertificate } from '../../memory/format/signing.ts';
import { startMinio } from '../../stack/minio.ts';
import { killRecorded } from '../../stack/processes.ts';
import { ensureBucket } from '../../storage/object-store.ts';
import type { NodeCalls, NodeJob } from './node-process.ts';
import { startProgram, type Program } from './program.ts';

/** The heap that the agent gives its memory thread. */
const { maxOldGenerationSizeMb: old, maxYoungGenerationSizeMb: young } = RESOURCE_LIMITS;
const HEAP = [`--max-old-space-size=${old}`, `--max-semi-space-size=${Math.round(young / 3)}`];

/** The claude-mem release whose tables are measured. */
export const RELEASE = '13.25.3';

/** A node: its claude-mem database and the process that runs its engine. */
export interface BenchNode {
  readonly path: string;
  readonly running: Program<NodeCalls>;
  /** Restarts its process on the same files, like an agent that was restarted. */
  restart(): Promise<void>;
  /** Ends its process and deletes its files. */
  remove(): Promise<void>;
}

/** Nodes with their own MinIO. */
export interface BenchFleet {
  readonly folder: string;
  readonly access: StoreAccess;
  /** @param from a database to begin with; by default an empty one */
  add(name: string, from?: string): BenchNode;
  close(): Promise<void>;
}

/** Starts MinIO with an empty bucket. Everything is in `folder`, which `close` deletes. */
export async function startFleet(folder: string, log: (line: string) => void): Promise<BenchFleet> {
  mkdirSync(folder, { recursive: true });
  // Ended from outside: MinIO and gigabytes of files must not stay. The nodes end with this process.
  const abandon = (): void => {
    killRecorded(join(folder, 'stack'));
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, abandon);
  const secrets = { accessKey: 'bench', secretKey: randomBytes(18).toString('hex') };
  const minio = await startMinio({ dataDir: join(folder, 'stack'), port: 0, ...secrets, log });
  const access: StoreAccess = {
    endpoint: minio.endpoint,
    region: 'us-east-1',
    bucket: 'bench',
    access_key: secrets.accessKey,
    secret_key: secrets.secretKey,
  };
  await ensureBucket(access);
  const control = generateNodeKey().key;
  const space: SpaceConfig = { cid: canonicalId('bench'), projectId: 'bench', projects: ['*'] };
  const nodes = new Set<BenchNode>();

  const add = (name: string, from?: string): BenchNode => {
    const path = join(folder, name, 'claude-mem.db');
    if (from === undefined) buildDatabase(path, RELEASE).close();
    else copyDatabase(from, path);
    const { key, pem } = generateNodeKey();
    const job: NodeJob = {
      node: name,
      databasePath: path,
      ledgerPath: join(folder, name, 'ledger.db'),
      lockDirectory: join(folder, 'locks'),
      privateKey: pem,
      sealingKey: generateSealingKey().pem,
      certificate: signCertificate(
        { node: name, publicKey: key.publicKey, issuedAt: Date.now() },
        control.privateKey,
      ),
      controlPublicKey: control.publicKey,
      access,
      space,
    };
    let running = startProgram<NodeCalls>('node-process.ts', job, HEAP);
    const node: BenchNode = {
      path,
      get running() {
        return running;
      },
      restart: async () => {
        await running.stop();
        running = startProgram<NodeCalls>('node-process.ts', job, HEAP);
      },
      remove: async () => {
        await running.stop();
        nodes.delete(node);
        rmSync(dirname(path), { recursive: true, force: true });
      },
    };
    nodes.add(node);
    return node;
  };

  const close = async (): Promise<void> => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, abandon);
    for (const { running } of nodes) await running.stop();
    await minio.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { folder, access, add, close };
}

/** Makes a database of that many rows once, and stores it in `cache`. */
export function cachedDatabase(cache: string, rows: number, log: (line: string) => void): string {
  const path = join(cache, `claude-mem-${rows}-v${BULK_VERSION}.db`);
  bulkDatabase(path, rows, (written) => log(`  generated ${written.toLocaleString('en')} rows`));
  return path;
}

/** Copies a database that nobody has open; shares its blocks where the file system can. */
export function copyDatabase(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
}

/** Opens a second connection to a node's database, like that of claude-mem's worker. */
export function openAsWorker(path: string): Database.Database {
  const db = new Database(path, { timeout: 5_000 });
  db.pragma('foreign_keys = ON');
  db.pragma('synchronous = NORMAL');
  return db;
}

/** Counts rows that a merge brought: of all kinds, without those of the stand-in for the worker. */
export function countMerged(db: Database.Database): number {
  const count = (from: string): number => db.prepare(`SELECT count(*) FROM ${from}`).pluck().get() as number;
  const tables = ['sdk_sessions', 'user_prompts', 'session_summaries', 'observations'];
  const all = tables.reduce((sum, table) => sum + count(table), 0);
  return all - count(`observations WHERE memory_session_id LIKE 'memory-writer-%'`);
}
