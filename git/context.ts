import type { CloneProgress, NodeCredential } from '../contract/projects/projects.ts';

/** What the git room is given besides the project: where it works, with which rights, and for how long. */
export interface GitContext {
  /** The folder of repositories of this node. Nothing outside of it is written. */
  readonly reposBase: string;
  /** A folder of ours for key files and helpers while git runs; made with mode 0700 where it is not there. */
  readonly workDir: string;
  readonly credential: NodeCredential;
  /** Ends the work: git and everything that it started is killed, and what was half done is removed. */
  readonly signal: AbortSignal;
  /** Hears what git does, often. */
  progress(progress: CloneProgress): void;
  /** How long git may neither say anything nor write anything, in milliseconds; default 60,000. */
  readonly stallMs?: number;
  /** How long the whole may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** How long git may neither say nor write anything unless told otherwise, in milliseconds. */
export const STALL_MS = 60_000;

/** No credential: git works with what the user of this machine has set up. */
export const NO_CREDENTIAL: NodeCredential = { credential: null, known_hosts: null };
