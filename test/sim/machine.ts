import { createHash, createPrivateKey } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import type { PushResult, SpaceConfig, Trust } from '../../contract/memory/memory.ts';
import type { MemoryEngine } from '../../memory/engine.ts';
import { loadSealingKey, type SealingKey } from '../../memory/format/sealing.ts';
import type { NodeIdentity } from '../../memory/session.ts';
import { loadNodeKey, signCertificate } from '../../memory/format/signing.ts';
import { SimStore, type Bucket } from './bucket.ts';
import {
  columnsOf,
  countByIdentity,
  isOfMadeUpSession,
  takeInventory,
  TABLES,
  type Found,
  type RowKind,
} from './inventory.ts';
import { SimMirrorStore } from './mirror-store.ts';
import type { Pending } from './model.ts';
import { NAMES } from './projects.ts';
import { openOutside, SimProcess } from './process.ts';

/** The class under test: the real one, or one from a source tree with a deliberate fault. */
export type EngineClass = typeof MemoryEngine;

/** Returns a key pair by name: the seed does not vary keys. */
function keyOf(name: string) {
  const seed = createHash('sha256').update(`simulated key of ${name}`).digest();
  // PKCS #8 of an Ed25519 private key is this prefix and the 32 bytes of its seed (RFC 8410).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return loadNodeKey(key.export({ type: 'pkcs8', format: 'pem' }) as string);
}
export const CONTROL = keyOf('control');

/** Returns the key pair for which segments are encrypted for a node. */
function sealingKeyOf(name: string): SealingKey {
  const seed = createHash('sha256').update(`simulated sealing key of ${name}`).digest();
  const key = createPrivateKey({ key: x25519Der(seed), format: 'der', type: 'pkcs8' });
  return loadSealingKey(key.export({ type: 'pkcs8', format: 'pem' }) as string);
}

/** Returns PKCS #8 of an X25519 private key: this prefix and its 32 bytes (RFC 8410). */
export function x25519Der(seed: Buffer): Buffer {
  return Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), seed]);
}
const IDENTITIES = new Map<string, NodeIdentity>();

/** Returns the keys of a node, by its name. */
export function identityOf(node: string): NodeIdentity {
  let identity = IDENTITIES.get(node);
  if (identity === undefined) {
    const key = keyOf(node);
    const certificate = signCertificate({ node, publicKey: key.publicKey, issuedAt: 1 }, CONTROL.privateKey);
    identity = {
      node,
      key,
      certificate,
      controlPublicKey: CONTROL.publicKey,
      sealingKeys: [sealingKeyOf(node)],
    };
    IDENTITIES.set(node, identity);
  }
  return identity;
}

/** A copy of a claude-mem database or a ledger, kept for later. */
interface Kept {
  readonly path: string;
  readonly pending: Pending;
  readonly orphans: ReadonlySet<string>;
  readonly copies: ReadonlySet<string>;
  readonly madeUp: ReadonlySet<string>;
  readonly isIndexDamaged: boolean;
}

/** What the machines of one history share. */
export interface World {
  readonly folder: string;
  /** Empty databases by release, built once. */
  readonly templates: string;
  readonly bucket: Bucket;
  readonly engineClass: EngineClass;
  /** Epoch ms by a correct clock. */
  now: number;
  /** The control plane's membership; null when there is none. */
  membership: Membership | null;
  /** The first one holds every project; the second one, if any, some of them. */
  spaces: readonly SpaceConfig[];
  /** Called for every object of a mirror before a machine's engine stores it. */
  onMirror: (machine: Machine, key: string, bytes: Buffer) => void;
  /** Receives every mirror that a machine's engine downloads, as it arrives. */
  onMirrorDownload: (machine: Machine, key: string, bytes: Buffer) => void;
}

/** One simulated machine: a real claude-mem database, a real ledger, the real engine, and its own clock. */
export class Machine {
  readonly name: string;
  readonly node: string;
  /** The release of its claude-mem; an upgrade changes it. */
  release: string;
  readonly process: SimProcess;
  readonly store: SimStore;
  readonly path: string;
  readonly ledgerPath: string;
  /** How wrong its clock is, in ms. */
  skew = 0;
  pending: Pending = new Map();
  /** The position in its log that its last push reported. */
  cursor: PushResult['head'] = null;
  /**
   * Whether its ledger was lost, or is older than the database. It then cannot know that what is deleted now ever
   * existed.
   */
  knowsNothing = false;
  /**
   * Rows that a merge committed before its process died and its ledger knew them. Like rows that claude-mem wrote
   * since, they may be deleted without a trace until the engine looks.
   */
  unnamed = new Set<string>();
  /** Whether it has its own names for projects. */
  hasNames = false;
  /**
   * Rows that its claude-mem left without a session, as "table/id": our check must ignore the foreign keys that they
   * break.
   */
  orphans = new Set<string>();
  /** Rows, as "table/id", that another sync put here beside the same memory: no other machine may receive them. */
  copies = new Set<string>();
  /** Prompts that another sync put into a session that it made: their writers publish them, not this machine. */
  madeUp = new Set<string>();
  /** Memories that were deleted and that its ledger knew, through its own database or a pull. */
  takenOut = new Set<string>();
  /** Whether a full-text index is damaged: then claude-mem can save nothing, and nothing can be merged. */
  isIndexDamaged = false;
  /** Its trust in other nodes, where it must not accept their memories. */
  readonly trust = new Map<string, Exclude<Trust, 'accept'>>();
  /** By node that it does not accept: the memories that it had before. */
  readonly hadBefore = new Map<string, ReadonlySet<string>>();
  readonly #world: World;
  readonly #databases: Kept[] = [];
  readonly #ledgers: Kept[] = [];
  #engine: MemoryEngine | null = null;
  #worker: Database.Database | null = null;
  #kept = 0;

  /** @param from another machine, to be copied exactly, including its key */
  constructor(world: World, name: string, release: string, from?: Machine) {
    this.#world = world;
    this.name = name;
    this.node = from?.node ?? name;
    this.release = release;
    const folder = join(world.folder, name);
    mkdirSync(folder);
    this.path = join(folder, 'claude-mem.db');
    this.ledgerPath = join(folder, 'ledger.db');
    this.process = new SimProcess(folder);
    this.store = new SimStore(world.bucket, this.node, this.process);
    if (from === undefined) copyFileSync(template(world.templates, release), this.path);
    else {
      from.#copyTo(this.path, this.ledgerPath);
      this.skew = from.skew;
      this.pending = new Map(from.pending);
      this.orphans = new Set(from.orphans);
      this.copies = new Set(from.copies);
      this.madeUp = new Set(from.madeUp);
      this.takenOut = new Set(from.takenOut);
      this.isIndexDamaged = from.isIndexDamaged;
      for (const [node, trust] of from.trust) this.trust.set(node, trust);
      for (const [node, had] of from.hadBefore) this.hadBefore.set(node, had);
      this.knowsNothing = from.knowsNothing;
      this.unnamed = new Set(from.unnamed);
      this.hasNames = from.hasNames;
    }
  }

  now = (): number => this.#world.now + this.skew;

  /** Returns the spaces, as this machine takes part in them. */
  get spaces(): SpaceConfig[] {
    return this.#world.spaces.map((space) => ({
      ...space,
      ...(this.hasNames ? { names: NAMES } : {}),
      ...(this.trust.size > 0 ? { trust: Object.fromEntries(this.trust) } : {}),
    }));
  }

  get engine(): MemoryEngine {
    if (this.#engine !== null) return this.#engine;
    this.#engine = new this.#world.engineClass({
      databasePath: this.path,
      ledgerPath: this.ledgerPath,
      lockDirectory: join(this.process.folder, 'locks'),
      identity: identityOf(this.node),
      store: this.store,
      openLegacyStore: (_access, signal) =>
        new SimMirrorStore(
          {
            bucket: this.#world.bucket,
            store: this.store,
            process: this.process,
            onPut: (key, bytes) => this.#world.onMirror(this, key, bytes),
            onDownload: (key, bytes) => this.#world.onMirrorDownload(this, key, bytes),
          },
          signal,
        ),
      now: this.now,
    });
    this.hearMembership();
    return this.#engine;
  }

  /** Passes the control plane's membership to the engine, if it runs. */
  hearMembership(): void {
    if (this.#world.membership !== null) this.#engine?.setMembership(this.#world.membership);
  }

  /** Returns the connection that claude-mem's own worker holds. */
  get worker(): Database.Database {
    if (this.#worker === null) {
      this.#worker = openOutside(this.path);
      this.#worker.pragma('foreign_keys = ON');
      this.#worker.pragma('synchronous = OFF');
    }
    return this.#worker;
  }

  /** Returns how often each memory exists. Copies that another sync put beside one do not count. */
  counts(): Map<string, number> {
    return countByIdentity(this.memories());
  }

  /**
   * Returns the memories that are here, without the copies that another sync put beside one.
   * @param elsewhere how often each memory is on a machine without copies: a twin may have taken a copy for its row
   */
  memories(elsewhere: ReadonlyMap<string, number> = new Map()): Found[] {
    const all = takeInventory(this.worker);
    const isCopy = ({ kind, row }: Found): boolean => this.copies.has(`${TABLES[kind]}/${row}`);
    const memories = all.filter((found) => !isCopy(found));
    const counts = countByIdentity(memories);
    for (const copy of all.filter(isCopy)) {
      const count = counts.get(copy.identity) ?? 0;
      if (count >= (elsewhere.get(copy.identity) ?? 0)) continue;
      memories.push(copy);
      counts.set(copy.identity, count + 1);
    }
    return memories;
  }

  /** Kills the process: its open files are released as the kernel does it. */
  kill(): void {
    this.process.bury();
    this.#engine = null;
  }

  /** Stops the process in an orderly way. */
  async stop(): Promise<void> {
    const engine = this.#engine;
    this.#engine = null;
    await engine?.close();
  }

  closeWorker(): void {
    this.#worker?.close();
    this.#worker = null;
  }

  keepDatabase(): void {
    this.#databases.push(this.#keep('database', (path) => this.#copyTo(path, null)));
  }

  keepLedger(): void {
    if (!existsSync(this.ledgerPath)) return;
    this.#ledgers.push(this.#keep('ledger', (path) => copyCommitted(this.ledgerPath, path)));
  }

  /** Returns the oldest kept database that `choose` accepts, or null. */
  pickDatabase(choose: (count: number) => number): Kept | null {
    return this.#databases[choose(this.#databases.length)] ?? null;
  }

  pickLedger(choose: (count: number) => number): Kept | null {
    return this.#ledgers[choose(this.#ledgers.length)] ?? null;
  }

  /**
   * Replaces this database by another one, by rename, as a person or a script does it.
   * @param kept an older copy, or null for an empty one
   */
  replaceDatabase(kept: Kept | null): void {
    this.closeWorker();
    const fresh = `${this.path}.new`;
    copyFileSync(kept?.path ?? template(this.#world.templates, this.release), fresh);
    for (const suffix of ['-wal', '-shm']) rmSync(`${this.path}${suffix}`, { force: true });
    renameSync(fresh, this.path);
    this.knowsNothing = true;
    this.pending = new Map(kept?.pending);
    this.orphans = new Set(kept?.orphans);
    this.copies = new Set(kept?.copies);
    this.madeUp = new Set(kept?.madeUp);
    this.isIndexDamaged = kept?.isIndexDamaged ?? false;
  }

  /** Loses the ledger, or replaces it by an older copy. */
  replaceLedger(kept: Kept | null): void {
    this.kill();
    this.knowsNothing = true;
    this.cursor = null;
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.ledgerPath}${suffix}`, { force: true });
    if (kept !== null) copyFileSync(kept.path, this.ledgerPath);
  }

  /**
   * Returns the ids that this database has assigned, by kind, to check that nobody moves a row. Rows in sessions that
   * Membridge made have no name yet.
   */
  ids(): Map<string, string> {
    const named = takeInventory(this.worker).filter(({ identity }) => !isOfMadeUpSession(identity));
    return new Map(named.map(({ kind, row, identity }) => [`${TABLES[kind]}/${row}`, identity]));
  }

  has(kind: RowKind, column: string): boolean {
    return columnsOf(this.worker, TABLES[kind]).has(column);
  }

  close(): void {
    this.process.bury();
    this.closeWorker();
  }

  #keep(what: string, copy: (path: string) => void): Kept {
    this.#kept += 1;
    const path = join(this.process.folder, `kept-${what}-${this.#kept}`);
    copy(path);
    return {
      path,
      pending: new Map(this.pending),
      orphans: new Set(this.orphans),
      copies: new Set(this.copies),
      madeUp: new Set(this.madeUp),
      isIndexDamaged: this.isIndexDamaged,
    };
  }

  #copyTo(database: string, ledger: string | null): void {
    writeFileSync(database, this.worker.serialize());
    if (ledger !== null && existsSync(this.ledgerPath)) copyCommitted(this.ledgerPath, ledger);
  }
}

/** Copies the committed state of a database, even while others have it open. */
function copyCommitted(from: string, to: string): void {
  const db = openOutside(from);
  try {
    writeFileSync(to, db.serialize());
  } finally {
    db.close();
  }
}

/** Tables with memories, their full-text indexes, and SQLite's own. */
const KEPT = /^(sdk_sessions|observations|session_summaries|user_prompts|sqlite_|schema_versions)/;

/** Returns the path of an empty database of a release. */
function template(folder: string, release: string): string {
  const path = join(folder, `${release}.db`);
  if (existsSync(path)) return path;
  const db = buildDatabase(path, release);
  // Tables that no memory is in: every connection of every history would read their definitions.
  db.pragma('foreign_keys = OFF');
  const tables = db
    .prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'`)
    .pluck()
    .all() as string[];
  for (const table of tables) if (!KEPT.test(table)) db.exec(`DROP TABLE ${table}`);
  db.exec('VACUUM');
  db.close();
  return path;
}
