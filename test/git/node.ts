import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorMessage, MembridgeError } from '../../contract/errors.ts';
import type {
  CloneOptions,
  CloneProgress,
  CloneResult,
  CloneSpec,
} from '../../contract/projects/projects.ts';
import { cloneRepository, fetchRepository, resetRepository } from '../../git/clone.ts';
import { NO_CREDENTIAL, type GitContext } from '../../git/context.ts';

/** A node's folders for tests of git, and calls with defaults for everything that a test does not care about. */
export interface GitNode {
  readonly folder: string;
  readonly base: string;
  readonly work: string;
  /** Everything that was ever reported: progress, details, errors. */
  readonly told: string[];
  clone(spec: SpecInput, context?: Partial<GitContext>): Promise<CloneResult>;
  fetch(spec: SpecInput, context?: Partial<GitContext>): Promise<CloneResult>;
  /** Resets the clone to its remote. */
  reset(spec: SpecInput, expected: string): Promise<CloneResult>;
  /** Returns the error of a clone that must fail. */
  failure(spec: SpecInput, context?: Partial<GitContext>): Promise<MembridgeError>;
  /** Returns everything below the base, except inside a clone's `.git`. */
  files(): string[];
  remove(): void;
}

export type SpecInput = Partial<Omit<CloneSpec, 'options'>> & { repoUrl: string } & Partial<CloneOptions>;

export function makeSpec(input: SpecInput): CloneSpec {
  const { branch = null, depth = null, submodules = false, ...rest } = input;
  const defaults = { projectId: 'p1', name: 'app', targetPath: null, hasCredential: false };
  return { ...defaults, ...rest, options: { branch, depth, submodules } };
}

export function makeGitNode(): GitNode {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-node-'));
  const base = join(folder, 'projects');
  const work = join(folder, 'work');
  mkdirSync(base);
  const told: string[] = [];
  const context = (more: Partial<GitContext>): GitContext => ({
    reposBase: base,
    workDir: work,
    credential: NO_CREDENTIAL,
    signal: new AbortController().signal,
    timeoutMs: 60_000,
    ...more,
    progress: (progress: CloneProgress) => {
      told.push(JSON.stringify(progress));
      more.progress?.(progress);
    },
  });
  const act =
    (action: typeof cloneRepository) =>
    async (input: SpecInput, more: Partial<GitContext> = {}): Promise<CloneResult> => {
      try {
        const result = await action(makeSpec(input), context(more));
        told.push(JSON.stringify(result));
        return result;
      } catch (error) {
        told.push(errorMessage(error));
        throw error;
      }
    };
  const clone = act(cloneRepository);
  return {
    folder,
    base,
    work,
    told,
    clone,
    fetch: act(fetchRepository),
    reset: async (input, expected) =>
      await act(async (spec, more) => await resetRepository({ ...spec, expected }, more))(input),
    failure: async (input, more) => {
      const error = await clone(input, more).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (error instanceof MembridgeError) return error;
      throw new Error(`expected an error of the table, got ${errorMessage(error)}`);
    },
    files: () =>
      (readdirSync(base, { recursive: true }) as string[])
        .filter((file) => !file.includes('.git/'))
        .toSorted(),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
