import type { ObjectStore } from '../storage/object-store.ts';
import type { OpenLegacyStore } from './legacy/transfer.ts';
import type { NodeIdentity } from './session.ts';

/** What a memory engine works with. */
export interface EngineOptions {
  /** claude-mem's database; it may not exist yet. */
  readonly databasePath: string;
  readonly ledgerPath: string;
  /** Where the locks of this user's agents lie. */
  readonly lockDirectory: string;
  readonly identity: NodeIdentity;
  readonly store: ObjectStore;
  readonly now?: () => number;
  readonly orphanWaitMs?: number;
  readonly log?: (message: string) => void;
  /** The rules by which secrets are taken out, where a node is to do as an earlier release did. */
  readonly ruleSet?: number;
  /** How the original's snapshots are reached; over S3 when absent. */
  readonly openLegacyStore?: OpenLegacyStore;
}
