import type { NodeCertificate } from '../contract/nodes/nodes.ts';
import type { Membership } from '../contract/memory/membership.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type Database from 'better-sqlite3';
import type { AuditReader } from './claude-mem/audit-reader.ts';
import type { RowReader } from './claude-mem/read.ts';
import type { RowWatch } from './claude-mem/row-watch.ts';
import type { ClaudeMemSchema } from './claude-mem/schema.ts';
import type { Changes } from './detect/changes.ts';
import type { ScannedRows } from './detect/scanned-rows.ts';
import type { HybridClock } from './format/versions.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { SealingKey } from './format/sealing.ts';
import type { NodeKey } from './format/signing.ts';

/** This node's identity toward its peers. */
export interface NodeIdentity {
  readonly node: string;
  readonly key: NodeKey;
  readonly certificate: NodeCertificate;
  /** The control plane's public key (SPKI DER, base64): the root of trust. */
  readonly controlPublicKey: string;
  /** X25519 keys that segments are encrypted for: the current one first, then former ones. */
  readonly sealingKeys: readonly SealingKey[];
}

/** An opened claude-mem database and its ledger. */
export interface Opened {
  /** Read-only connection. */
  readonly db: Database.Database;
  readonly reader: RowReader;
  readonly auditReader: AuditReader;
  /** Reports which rows may have changed since the last look. */
  readonly watch: RowWatch;
  /** The findings of the last scan about rows; the push after it reuses them. */
  readonly scanned: ScannedRows;
  readonly changes: Changes;
  readonly schema: ClaudeMemSchema;
  readonly ledger: Ledger;
  readonly clock: HybridClock;
  /** The file's inode; another inode means that the file was replaced. */
  readonly inode: number;
  /** SQLite's counter of schema changes: claude-mem may upgrade its tables while they are open. */
  readonly schemaVersion: number;
  readonly lock: { release(): void };
}

/** The context of one push or pull: an opened database, its ledger, the store. */
export interface SyncSession extends Pick<
  Opened,
  'db' | 'reader' | 'auditReader' | 'watch' | 'scanned' | 'changes' | 'schema' | 'ledger' | 'clock' | 'inode'
> {
  readonly path: string;
  readonly store: ObjectStore;
  readonly identity: NodeIdentity;
  /** The control plane's list of members; null until it sent one. */
  readonly membership: Membership | null;
  /** Returns epoch milliseconds. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** How long a row waits for its session before it gets a stub session, in milliseconds. */
  readonly orphanWaitMs: number;
}
