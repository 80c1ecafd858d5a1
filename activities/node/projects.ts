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
  /** How long the whole may take, in milliseconds. */
  readonly timeoutMs: number;
}

export interface ResetInput extends ProjectInput {
  /** The commit that the person saw checked out when they confirmed. */
  readonly expected: string;
}

export interface ProjectActivityOptions {
  /** The folder of repositories of this node. */
  readonly reposBase: string;
  /** Where key files lie while git runs. */
  readonly workDir: string;
  readonly node: string;
  /** Refuse with a clear message instead of acting (MEMBRIDGE_AGENT_DRYRUN=1). */
  readonly dryrun: boolean;
  /** Asks the control plane; called only for a project that has a credential. */
  readonly credentialOf: (spec: Pick<CloneSpec, 'projectId' | 'repoUrl'>) => Promise<NodeCredential>;
}

/** How many of a node's clones git works on at once. The others wait, and their time does not run. */
const AT_ONCE = 4;

/** How often a running activity says that it lives and how far it is, in milliseconds. */
const HEARTBEAT_MS = 1_000;

/** Activities of managed projects on one node. What git does at the moment is in the details of their heartbeats. */
export function createProjectActivities(options: ProjectActivityOptions) {
  const { reposBase, workDir, node, dryrun, credentialOf } = options;
  const gate = new Gate(AT_ONCE);

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
    /** Makes a project's clone, or brings the one that is there up to date. */
    async cloneRepository(input: ProjectInput): Promise<CloneResult> {
      return await run(cloneRepository, input);
    },

    /** Asks the remote of a project's clone what is new. */
    async fetchRepository(input: ProjectInput): Promise<CloneResult> {
      return await run(fetchRepository, input);
    },

    /** Makes a project's clone as its remote; what was there is kept on a branch. Done again, it finds that done. */
    async resetRepository({ expected, ...input }: ResetInput): Promise<CloneResult> {
      return await run(async (spec, context) => await resetRepository({ ...spec, expected }, context), input);
    },
  };
}

export type ProjectActivities = ReturnType<typeof createProjectActivities>;
