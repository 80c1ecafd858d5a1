import type { Logger } from 'pino';
import { errorMessage } from '../../contract/errors.ts';
import type { MemoryStatus, SpaceConfig } from '../../contract/memory/memory.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import type { NodeWork } from '../../contract/nodes/node-standing.ts';
import type { AgentHeartbeat, TaskSandbox } from '../../contract/nodes/nodes.ts';
import type { Server } from '../../transport/server.ts';
import { ControlPlaneError, sendHeartbeat } from './control-plane.ts';
import { readFacts } from '../node-facts.ts';

/** The result of the last heartbeat. */
export interface HeartbeatState {
  /** When the control plane last answered one, in epoch ms; null before the first. */
  readonly lastOk: number | null;
  /** Why the last one failed; null when it did not. */
  readonly problem: string | null;
  /** How far this machine's clock is ahead of the control plane's, in milliseconds; null while unknown. */
  readonly clockAheadMs: number | null;
}

/** After a sync, the page learns of it this soon, in milliseconds, instead of at the next interval. */
const AFTER_SYNC_MS = 300;

/** Reports to the control plane at a steady interval, however busy the agent is. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: NodeJS.Timeout | null = null;
  #memory: MemoryStatus;
  #state: HeartbeatState = { lastOk: null, problem: null, clockAheadMs: null };
  /** The signature of the membership that the memory thread holds. */
  #membership: string | null = null;
  #stopped = false;
  #isBeating = false;
  #mustRepeat = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#memory = {
      path: options.databasePath,
      state: 'starting',
      detail: null,
      schema: null,
      rows: null,
      bytes: null,
      checkedAt: Date.now(),
    };
  }

  get state(): HeartbeatState {
    return this.#state;
  }

  get memory(): MemoryStatus {
    return this.#memory;
  }

  start(): void {
    void this.#beat();
  }

  /** Brings the next heartbeat forward, because something worth showing has changed. */
  bringForward(): void {
    if (this.#isBeating) this.#mustRepeat = true;
    else this.#schedule(AFTER_SYNC_MS);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), ms);
  }

  async #beat(): Promise<void> {
    if (this.#isBeating) return;
    this.#isBeating = true;
    const { log, server, agentKey, intervalMs } = this.#options;
    // Behind a running sync the status waits its turn; the heartbeat does not wait for it.
    await Promise.race([this.#refresh(), new Promise((resolve) => setTimeout(resolve, AFTER_SYNC_MS))]);
    try {
      const { url, dryrun, tasks, sandbox } = this.#options;
      const leases = this.#options.leases();
      const work = this.#options.work();
      const facts = readFacts({ url, dryrun, tasks, sandbox, work, tasksRunning: leases.length });
      const sentAt = Date.now();
      const answer = await sendToAnyVersion({ facts, memory: this.#memory, leases }, (heartbeat) =>
        sendHeartbeat(server, agentKey, heartbeat, {
          membership: this.#membership,
          sealingKeyIds: this.#options.sealingKeyIds(),
        }),
      );
      const middle = (sentAt + Date.now()) / 2;
      if (this.#state.problem !== null) log.info('the control plane answers again');
      this.#state = { lastOk: Date.now(), problem: null, clockAheadMs: Math.round(middle - answer.now) };
      // The membership comes before the spaces: the engine checks by it what it syncs in them.
      if (answer.membership !== undefined) {
        await this.#options.onMembership(answer.membership);
        this.#membership = answer.membership.signature;
      }
      this.#options.onWaves(answer.waves === true);
      this.#options.onSpaces(answer.spaces);
      this.#options.onDrained(answer.drained);
      this.#options.onPools(answer.pools ?? null);
    } catch (error) {
      const problem = errorMessage(error);
      if (this.#state.problem !== problem)
        log.warn({ reason: problem }, 'the heartbeat failed; the agent repeats it');
      this.#state = { ...this.#state, problem };
      // This node was removed and its tasks were given back. It must take no further task.
      if (error instanceof ControlPlaneError && error.status === 401) this.#options.onDrained(true);
    } finally {
      this.#isBeating = false;
      this.#schedule(this.#mustRepeat ? AFTER_SYNC_MS : intervalMs);
      this.#mustRepeat = false;
    }
  }

  /** Refreshes the status. When it cannot be read, the last one is replaced, since that one may say that all is well. */
  async #refresh(): Promise<void> {
    try {
      this.#memory = await this.#options.status();
    } catch (error) {
      const reason = errorMessage(error);
      this.#options.log.error({ reason }, 'the state of claude-mem is unknown');
      const detail = `The agent cannot read the state of the memory: ${reason}`;
      this.#memory = { ...this.#memory, state: 'failing', detail, checkedAt: Date.now() };
    }
  }
}

/**
 * Sends a heartbeat to a control plane of any version. Version 0.4 refuses unknown fields and states with 400, so the
 * heartbeat is sent again in the form of 0.4. The state's sentence stays, even where its name is translated.
 */
async function sendToAnyVersion<T>(
  heartbeat: AgentHeartbeat,
  send: (heartbeat: AgentHeartbeat) => Promise<T>,
): Promise<T> {
  try {
    return await send(heartbeat);
  } catch (error) {
    if (!(error instanceof ControlPlaneError) || error.status !== 400) throw error;
    const { syncs: _syncs, ...memory } = heartbeat.memory;
    const {
      spaces: _spaces,
      task_sandbox: _sandbox,
      work: _work,
      answers_calls: _calls,
      ...facts
    } = heartbeat.facts;
    const state = STATES_OF_0_4.has(memory.state) ? memory.state : 'locked';
    return await send({ ...heartbeat, facts, memory: { ...memory, state } });
  }
}

const STATES_OF_0_4: ReadonlySet<string> = new Set([
  'ready',
  'missing',
  'corrupt',
  'unknown-schema',
  'locked',
  'starting',
]);

export interface HeartbeatOptions {
  readonly server: Server;
  readonly agentKey: string;
  /** The ids of the sealing keys that others may have encrypted for, the present one first. */
  readonly sealingKeyIds: () => string[];
  /** Receives the control plane's membership whenever it changed. */
  readonly onMembership: (membership: Membership) => Promise<void>;
  /** Where this agent's own HTTP server listens. */
  readonly url: string;
  readonly dryrun: boolean;
  readonly intervalMs: number;
  readonly databasePath: string;
  readonly status: () => Promise<MemoryStatus>;
  readonly onSpaces: (spaces: SpaceConfig[]) => void;
  /**
   * Receives whether a space's workflow accepts notices of new memories. A control plane of version 0.4 does not
   * report it.
   */
  readonly onWaves: (hasWaves: boolean) => void;
  /** What this node reports about itself as one that runs tasks. */
  readonly tasks: Parameters<typeof readFacts>[0]['tasks'];
  /** How this node isolates the programs of tasks from the rest of the machine. */
  readonly sandbox: TaskSandbox;
  /** The leases that this node holds. */
  readonly leases: () => AgentHeartbeat['leases'];
  /** What its last check found about its ability to work. */
  readonly work: () => NodeWork;
  readonly onDrained: (drained: boolean) => void;
  /** Receives the pools that this node may serve; null from a control plane that allows every pool. */
  readonly onPools: (allowed: readonly string[] | null) => void;
  readonly log: Logger;
}
