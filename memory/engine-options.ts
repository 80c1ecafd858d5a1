import type { ObjectStore } from '../storage/object-store.ts';
import type { OpenLegacyStore } from './legacy/transfer.ts';
import type { NodeIdentity } from './session.ts';

/** What a memory engine works with. */
export interface EngineOptions {
  /** Path of claude-mem's database; the file may not exist yet. */
  readonly databasePath: string;
  readonly ledgerPath: string;
  /** Folder of the locks that this user's agents share. */
  readonly lockDirectory: string;
  readonly identity: NodeIdentity;
  readonly store: ObjectStore;
  readonly now?: () => number;
  readonly orphanWaitMs?: number;
  readonly log?: (message: string) => void;
  /** Redaction rules to use instead of the current ones; lets tests act as an earlier release. */
  readonly ruleSet?: number;
  /** Opens the store of the original's snapshots; S3 when absent. */
  readonly openLegacyStore?: OpenLegacyStore;
}
