import type Database from 'better-sqlite3';
import type { NodeCertificate } from '../contract/nodes.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Changes } from './changes.ts';
import type { AuditReader } from './claude-mem/audit-reader.ts';
import type { RowReader } from './claude-mem/read.ts';
import type { ClaudeMemSchema } from './claude-mem/schema.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { SealingKey } from './sealing.ts';
import type { NodeKey } from './signing.ts';
import type { HybridClock } from './versions.ts';

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

/** Everything one push or pull works with: an opened database, its ledger, the store. */
export interface SyncSession {
  readonly path: string;
  /** Which file that is: another inode means that it was replaced. */
  readonly inode: number;
  /** Read-only connection. */
  readonly db: Database.Database;
  readonly reader: RowReader;
  readonly auditReader: AuditReader;
  readonly changes: Changes;
  readonly schema: ClaudeMemSchema;
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly identity: NodeIdentity;
  readonly clock: HybridClock;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** How long a row waits for its session before it gets a stub one, in milliseconds. */
  readonly orphanWaitMs: number;
}
