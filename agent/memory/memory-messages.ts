import type { ErrorCode } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { PublishMirror } from '../../contract/memory/mirror.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import type { NodeCertificate } from '../../contract/nodes/nodes.ts';
import type { StoreRoute } from '../../storage/store-route.ts';

/** The options that start the memory thread. */
export interface ThreadOptions {
  readonly databasePath: string;
  readonly ledgerPath: string;
  readonly lockDirectory: string;
  readonly node: string;
  readonly privateKey: string;
  readonly certificate: NodeCertificate;
  readonly controlPublicKey: string;
  /** X25519 private keys in PEM, the present one first. */
  readonly sealingKeys: readonly string[];
  readonly store: StoreRoute;
  readonly orphanWaitMs: number;
  readonly configEnv: string;
  /** How long a primary waits between two publications of a mirror, in milliseconds. */
  readonly mirrorEveryMs: number;
}

/** `snapshot` needs this node to be primary in the leadership epoch; `collect` removes what a snapshot made superfluous. */
export type PrimaryWork = 'snapshot' | 'collect';

/** From the agent to the thread. */
export type Request =
  | { readonly type: 'push'; readonly id: number; readonly space: SpaceConfig }
  | { readonly type: 'pull'; readonly id: number; readonly space: SpaceConfig; readonly full: boolean }
  | { readonly type: 'status'; readonly id: number }
  /** Work of a space's primary, in a leadership epoch, or the collection that every node does after it. */
  | {
      readonly type: 'primary';
      readonly id: number;
      readonly what: PrimaryWork;
      readonly space: SpaceConfig;
      readonly epoch: number;
    }
  /** Publishes the original's snapshot as primary, within the loss that a person agreed to. */
  | {
      readonly type: 'mirror';
      readonly id: number;
      readonly space: SpaceConfig;
      readonly epoch: number;
      readonly agreed: PublishMirror;
    }
  /** A call of agent/calls, by its name; the agent has checked the input. */
  | { readonly type: 'call'; readonly id: number; readonly name: string; readonly input: unknown }
  /** New X25519 private keys in PEM, the present one first. */
  | { readonly type: 'keys'; readonly id: number; readonly sealingKeys: readonly string[] }
  /** The control plane's membership, for all spaces. */
  | { readonly type: 'membership'; readonly id: number; readonly membership: Membership }
  | { readonly type: 'abort'; readonly id: number }
  /** Spaces to watch claude-mem for. */
  | { readonly type: 'watch'; readonly spaces: SpaceConfig[] }
  /** A notice could not be passed on: report it again. */
  | { readonly type: 'look-again' }
  | { readonly type: 'close'; readonly id: number };

/** From the thread to the agent. */
export type Reply =
  /** The result has the type that the request asks for. */
  | { readonly type: 'done'; readonly id: number; readonly result: unknown }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode | null;
      readonly message: string;
    }
  | { readonly type: 'progress'; readonly id: number; readonly text: string }
  /** claude-mem wrote something that these spaces (canonical ids) lack. */
  | { readonly type: 'noticed'; readonly cids: string[] }
  | { readonly type: 'log'; readonly message: string };
