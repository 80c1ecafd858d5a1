import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { inject } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { MemoryWriter } from '../../fixtures/claude-mem/write.ts';
import { canonicalHash } from '../../memory/detect/canonical-hash.ts';
import { MemoryEngine, type SyncCall } from '../../memory/engine.ts';
import { type EngineOptions } from '../../memory/engine-options.ts';
import { generateSealingKey } from '../../memory/format/sealing.ts';
import { generateNodeKey, signCertificate, signMembership } from '../../memory/format/signing.ts';
import { ensureBucket, openObjectStore } from '../../storage/object-store.ts';

/** A call that nobody cancels and nobody watches. */
export const CALL: SyncCall = { signal: new AbortController().signal, progress: () => undefined };

/** One machine of a test: a claude-mem database and the engine that keeps it in step. */
export interface TestNode {
  readonly name: string;
  readonly path: string;
  readonly engine: MemoryEngine;
  readonly options: EngineOptions;
  /** A second connection, as claude-mem's own worker holds one. */
  readonly db: Database.Database;
  readonly write: MemoryWriter;
  hash(): string;
  count(table: string): number;
}

/** A fleet of a test: machines in one folder, one bucket, one control key. */
export interface TestFleet {
  readonly folder: string;
  readonly access: StoreAccess;
  readonly space: SpaceConfig;
  add(name: string, release: string, overrides?: Partial<EngineOptions>): TestNode;
  /** Gives nodes a membership from the control plane that holds only the given parts. */
  tell(nodes: readonly TestNode[], membership: Partial<Membership>): void;
  /** Makes a new engine on a node's files, with other options; the node's own must be closed. */
  reopen(node: TestNode, overrides: Partial<EngineOptions>): MemoryEngine;
  close(): Promise<void>;
}

/** Makes a new bucket in the run's MinIO, and returns the access to it. */
export async function newBucket(): Promise<StoreAccess> {
  const { minio } = inject('parts');
  const access: StoreAccess = {
    endpoint: minio.endpoint,
    region: 'us-east-1',
    bucket: `test-${randomBytes(6).toString('hex')}`,
    access_key: minio.accessKey,
    secret_key: minio.secretKey,
  };
  await ensureBucket(access);
  return access;
}

/** Makes an empty fleet on a new bucket. */
export async function newFleet(projects: readonly string[] = ['*']): Promise<TestFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-fleet-'));
  const access = await newBucket();
  const control = generateNodeKey().key;
  const space: SpaceConfig = { cid: canonicalId('test'), projectId: 'test', projects: [...projects] };
  const nodes: TestNode[] = [];

  const add = (name: string, release: string, overrides: Partial<EngineOptions> = {}): TestNode => {
    const path = join(folder, name, 'claude-mem.db');
    const db = buildDatabase(path, release);
    const { key } = generateNodeKey();
    const certificate = signCertificate(
      { node: name, publicKey: key.publicKey, issuedAt: Date.now() },
      control.privateKey,
    );
    const options: EngineOptions = {
      databasePath: path,
      ledgerPath: join(folder, name, 'ledger.db'),
      lockDirectory: join(folder, 'locks'),
      identity: {
        node: name,
        key,
        certificate,
        controlPublicKey: control.publicKey,
        sealingKeys: [generateSealingKey().key],
      },
      store: openObjectStore(access),
      ...overrides,
    };
    const engine = new MemoryEngine(options);
    const node: TestNode = {
      name,
      path,
      engine,
      options,
      db,
      write: new MemoryWriter(db),
      hash: () => canonicalHash(db, path),
      count: (table) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number,
    };
    nodes.push(node);
    return node;
  };

  const close = async (): Promise<void> => {
    for (const node of nodes) {
      await node.engine.close();
      node.db.close();
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const reopen = (node: TestNode, overrides: Partial<EngineOptions>): MemoryEngine =>
    new MemoryEngine({ ...node.options, store: openObjectStore(access), ...overrides });
  const tell: TestFleet['tell'] = (told, membership) => {
    const nothing = { retired: [], encrypted: {}, sealing: {}, deletions: [], since: 0 };
    const body = { format: 'membridge-membership/1' as const, ...nothing, ...membership };
    for (const { engine } of told) engine.setMembership(signMembership(body, control.privateKey));
  };
  return { folder, access, space, add, tell, reopen, close };
}

/** Pushes and pulls every node until every node has all. */
export async function settle(space: SpaceConfig, nodes: readonly TestNode[]): Promise<void> {
  for (let round = 0; round < 8; round += 1) {
    let moved = 0;
    for (const { engine } of nodes) {
      moved += (await engine.push(space, CALL)).rows;
      const pulled = await engine.pull(space, false, CALL);
      if (pulled.problems.length > 0) throw new Error(JSON.stringify(pulled.problems));
      moved += pulled.inserted + pulled.updated;
    }
    // A node with something to send has not settled, even if nothing moved.
    if (moved === 0 && (await unsent(space, nodes)).length === 0) return;
  }
  throw new Error('the nodes did not settle within 8 rounds');
}

/** Returns the nodes that hold something that the space lacks. */
async function unsent(space: SpaceConfig, nodes: readonly TestNode[]): Promise<string[]> {
  const names: string[] = [];
  for (const { engine, name } of nodes) {
    engine.forgetNotice();
    if ((await engine.notice([space], CALL.signal)).length > 0) names.push(name);
  }
  return names;
}
