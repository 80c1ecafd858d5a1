import type { NodeCertificate } from '../contract/nodes/nodes.ts';
import type { Membership } from '../contract/memory/membership.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Opened } from './open-files.ts';
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
