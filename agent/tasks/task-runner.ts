import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import type { TaskPort } from '../../activities/node/tasks.ts';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { readProposal } from '../../contract/projects/proposal-content.ts';
import { PROPOSAL_TYPE } from '../../contract/projects/proposals.ts';
import type { Blob, Claimed, OutputChunk, RunError, RunReport, RunSpec } from '../../contract/tasks/runs.ts';
import { resolveTarget } from '../../git/target.ts';
import type { RunnerCommand } from '../../runner/command.ts';
import type { Guard } from '../../runner/guard.ts';
import { runProgram, type RunOutcome } from '../../runner/run.ts';
import type { Sandbox } from '../../runner/sandbox/sandbox.ts';
import { getBlob, putBlob } from '../../storage/blobs.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { ClaimRefused, type EngineRequests } from '../engine-requests.ts';
import { contextFolder } from './contexts.ts';
import type { LeaseKeeper } from './keeper.ts';
import type { Lost } from './keeper-messages.ts';
import { TaskOutput } from './output.ts';
import type { TaskSlots } from './slots.ts';

/** How often a cancelled attempt asks Temporal to confirm the cancellation to the SDK, in milliseconds. */
const BEAT_MS = 500;

/** SDK heartbeats within the life of a lease. */
const BEATS_PER_LEASE = 3;

/** Pause before an operation that failed on the network is tried again, in milliseconds. */
const RETRY_MS = 1_000;

export interface TaskRunnerOptions {
  readonly node: string;
  readonly slots: TaskSlots;
  readonly keeper: LeaseKeeper;
  readonly guard: Guard;
  readonly command: RunnerCommand;
  /** Names of variables that the program gets from the agent's environment, besides the usual ones. */
  readonly variables: readonly string[];
  /** The sandbox for programs. Null runs them as ordinary programs of the agent's user. */
  readonly sandbox: Sandbox | null;
  /** Begins an attempt; see EngineRequests. */
  readonly claim: EngineRequests['claim'];
  readonly store: ObjectStore;
  /** How long the result of a run waits for the store, in milliseconds. */
  readonly storeWaitMs: number;
  readonly reposBase: string;
  /** The agent's own folder. */
  readonly dataDir: string;
  readonly databasePath: string;
  /** Sends what programs write to the control plane; see TaskOutput. */
  readonly sendOutput: (taskId: string, epoch: number, chunks: readonly OutputChunk[]) => Promise<boolean>;
  /** Returns why no task may begin here now; see Readiness. */
  readonly obstacles: () => Promise<string[]>;
  /** Called with how a run ended. */
  readonly ended: (error: RunError | null) => void;
  /** Called when a run began or ended. */
  readonly changed: () => void;
  readonly log: Logger;
}

/** A lease that this node holds. */
interface Held {
  readonly leaseId: string;
  readonly confirmedAt: () => number;
}

/** Runs attempts at tasks on this node. */
export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  readonly #held = new Map<string, Held>();
  /** Tasks that have ended and whose results wait for the object store. */
  readonly #waits = new Set<string>();

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
  }

  /** Returns the leases that this node holds, and when each was last confirmed (epoch ms). */
  leases(): { lease_id: string; confirmed_at: number }[] {
    return [...this.#held.values()].map(({ leaseId, confirmedAt }) => ({
      lease_id: leaseId,
      confirmed_at: confirmedAt(),
    }));
  }

  /** Returns the tasks that have ended and whose results wait for the object store. */
  waits(): string[] {
    return [...this.#waits];
  }

  /** @param arrived called when a task takes one of the node's slots, so that its queue gives up the reserved one */
  port(arrived: () => void): TaskPort {
    return {
      run: async (spec) => {
        arrived();
        return await this.#attempt(spec);
      },
    };
  }

  async #attempt(spec: RunSpec): Promise<RunReport> {
    const { keeper, slots } = this.#options;
    const context = Context.current();
    const ending = new AbortController();
    let lost: Lost | null = null;
    const end = (reason: Lost): void => {
      lost ??= reason;
      ending.abort(new Error(`the attempt at ${spec.taskId} is ${reason}`));
    };
    const onCancel = (): void => end('cancelled');
    context.cancellationSignal.addEventListener('abort', onCancel, { once: true });
    const lease = keeper.keep(context.info.base64TaskToken, spec.ttlMs, end);
    // The SDK does not see the keeper's heartbeats. It ends an activity that sent none of its own for 5 s longer than
    // the lease's life.
    const beats = setInterval(() => {
      if (lost === null) context.heartbeat();
    }, spec.ttlMs / BEATS_PER_LEASE);
    let giveBack: (() => void) | null = null;
    try {
      const { signal } = ending;
      giveBack =
        spec.slotWaitMs === 0 ? slots.tryTake() : await slots.take(spec.priority, spec.slotWaitMs, signal);
      if (giveBack === null) throw refusedAttempt('no_slot', 'the node has no free slot');
      return await this.#run(spec, signal, lease);
    } catch (error) {
      if (lost !== null) throw await toLostError(lost, context, error);
      throw error;
    } finally {
      clearInterval(beats);
      context.cancellationSignal.removeEventListener('abort', onCancel);
      lease.leave();
      giveBack?.();
    }
  }

  async #run(spec: RunSpec, signal: AbortSignal, lease: ReturnType<LeaseKeeper['keep']>): Promise<RunReport> {
    const { guard, store, dataDir, log } = this.#options;
    const key = `${spec.taskId}-${spec.epoch}`;
    await this.#requireAbility(spec);
    const cwd = await this.#workingFolder(spec);
    const prompt =
      'text' in spec.prompt ? spec.prompt.text : (await getBlob(store, spec.prompt.blob)).toString();
    const { leaseId } = await this.#claim(spec, signal);
    this.#held.set(key, { leaseId, confirmedAt: () => lease.confirmedAt });
    this.#options.changed();
    log.info({ task: spec.taskId, epoch: spec.epoch }, 'a task begins');
    const output = new TaskOutput(join(dataDir, 'tasks', `${key}.jsonl`), async (chunks) =>
      this.#options.sendOutput(spec.taskId, spec.epoch, chunks),
    );
    try {
      const outcome = await runProgram({
        spec,
        prompt,
        cwd,
        signal,
        command: this.#options.command,
        variables: this.#options.variables,
        sandbox: this.#options.sandbox,
        sessionsDir: join(dataDir, 'sessions'),
        databasePath: this.#options.databasePath,
        output: (stream, text) => output.write(stream, text),
        started: (group) => {
          guard.add(group);
          lease.group(group, true);
        },
        ended: (group) => {
          guard.remove(group);
          lease.group(group, false);
        },
      });
      this.#options.ended(outcome.error);
      const report = await this.#report(spec, outcome, output, signal);
      const { durationMs, error } = report;
      log.info({ task: spec.taskId, ms: Math.round(durationMs), error: error?.code ?? null }, 'a task ended');
      return report;
    } finally {
      this.#held.delete(key);
      this.#waits.delete(spec.taskId);
      this.#options.changed();
      await output.remove();
    }
  }

  /**
   * Checks before the claim that the result can be reported. Otherwise a task that began here could neither end here
   * nor begin on another node without being paid for twice.
   */
  async #requireAbility(spec: RunSpec): Promise<void> {
    const obstacles = await this.#options.obstacles();
    if (obstacles.length === 0) return;
    this.#options.log.warn({ task: spec.taskId, obstacles }, 'the node gives a task back: it cannot work');
    throw refusedAttempt('no_slot', `the node cannot work: ${obstacles.join('; ')}`);
  }

  /**
   * Returns the clone of the task's project, or a folder that belongs to the context: programs find their sessions by
   * the folder.
   */
  async #workingFolder({ project, contextId }: RunSpec): Promise<string> {
    const { reposBase, dataDir } = this.#options;
    if (project === null) return await contextFolder(dataDir, contextId);
    const target = await resolveTarget(reposBase, project.name, project.targetPath);
    if (target.holds === 'clone') return target.path;
    throw refusedAttempt('clone_missing', `There is no clone of ${project.name} at ${target.path}.`);
  }

  /** Asks the task's workflow for the lease. No program runs without it: the answer proves that the claim is recorded. */
  async #claim(spec: RunSpec, signal: AbortSignal): Promise<Claimed> {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await this.#options.claim(spec.taskId, { epoch: spec.epoch, token: spec.token });
      } catch (error) {
        if (error instanceof ClaimRefused) throw refusedAttempt('claim_refused', error.message);
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #report(
    spec: RunSpec,
    outcome: RunOutcome,
    output: TaskOutput,
    signal: AbortSignal,
  ): Promise<RunReport> {
    const { exitCode, durationMs, usage, answer, notes } = outcome;
    const error = outcome.error ?? findProposalError(spec, answer);
    const [answered, log] = await Promise.all([
      this.#keep(spec.taskId, answer === null ? null : Buffer.from(answer), signal),
      output.end().then(async (bytes) => await this.#keep(spec.taskId, bytes, signal)),
    ]);
    return {
      worker: this.#options.node,
      exitCode,
      durationMs,
      usage,
      error,
      notes: notes.slice(0, 20).map((note) => note.slice(0, 500)),
      output: answered,
      log,
    };
  }

  /**
   * Stores bytes. While the store is away it tries again, for as long as the lease lives but at most `storeWaitMs`;
   * the node's standing shows the wait.
   * @throws ApplicationFailure store_unavailable, which Temporal does not retry: the program has done its work, and
   * would be paid for twice
   */
  async #keep(taskId: string, bytes: Buffer | null, signal: AbortSignal): Promise<Blob | null> {
    if (bytes === null || bytes.length === 0) return null;
    const giveUpAt = Date.now() + this.#options.storeWaitMs;
    for (;;) {
      signal.throwIfAborted();
      try {
        const blob = await putBlob(this.#options.store, bytes);
        this.#wait(taskId, false);
        return blob;
      } catch (error) {
        const isFinal = error instanceof MembridgeError && !error.retryable;
        if (isFinal || Date.now() > giveUpAt) {
          this.#wait(taskId, false);
          throw refusedAttempt(
            'store_unavailable',
            `The program has ended, but its result could not be stored: ${errorMessage(error)}. Repair the store, then queue the task again to run it once more.`,
          );
        }
        this.#wait(taskId, true);
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #wait(taskId: string, waits: boolean): void {
    if (waits === this.#waits.has(taskId)) return;
    if (waits) this.#waits.add(taskId);
    else this.#waits.delete(taskId);
    this.#options.changed();
  }
}

/** Returns what is wrong with an answer that should be a proposal; null when it is valid, or the task wants none. */
function findProposalError(spec: RunSpec, answer: string | null): RunError | null {
  if (spec.artifactType !== PROPOSAL_TYPE) return null;
  const read = readProposal(answer ?? '');
  // A second try may keep to the form.
  return read.ok ? null : { code: 'proposal_invalid', message: read.problem, retryable: true };
}

/** Makes the failure of an attempt that this node does not take; the workflow knows the types. */
function refusedAttempt(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}

/** Converts the end of a lost attempt into the failure that Temporal receives. */
async function toLostError(lost: Lost, context: Context, error: unknown): Promise<unknown> {
  if (lost === 'cancelled') {
    // Temporal accepts a cancellation only after the SDK has seen the request, which a heartbeat brings.
    while (!context.cancellationSignal.aborted) {
      context.heartbeat();
      await sleep(BEAT_MS, undefined, { signal: context.cancellationSignal }).catch(() => undefined);
    }
    const details = context.cancellationDetails;
    if (details?.cancelRequested === true) return new CancelledFailure(errorMessage(error));
    if (details?.workerShutdown === true) return refusedAttempt('released', 'its agent stops');
  }
  return ApplicationFailure.create({ type: 'lease_expired', message: errorMessage(error) });
}
