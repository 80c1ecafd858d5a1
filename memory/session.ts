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

/** Who this node is to its peers. */
export interface NodeIdentity {
  readonly node: string;
  readonly key: NodeKey;
  readonly certificate: NodeCertificate;
  /** The control plane's public key (SPKI DER, base64): the root of trust. */
  readonly controlPublicKey: string;
  /** X25519 keys that segments are encrypted for, the present one first, then former ones. */
  readonly sealingKeys: readonly SealingKey[];
}

/** One claude-mem database and its ledger, opened. */
export interface Opened {
  /** Read-only connection. */
  readonly db: Database.Database;
  readonly reader: RowReader;
  readonly auditReader: AuditReader;
  /** Tells which rows may have changed since the last look. */
  readonly watch: RowWatch;
  /** What the last scan found of rows, for the push that follows it. */
  readonly scanned: ScannedRows;
  readonly changes: Changes;
  readonly schema: ClaudeMemSchema;
  readonly ledger: Ledger;
  readonly clock: HybridClock;
  /** Which file that is: another inode means that it was replaced. */
  readonly inode: number;
  /** SQLite's own count of changes of the tables: claude-mem may upgrade them under us. */
  readonly schemaVersion: number;
  readonly lock: { release(): void };
}

/** Everything one push or pull works with: an opened database, its ledger, the store. */
export interface SyncSession extends Pick<
  Opened,
  'db' | 'reader' | 'auditReader' | 'watch' | 'scanned' | 'changes' | 'schema' | 'ledger' | 'clock' | 'inode'
> {
  readonly path: string;
  readonly store: ObjectStore;
  readonly identity: NodeIdentity;
  /** What the control plane says of the members; null while it said nothing. */
  readonly membership: Membership | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** How long a row waits for its session before it gets a stub one, in milliseconds. */
  readonly orphanWaitMs: number;
}
