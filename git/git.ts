import { dirname } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import type { CloneProgress, CloneSpec } from '../contract/projects/projects.ts';
import type { Access } from './access.ts';
import { STALL_MS, type GitContext } from './context.ts';
import { GIT_SETTINGS } from './environment.ts';
import { gitFailure, type Attempt } from './failures.ts';
import { retryWhileLocked } from './locks.ts';
import { withoutUserinfo } from './redact.ts';
import { runGit, type GitAnswer } from './run.ts';

/**
 * Time limit for a step that is never interrupted, in milliseconds, because it changes files of a person's
 * clone.
 */
const UNINTERRUPTED_MS = 600_000;

/** Opens git for a project in a folder of this node, for the duration of one call. */
export function openGit(of: {
  readonly path: string;
  readonly access: Access;
  readonly spec: Pick<CloneSpec, 'repoUrl' | 'options'>;
  readonly context: Pick<GitContext, 'credential' | 'stallMs' | 'progress'>;
  readonly signal: AbortSignal;
}): Git {
  const { path, access, spec, context, signal } = of;
  return new Git({
    path,
    access,
    attempt: {
      repoUrl: spec.repoUrl,
      branch: spec.options.branch,
      credential: context.credential.credential,
    },
    signal,
    stallMs: context.stallMs ?? STALL_MS,
    progress: (progress) => context.progress(progress),
  });
}

/** git for one project's clone: its folder, its access, its limits, and how its failures are reported. */
export class Git {
  readonly #options: GitOptions;

  constructor(options: GitOptions) {
    this.#options = options;
  }

  /** The folder that it works in. */
  get path(): string {
    return this.#options.path;
  }

  /** Returns the same git for another folder. */
  in(folder: string): Git {
    return new Git({ ...this.#options, path: folder });
  }

  /** Returns the same git with additional environment and settings; later settings win. */
  with(env: Readonly<Record<string, string>>, settings: readonly string[] = []): Git {
    const { access } = this.#options;
    return new Git({
      ...this.#options,
      access: {
        ...access,
        env: { ...access.env, ...env },
        localEnv: { ...access.localEnv, ...env },
        settings: [...access.settings, ...settings],
      },
    });
  }

  /** Runs git in the clone, without the network. The caller judges its exit code. */
  async look(...args: string[]): Promise<GitAnswer> {
    return await this.#run(args, this.#options.access.localEnv, { signal: this.#options.signal });
  }

  /**
   * Runs git like `look`.
   * @returns what it printed, trimmed
   * @throws MembridgeError when it fails
   */
  async ask(...args: string[]): Promise<string> {
    const answer = await this.look(...args);
    if (answer.code !== 0) throw this.failure(answer);
    return answer.stdout.trim();
  }

  /** A folder of the agent's own, outside of every clone. */
  get aside(): string {
    return this.#options.access.folder;
  }

  /**
   * Runs git in the clone with a text on its standard input.
   * @throws MembridgeError when it fails
   */
  async feed(input: string, ...args: string[]): Promise<void> {
    await this.askWith(input, ...args);
  }

  /**
   * Runs git like `feed`.
   * @returns what it printed, trimmed
   * @throws MembridgeError when it fails; git_busy when another git holds a lock
   */
  async askWith(input: string, ...args: string[]): Promise<string> {
    const { access, signal } = this.#options;
    const answer = await retryWhileLocked(
      async () => await this.#run(args, access.localEnv, { signal, input }),
      signal,
    );
    if (answer.code !== 0) throw this.failure(answer);
    return answer.stdout.trim();
  }

  /** Runs a step that a cancellation does not interrupt, because it changes a person's files. */
  async runUninterrupted(...args: string[]): Promise<GitAnswer> {
    const { access } = this.#options;
    return await retryWhileLocked(
      async () => await this.#run(args, access.localEnv, { signal: AbortSignal.timeout(UNINTERRUPTED_MS) }),
      undefined,
    );
  }

  /**
   * Runs a git command that contacts the server, with progress and stall detection.
   * @param where.grows the folder that receives what it fetches
   * @throws MembridgeError by git's message
   */
  async runOverNetwork(
    args: string[],
    where: { grows: string; started?: (group: number) => void },
  ): Promise<string> {
    const answer = await this.tryNetwork(args, where);
    if (answer.code !== 0) throw this.failure(answer);
    return answer.stdout;
  }

  /** Runs git like `runOverNetwork`; the caller judges its exit code. */
  async tryNetwork(
    args: string[],
    where: { grows: string; started?: (group: number) => void },
  ): Promise<GitAnswer> {
    const { signal, stallMs, attempt } = this.#options;
    const error = new MembridgeError(
      'clone_stalled',
      `The server of ${withoutUserinfo(attempt.repoUrl)} has sent nothing for ${Math.round(stallMs / 1_000)} s; git was ended.`,
    );
    return await this.#run(args, this.#options.access.env, {
      signal,
      stall: { folder: where.grows, ms: stallMs, error },
      ...(where.started === undefined ? {} : { started: where.started }),
    });
  }

  /** Converts git's message to an error that says what to do. */
  failure(answer: GitAnswer): MembridgeError {
    return gitFailure(answer.stderr, this.#options.attempt);
  }

  async #run(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    more: Omit<Parameters<typeof runGit>[0], 'args' | 'env' | 'cwd'>,
  ): Promise<GitAnswer> {
    const { access, path } = this.#options;
    const answer = await runGit({
      ...more,
      cwd: path,
      args: [...GIT_SETTINGS, ...access.settings, ...args],
      // Without this, git would take a repository around a damaged clone for the clone.
      env: { ...env, GIT_CEILING_DIRECTORIES: dirname(path) },
      progress: (progress) => this.#options.progress(progress),
    });
    return { ...answer, stderr: access.redact(answer.stderr) };
  }
}

export interface GitOptions {
  /** The clone, or its future location. */
  readonly path: string;
  readonly access: Access;
  readonly attempt: Attempt;
  readonly signal: AbortSignal;
  readonly stallMs: number;
  progress(progress: CloneProgress): void;
}
