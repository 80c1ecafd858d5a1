import type { CloneProgress, NodeCredential } from '../contract/projects/projects.ts';

/** The context of git work: where it runs, with which credential, and for how long. */
export interface GitContext {
  /** This node's folder of repositories. Nothing outside of it is written. */
  readonly reposBase: string;
  /** A folder for key files and helpers while git runs; created with mode 0700 if missing. */
  readonly workDir: string;
  readonly credential: NodeCredential;
  /** Ends the work: kills git with everything that it started, and removes unfinished work. */
  readonly signal: AbortSignal;
  /** Receives git's progress, often. */
  progress(progress: CloneProgress): void;
  /** How long git may neither print nor write anything, in milliseconds; default 60,000. */
  readonly stallMs?: number;
  /** Time limit for all of the work, in milliseconds. */
  readonly timeoutMs: number;
}

/** Default for how long git may neither print nor write anything, in milliseconds. */
export const STALL_MS = 60_000;

/** No credential: git uses what the user of this machine has set up. */
export const NO_CREDENTIAL: NodeCredential = { credential: null, known_hosts: null };
