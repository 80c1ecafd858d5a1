import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { MembridgeError } from '../../contract/errors.ts';
import type {
  CloneProgress,
  CloneResult,
  CloneSpec,
  NodeCredential,
} from '../../contract/projects/projects.ts';
import { cloneRepository, fetchRepository, resetRepository } from '../../git/clone.ts';
import { NO_CREDENTIAL } from '../../git/context.ts';
import { Gate } from '../../git/turns.ts';
import { toFailure } from '../failures.ts';

export interface ProjectInput {
  readonly spec: CloneSpec;
  /** Time limit for the whole activity, in milliseconds. */
  readonly timeoutMs: number;
}

export interface ResetInput extends ProjectInput {
  /** The commit that was checked out when the person confirmed. */
  readonly expected: string;
}

export interface ProjectActivityOptions {
  /** This node's folder of repositories. */
  readonly reposBase: string;
  /** Where key files are kept while git runs. */
  readonly workDir: string;
  readonly node: string;
  /** Refuse with a clear message instead of acting (MEMBRIDGE_AGENT_DRYRUN=1). */
  readonly dryrun: boolean;
  /** Asks the control plane; called only for a project that has a credential. */
  readonly credentialOf: (spec: Pick<CloneSpec, 'projectId' | 'repoUrl'>) => Promise<NodeCredential>;
}

/** Clones that git works on concurrently per node. The others wait, and their time limit does not run. */
const MAX_CONCURRENT_CLONES = 4;

/** How often a running activity sends a heartbeat with its progress, in milliseconds. */
const HEARTBEAT_MS = 1_000;

/** Activities of managed projects on one node. Their heartbeat details contain git's current progress. */
export function createProjectActivities(options: ProjectActivityOptions) {
  const { reposBase, workDir, node, dryrun, credentialOf } = options;
  const gate = new Gate(MAX_CONCURRENT_CLONES);

  async function run(act: typeof cloneRepository, { spec, timeoutMs }: ProjectInput): Promise<CloneResult> {
    if (dryrun) {
      throw toFailure(
        new MembridgeError(
          'conflict',
          `Node ${node} runs with MEMBRIDGE_AGENT_DRYRUN=1: nothing was done with ${spec.name}.`,
        ),
      );
    }
    let latest: CloneProgress = { phase: 'starting', percent: null, bytes: 0 };
    heartbeat(latest);
    const timer = setInterval(() => heartbeat(latest), HEARTBEAT_MS);
    const signal = cancellationSignal();
    try {
      const progress = (told: CloneProgress): void => {
        latest = told;
      };
      const onWait = (): void => progress({ phase: 'waiting for its turn', percent: null, bytes: 0 });
      return await gate.pass(signal, onWait, async () => {
        const credential = spec.hasCredential ? await credentialOf(spec) : NO_CREDENTIAL;
        return await act(spec, { reposBase, workDir, credential, signal, progress, timeoutMs });
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw toFailure(error);
    } finally {
      clearInterval(timer);
    }
  }

  return {
    /** Clones a project, or updates the existing clone. */
    async cloneRepository(input: ProjectInput): Promise<CloneResult> {
      return await run(cloneRepository, input);
    },

    /** Asks the remote of a project's clone for news. */
    async fetchRepository(input: ProjectInput): Promise<CloneResult> {
      return await run(fetchRepository, input);
    },

    /**
     * Resets a project's clone to its remote, and keeps the former state on a branch. A repeated call finds
     * the work done.
     */
    async resetRepository({ expected, ...input }: ResetInput): Promise<CloneResult> {
      return await run(async (spec, context) => await resetRepository({ ...spec, expected }, context), input);
    },
  };
}

export type ProjectActivities = ReturnType<typeof createProjectActivities>;
