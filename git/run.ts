import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { MembridgeError } from '../contract/errors.ts';
import type { CloneProgress } from '../contract/projects/projects.ts';
import { measureFolder } from './folder-size.ts';
import { endGroup, isGroupAlive } from './processes.ts';
import { ProgressReader } from './progress.ts';

/** One call of git, in its own process group. */
export interface GitCall {
  /** Everything after `git`. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Its standard input; empty by default. */
  readonly input?: string;
  /**
   * Ends it when it has printed nothing and nothing has grown in this folder for some time; not for commands
   * without the network.
   */
  readonly stall?: Stall;
  progress?(progress: CloneProgress): void;
  /** Receives the number of the process group before git does anything of importance. */
  started?(group: number): void;
}

export interface Stall {
  readonly folder: string;
  readonly ms: number;
  readonly error: Error;
}

export interface GitAnswer {
  readonly code: number;
  readonly stdout: string;
  /** The end of stderr, limited in length; it may contain secrets. */
  readonly stderr: string;
}

/** Maximum number of characters kept of git's messages. */
const MAX_STDERR_CHARS = 64_000;
const MAX_STDOUT_CHARS = 64_000_000;

/** How long streams may stay open after git itself has ended, in milliseconds. */
const DRAIN_MS = 1_000;

/** Maximum interval between two stall checks, in milliseconds. */
const STALL_CHECK_MS = 5_000;

/**
 * Runs git to its end; any exit code is returned.
 * @returns when no process that it started is left
 * @throws MembridgeError git_missing; the signal's reason when it is aborted; the stall's error; always after
 * the whole process group has ended
 */
export async function runGit(call: GitCall): Promise<GitAnswer> {
  call.signal.throwIfAborted();
  const { args, cwd, env } = call;
  const child = spawn('git', args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  // git may end before it has read everything.
  child.stdin.on('error', () => undefined).end(call.input ?? '');
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(startFailure(error, cwd)));
    child.once('exit', (code) => resolve(code ?? -1));
  });
  exited.catch(() => undefined);
  const closed = once(child, 'close').catch(() => undefined);
  const heard = listen(child, call);
  const watch = new Watch(call, () => heard.lastAt);
  try {
    if (child.pid !== undefined) call.started?.(child.pid);
    const code = await Promise.race([exited, watch.ended]);
    await Promise.race([closed, sleep(DRAIN_MS)]);
    return { code, stdout: heard.stdout, stderr: heard.stderr };
  } finally {
    watch.stop();
    // Even after a normal end, nothing that git started may continue.
    if (child.pid !== undefined && isGroupAlive(child.pid)) await endGroup(child.pid);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function startFailure(error: NodeJS.ErrnoException, cwd: string): Error {
  // A missing folder gives the same error.
  if (error.code !== 'ENOENT' || !existsSync(cwd)) return error;
  return new MembridgeError(
    'git_missing',
    'git is not installed on this node, or not on the PATH of its agent. Install it and start the agent again.',
    { cause: error },
  );
}

interface CollectedOutput {
  stdout: string;
  stderr: string;
  lastAt: number;
}

function listen(child: ChildProcess, call: GitCall): CollectedOutput {
  const heard: CollectedOutput = { stdout: '', stderr: '', lastAt: Date.now() };
  const reader = new ProgressReader((progress) => call.progress?.(progress));
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    heard.lastAt = Date.now();
    if (heard.stdout.length < MAX_STDOUT_CHARS) heard.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    heard.lastAt = Date.now();
    heard.stderr = (heard.stderr + text).slice(-MAX_STDERR_CHARS);
    reader.take(text);
  });
  return heard;
}

/** Watches for a cancellation or a stall, which end git early. */
class Watch {
  /** Never resolves; rejects with the reason. */
  readonly ended: Promise<never>;
  readonly #end = new AbortController();

  constructor(call: GitCall, lastHeard: () => number) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.ended = promise;
    this.ended.catch(() => undefined);
    const { signal } = this.#end;
    call.signal.addEventListener('abort', () => reject(call.signal.reason as Error), { signal });
    if (call.stall !== undefined) void this.#awaitStandstill(call.stall, lastHeard, reject);
  }

  stop(): void {
    this.#end.abort();
  }

  async #awaitStandstill(
    stall: Stall,
    lastHeard: () => number,
    reject: (error: Error) => void,
  ): Promise<void> {
    let size = 0;
    let grewAt = Date.now();
    while (!this.#end.signal.aborted) {
      await sleep(Math.min(STALL_CHECK_MS, stall.ms / 4), null, this.#end).catch(() => undefined);
      if (Date.now() - lastHeard() < stall.ms / 4) continue;
      const now = await measureFolder(stall.folder);
      if (now !== size) grewAt = Date.now();
      size = now;
      if (Date.now() - Math.max(grewAt, lastHeard()) < stall.ms) continue;
      reject(stall.error);
      return;
    }
  }
}
