import type { Logger } from 'pino';
import { errorMessage } from '../../contract/errors.ts';
import type { MemoryStatus, SpaceConfig } from '../../contract/memory/memory.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import type { NodeWork } from '../../contract/nodes/node-standing.ts';
import type { AgentHeartbeat, TaskSandbox } from '../../contract/nodes/nodes.ts';
import { ControlPlaneError, sendHeartbeat } from './control-plane.ts';
import { readFacts } from '../facts.ts';

/** What the last heartbeat came to. */
export interface HeartbeatState {
  /** Epoch ms of the last one that was answered, null before the first. */
  readonly lastOk: number | null;
  /** Why the last one failed, null when it did not. */
  readonly problem: string | null;
  /** How far this machine's clock is ahead of the control plane's, in milliseconds; null while unknown. */
  readonly clockAheadMs: number | null;
}

/** After a sync the page is told this soon, in milliseconds, rather than at the next interval. */
const SOON_MS = 300;

/** Reports to the control plane at a steady interval, whatever else the agent does. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: NodeJS.Timeout | null = null;
  #memory: MemoryStatus;
  #state: HeartbeatState = { lastOk: null, problem: null, clockAheadMs: null };
  /** The signature of the membership that the memory thread has. */
  #membership: string | null = null;
  #stopped = false;
  #beating = false;
  #again = false;

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

  /** Brings the next heartbeat forward: something worth showing has changed. */
  soon(): void {
    if (this.#beating) this.#again = true;
    else this.#schedule(SOON_MS);
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
    if (this.#beating) return;
    this.#beating = true;
    const { log, serverUrl, agentKey, intervalMs } = this.#options;
    // The status waits its turn behind a running sync; the heartbeat does not wait for it.
    await Promise.race([this.#refresh(), new Promise((resolve) => setTimeout(resolve, SOON_MS))]);
    try {
      const { url, dryrun, tasks, sandbox } = this.#options;
      const leases = this.#options.leases();
      const work = this.#options.work();
      const facts = readFacts({ url, dryrun, tasks, sandbox, work, tasksRunning: leases.length });
      const sentAt = Date.now();
      const answer = await sendToAnyVersion({ facts, memory: this.#memory, leases }, (heartbeat) =>
        sendHeartbeat(serverUrl, agentKey, heartbeat, {
          membership: this.#membership,
          sealingKeyIds: this.#options.sealingKeyIds(),
        }),
      );
      const middle = (sentAt + Date.now()) / 2;
      if (this.#state.problem !== null) log.info('the control plane answers again');
      this.#state = { lastOk: Date.now(), problem: null, clockAheadMs: Math.round(middle - answer.now) };
      // Before the spaces: what is synced in them is judged by it.
      if (answer.membership !== undefined) {
        await this.#options.onMembership(answer.membership);
        this.#membership = answer.membership.signature;
      }
      this.#options.onWaves(answer.waves === true);
      this.#options.onSpaces(answer.spaces);
      this.#options.onDrained(answer.drained);
    } catch (error) {
      const problem = errorMessage(error);
      if (this.#state.problem !== problem)
        log.warn({ reason: problem }, 'heartbeat failed; it is tried again');
      this.#state = { ...this.#state, problem };
      // This node was removed: what it had was given back, and it is to take no more.
      if (error instanceof ControlPlaneError && error.status === 401) this.#options.onDrained(true);
    } finally {
      this.#beating = false;
      this.#schedule(this.#again ? SOON_MS : intervalMs);
      this.#again = false;
    }
  }

  /** A status that cannot be had is no reason to keep the last one: that one may say that all is well. */
  async #refresh(): Promise<void> {
    try {
      this.#memory = await this.#options.status();
    } catch (error) {
      const reason = errorMessage(error);
      this.#options.log.error({ reason }, 'the state of claude-mem is unknown');
      const detail = `The agent cannot tell the state of the memory: ${reason}`;
      this.#memory = { ...this.#memory, state: 'failing', detail, checkedAt: Date.now() };
    }
  }
}

/**
 * Sends a heartbeat to a control plane of any version: 0.4 refuses what it does not know (400), so it is sent again as 0.4 spoke.
 * The sentence of the state stays, whatever its name.
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
    const { spaces: _spaces, task_sandbox: _sandbox, work: _work, ...facts } = heartbeat.facts;
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
  readonly serverUrl: string;
  readonly agentKey: string;
  /** The ids of the keys that this node was encrypted for, today's first. */
  readonly sealingKeyIds: () => string[];
  /** Gets what the control plane says of the members, whenever that changed. */
  readonly onMembership: (membership: Membership) => Promise<void>;
  /** Where this agent's own HTTP listens. */
  readonly url: string;
  readonly dryrun: boolean;
  readonly intervalMs: number;
  readonly databasePath: string;
  readonly status: () => Promise<MemoryStatus>;
  readonly onSpaces: (spaces: SpaceConfig[]) => void;
  /** Learns whether a space's workflow takes what a node noticed. A control plane of version 0.4 says nothing. */
  readonly onWaves: (hasWaves: boolean) => void;
  /** What this node says of itself as one that runs tasks. */
  readonly tasks: Parameters<typeof readFacts>[0]['tasks'];
  /** How it keeps the programs of tasks apart from the rest of the machine. */
  readonly sandbox: TaskSandbox;
  /** The leases that this node holds. */
  readonly leases: () => AgentHeartbeat['leases'];
  /** What it found when it last looked whether it can work. */
  readonly work: () => NodeWork;
  readonly onDrained: (drained: boolean) => void;
  readonly log: Logger;
}
