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

/** The class under test: the real one, or one from a tree with a deliberate fault. */
export type EngineClass = typeof MemoryEngine;

/** A key pair by name: keys are no part of what the seed varies. */
function keyOf(name: string) {
  const seed = createHash('sha256').update(`simulated key of ${name}`).digest();
  // PKCS #8 of an Ed25519 private key is this prefix and the 32 bytes of its seed (RFC 8410).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return loadNodeKey(key.export({ type: 'pkcs8', format: 'pem' }) as string);
}
export const CONTROL = keyOf('control');

/** The key pair that segments are encrypted for a node with. */
function sealingKeyOf(name: string): SealingKey {
  const seed = createHash('sha256').update(`simulated sealing key of ${name}`).digest();
  const key = createPrivateKey({ key: x25519Der(seed), format: 'der', type: 'pkcs8' });
  return loadSealingKey(key.export({ type: 'pkcs8', format: 'pem' }) as string);
}

/** PKCS #8 of an X25519 private key: this prefix and its 32 bytes (RFC 8410). */
export function x25519Der(seed: Buffer): Buffer {
  return Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), seed]);
}
const IDENTITIES = new Map<string, NodeIdentity>();

/** The keys of a node, by its name. */
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

/** What machines of one history share. */
export interface World {
  readonly folder: string;
  /** Empty databases by release, built once. */
  readonly templates: string;
  readonly bucket: Bucket;
  readonly engineClass: EngineClass;
  /** Epoch ms by a clock that is right. */
  now: number;
  /** What the control plane says of the members; null where it says nothing. */
  membership: Membership | null;
  /** The first holds every project; a second one, if there is one, some of them. */
  spaces: readonly SpaceConfig[];
  /** Hears of every object of a mirror before a machine's engine puts it into the bucket. */
  onMirror: (machine: Machine, key: string, bytes: Buffer) => void;
  /** Receives every mirror that a machine's engine downloads, as it arrives. */
  onMirrorDownload: (machine: Machine, key: string, bytes: Buffer) => void;
}

/** One simulated machine: a real claude-mem database, a real ledger, the real engine, a clock of its own. */
export class Machine {
  readonly name: string;
  readonly node: string;
  /** Of its claude-mem; an upgrade changes it. */
  release: string;
  readonly process: SimProcess;
  readonly store: SimStore;
  readonly path: string;
  readonly ledgerPath: string;
  /** How wrong its clock is, in ms. */
  skew = 0;
  pending: Pending = new Map();
  /** Where its last push said that it stands in its log. */
  cursor: PushResult['head'] = null;
  /** Its ledger was lost, or is older than the database: of what is deleted now it cannot know that it was ever here. */
  knowsNothing = false;
  /**
   * Rows that a merge committed and died before its ledger knew: like those that claude-mem wrote since, they may be deleted without
   * a trace until the engine looks.
   */
  unnamed = new Set<string>();
  /** Whether it has names of its own for projects. */
  hasNames = false;
  /** Rows that its claude-mem left without a session, as "table/id": the foreign keys they break are not ours. */
  orphans = new Set<string>();
  /** Rows, as "table/id", that another sync put here beside the same memory: nobody else may hear of them. */
  copies = new Set<string>();
  /** Prompts that another sync put into a session of its own making: whoever wrote them tells of them, not this machine. */
  madeUp = new Set<string>();
  /** Memories that somebody deleted and that its ledger knew, by its own database or by a pull. */
  takenOut = new Set<string>();
  /** A full-text index is damaged: claude-mem can save nothing, and nothing can be merged. */
  isIndexDamaged = false;
  /** What it does with what other nodes write, where it is not to take it. */
  readonly trust = new Map<string, Exclude<Trust, 'accept'>>();
  /** Since it does not take what a node writes, by that node: the memories that it had. */
  readonly hadBefore = new Map<string, ReadonlySet<string>>();
  readonly #world: World;
  readonly #databases: Kept[] = [];
  readonly #ledgers: Kept[] = [];
  #engine: MemoryEngine | null = null;
  #worker: Database.Database | null = null;
  #kept = 0;

  /** @param from another machine, to be an exact copy of it, key and all */
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

  /** The spaces, as this machine takes part in them. */
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

  /** The control plane tells the engine, if it runs, what it says of the members. */
  hearMembership(): void {
    if (this.#world.membership !== null) this.#engine?.setMembership(this.#world.membership);
  }

  /** The connection that claude-mem's own worker holds. */
  get worker(): Database.Database {
    if (this.#worker === null) {
      this.#worker = openOutside(this.path);
      this.#worker.pragma('foreign_keys = ON');
      this.#worker.pragma('synchronous = OFF');
    }
    return this.#worker;
  }

  /** How often each memory is there. Copies that another sync put beside one do not count. */
  counts(): Map<string, number> {
    return countByIdentity(this.memories());
  }

  /**
   * The memories that are here, without the copies that another sync put beside one.
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

  /** The process is killed: what it held open is given back as the kernel does it. */
  kill(): void {
    this.process.bury();
    this.#engine = null;
  }

  /** The process is stopped as it should be. */
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

  /** The oldest kept database that `choose` takes, or null. */
  pickDatabase(choose: (count: number) => number): Kept | null {
    return this.#databases[choose(this.#databases.length)] ?? null;
  }

  pickLedger(choose: (count: number) => number): Kept | null {
    return this.#ledgers[choose(this.#ledgers.length)] ?? null;
  }

  /**
   * Another database takes the place of this one, by rename, as a person or a script does it.
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

  /** The ledger is lost, or put back to an older copy. */
  replaceLedger(kept: Kept | null): void {
    this.kill();
    this.knowsNothing = true;
    this.cursor = null;
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.ledgerPath}${suffix}`, { force: true });
    if (kept !== null) copyFileSync(kept.path, this.ledgerPath);
  }

  /**
   * Ids that this database has given out, by kind, for a check that nobody moves a row. Rows in sessions that Membridge made up have no
   * name yet.
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

/** Copies what is committed in a database, whoever else has it open. */
function copyCommitted(from: string, to: string): void {
  const db = openOutside(from);
  try {
    writeFileSync(to, db.serialize());
  } finally {
    db.close();
  }
}

/** Tables that memories are in, their full-text indexes, and SQLite's own. */
const KEPT = /^(sdk_sessions|observations|session_summaries|user_prompts|sqlite_|schema_versions)/;

/** The path of an empty database of a release. */
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
