import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { STORE_PROBE_KEY } from '../../contract/nodes/agent-store.ts';
import { errorMessage } from '../../contract/errors.ts';
import {
  MAX_WORKING_CLOCK_OFF_MS,
  clockSentence,
  type NodeWork,
} from '../../contract/nodes/node-standing.ts';
import { connectEngine, type Engine, type EngineAddress } from '../../engine/connect.ts';
import type { RunnerCommand } from '../../runner/command.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { openRoutedStore, type StoreRoute } from '../../storage/store-route.ts';
import { isProgramRunnable } from '../node-facts.ts';

/** How long each check may take, in milliseconds. */
const PART_DEADLINE_MS = 3_000;
/** How recent a check must be for a task to be claimed on it, in milliseconds. */
const FRESH_MS = 2_000;
/** While all is well, checks are this many times rarer than heartbeats. */
const READY_INTERVAL_FACTOR = 3;
/**
 * How long the node does not use a program that reported that it is not signed in, in milliseconds. A change of its
 * credentials ends that earlier.
 */
const SIGNED_OUT_MS = 10 * 60_000;
/** The longest sentence, in characters; the contract allows 500. */
const MAX_SENTENCE_CHARS = 400;

interface ReadinessOptions {
  readonly node: string;
  readonly engine: EngineAddress;
  readonly store: StoreRoute;
  readonly command: RunnerCommand;
  /** Between two checks while something is wrong, in milliseconds. */
  readonly everyMs: number;
  /** How far this machine's clock is ahead of the control plane's, in milliseconds; null while unknown. */
  readonly clockAheadMs: () => number | null;
  /** Returns the task queues that workers of this node poll, while Temporal answers. */
  readonly queues: () => string[];
  /** Tasks whose results wait for the object store. */
  readonly waits: () => string[];
  /** Called when a check found something else than the one before. */
  readonly changed: () => void;
  readonly log: Logger;
}

/** Checks repeatedly whether this node can work: Temporal, the object store, its program, and its clock. */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #store: ObjectStore;
  #engine: Promise<Engine> | null = null;
  #engineProblem: string | null = null;
  #storeProblem: string | null = null;
  #lookedAt = 0;
  /** The result of the last check, as JSON. */
  #told = '';
  #looking: Promise<void> | null = null;
  /** When the program reported that it is not signed in (epoch ms), and its message. */
  #signedOut: { at: number; said: string } | null = null;
  readonly #stopped = new AbortController();

  constructor(options: ReadinessOptions) {
    this.#options = options;
    this.#store = openRoutedStore(options.store, { deadlineMs: PART_DEADLINE_MS });
  }

  /** Starts the checks. */
  start(): void {
    void this.#keepLooking();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#looking;
    this.#store.close();
    await this.#engine?.then((engine) => engine.close()).catch(() => undefined);
  }

  /** Returns the result of the last check. */
  get work(): NodeWork {
    return {
      queues: this.#engineProblem === null ? this.#options.queues() : [],
      engine: this.#engineProblem,
      store: this.#storeProblem,
      clock_ahead_ms: roundTo10Seconds(this.#options.clockAheadMs()),
      program: this.#programProblem(),
      waits: this.#options.waits(),
    };
  }

  /**
   * Returns why no task may begin here now; checks again when the last result is not fresh.
   * @returns sentences for people; none when a task may begin
   */
  async findObstacles(): Promise<string[]> {
    if (Date.now() - this.#lookedAt > FRESH_MS) await this.#look();
    return this.#obstacles();
  }

  /** Whether the node should poll for tasks, by the last check. */
  get isReady(): boolean {
    return this.#obstacles().length === 0;
  }

  /** Records how a run ended: a program that is not signed in would fail every task that it gets. */
  noteEnd(error: { code: string; message: string } | null): void {
    const said = error?.code === 'runner_refused' ? error.message : null;
    const before = this.#signedOut;
    this.#signedOut = said === null ? null : { at: Date.now(), said };
    if ((before === null) !== (said === null)) this.#options.changed();
  }

  #obstacles(): string[] {
    const ahead = this.#options.clockAheadMs() ?? 0;
    const clock =
      Math.abs(ahead) > MAX_WORKING_CLOCK_OFF_MS ? clockSentence(this.#options.node, ahead) : null;
    return [clock, this.#storeProblem, this.#programProblem()].filter((problem) => problem !== null);
  }

  #programProblem(): string | null {
    const { program } = this.#options.command;
    if (!isProgramRunnable(program)) return shortenSentence(`the program ${program} is not installed on it`);
    return this.#signedOut === null
      ? null
      : shortenSentence(`${program} refuses to work: ${this.#signedOut.said}`);
  }

  async #keepLooking(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#look();
      const isWell = this.#engineProblem === null && this.isReady;
      const ms = this.#options.everyMs * (isWell ? READY_INTERVAL_FACTOR : 1);
      await sleep(ms, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Runs one check; concurrent callers share it. */
  async #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const [engine, store] = await Promise.all([
      problemOf(() => this.#askEngine()),
      problemOf(() => this.#store.get(STORE_PROBE_KEY)),
      this.#lookAtCredentials(),
    ]);
    this.#engineProblem = engine;
    this.#storeProblem = store;
    this.#lookedAt = Date.now();
    // Compared with what was last reported: a program may have been installed in between.
    const found = JSON.stringify(this.work);
    if (this.#stopped.signal.aborted || found === this.#told) return;
    this.#told = found;
    this.#options.log.info(this.work, 'the ability of this node to work has changed');
    this.#options.changed();
  }

  async #askEngine(): Promise<void> {
    this.#engine ??= connectEngine(this.#options.engine);
    try {
      const { client } = await this.#engine;
      await client.withDeadline(Date.now() + PART_DEADLINE_MS, () =>
        client.workflowService.getSystemInfo({}),
      );
    } catch (error) {
      const engine = this.#engine;
      this.#engine = null;
      void engine.then((connected) => connected.close()).catch(() => undefined);
      throw error;
    }
  }

  /** Checks whether somebody has signed the program in since it reported that it is not. */
  async #lookAtCredentials(): Promise<void> {
    const signedOut = this.#signedOut;
    if (signedOut === null) return;
    const folder = process.env['CLAUDE_CONFIG_DIR'] ?? join(homedir(), '.claude');
    const changedAt = await stat(join(folder, '.credentials.json')).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    const isOver = changedAt > signedOut.at || Date.now() - signedOut.at > SIGNED_OUT_MS;
    if (isOver && this.#signedOut === signedOut) this.#signedOut = null;
  }
}

async function problemOf(ask: () => Promise<unknown>): Promise<string | null> {
  try {
    await ask();
    return null;
  } catch (error) {
    return shortenSentence(errorMessage(error));
  }
}

/**
 * Rounds to ten seconds. Every browser receives each change of the offset, so a steady clock must give the same
 * figure each time.
 */
const roundTo10Seconds = (ms: number | null): number | null =>
  ms === null ? null : Math.round(ms / 10_000) * 10_000 + 0;

const shortenSentence = (text: string): string =>
  text.length <= MAX_SENTENCE_CHARS ? text : `${text.slice(0, MAX_SENTENCE_CHARS)}…`;
