import type { NodeCertificate } from '../contract/nodes.ts';
import type { Membership } from '../contract/membership.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Opened } from './open-files.ts';
import type { SealingKey } from './sealing.ts';
import type { NodeKey } from './signing.ts';

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
