import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../contract/errors.ts';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import type { AgentClaim } from '../contract/nodes/agent-requests.ts';
import type { SyncAction } from '../contract/http/primitives.ts';
import type { Claimed } from '../contract/tasks/runs.ts';
import type { SyncRequest, SyncRoundResult } from '../contract/workflows.ts';
import { connectEngine, type Engine, type EngineAddress } from '../engine/connect.ts';
import { notifySpace, requestSync, syncAndWait, newJobId } from '../engine/memory-workflows.ts';
import type { Server } from '../transport/server.ts';
import { claimTask, describeRefusal } from '../engine/task-workflows.ts';
import {
  ControlPlaneError,
  askConnection,
  sendClaim,
  sendNoticed,
  sendSync,
} from './control-plane/control-plane.ts';

/** The task's workflow refuses a claim: another node has the attempt, or nobody is to run it. */
export class ClaimRefused extends Error {}

/** What this agent asks of workflows. */
export interface EngineRequests {
  /** Reports that claude-mem wrote something here. @throws when the request did not arrive */
  noticed(space: SpaceConfig, hasWaves: boolean): Promise<void>;
  /**
   * Has this node synced.
   * @returns the result, or null when the sync has not ended within `timeoutMs`; it continues then
   * @throws when the request did not arrive
   */
  sync(space: SpaceConfig, request: SyncOf, timeoutMs: number): Promise<SyncRoundResult | null>;
  /** Begins an attempt at a task. @throws ClaimRefused, or another error when the request did not arrive */
  claim(taskId: string, claim: AgentClaim): Promise<Claimed>;
  /** @throws when requests do not arrive now */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** A sync that a person or script on this machine asks for. */
export type SyncOf = Pick<SyncRequest, 'jobId'> & { readonly action: SyncAction };

/** Sends requests straight to Temporal: no control plane needs to be up. */
export class DirectRequests implements EngineRequests {
  readonly #address: EngineAddress;
  readonly #node: string;
  #engine: Promise<Engine> | null = null;

  constructor(address: EngineAddress, node: string) {
    this.#address = address;
    this.#node = node;
  }

  async noticed(space: SpaceConfig, hasWaves: boolean): Promise<void> {
    await this.#call(async ({ client }) => {
      if (hasWaves) return await notifySpace(client, space, this.#node);
      const request = { jobId: newJobId(), action: 'sync', trigger: 'noticed' } as const;
      await requestSync(client, { space, node: this.#node }, request);
    });
  }

  async sync(space: SpaceConfig, request: SyncOf, timeoutMs: number): Promise<SyncRoundResult | null> {
    return await this.#call(async ({ client }) => {
      const deadline = new AbortController();
      const late = sleep(timeoutMs, null, { signal: deadline.signal }).catch(() => null);
      try {
        const sync = syncAndWait(client, { space, node: this.#node }, { ...request, trigger: 'cli' });
        return await Promise.race([sync, late]);
      } finally {
        deadline.abort();
      }
    });
  }

  async claim(taskId: string, claim: AgentClaim): Promise<Claimed> {
    const { client } = await this.#connect();
    try {
      return await claimTask(client, taskId, { ...claim, worker: this.#node });
    } catch (error) {
      const refusal = describeRefusal(error);
      throw refusal === null ? error : new ClaimRefused(refusal, { cause: error });
    }
  }

  async check(): Promise<void> {
    await this.#connect();
  }

  async close(): Promise<void> {
    const engine = this.#engine;
    this.#engine = null;
    await engine?.then((open) => open.close()).catch(() => undefined);
  }

  async #call<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#connect());
    } catch (error) {
      // The next request connects again.
      await this.close();
      throw new Error(
        `Temporal at ${this.#address.address} did not take the request: ${errorMessage(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  async #connect(): Promise<Engine> {
    this.#engine ??= connectEngine(this.#address);
    try {
      return await this.#engine;
    } catch (error) {
      this.#engine = null;
      throw error;
    }
  }
}

/** Sends requests to the control plane, which passes them on to workflows. */
export class RequestsByControlPlane implements EngineRequests {
  readonly #server: Server;
  readonly #agentKey: string;

  constructor({ server, agentKey }: { server: Server; agentKey: string }) {
    this.#server = server;
    this.#agentKey = agentKey;
  }

  async noticed({ cid }: SpaceConfig): Promise<void> {
    await sendNoticed(this.#server, this.#agentKey, cid);
  }

  async sync({ cid }: SpaceConfig, request: SyncOf, timeoutMs: number): Promise<SyncRoundResult | null> {
    const giveUpAt = Date.now() + timeoutMs;
    for (;;) {
      const result = await sendSync(this.#server, this.#agentKey, cid, request);
      if (result !== null || Date.now() > giveUpAt) return result;
    }
  }

  async claim(taskId: string, claim: AgentClaim): Promise<Claimed> {
    try {
      return await sendClaim(this.#server, this.#agentKey, taskId, claim);
    } catch (error) {
      const isRefused = error instanceof ControlPlaneError && error.status === 409;
      throw isRefused ? new ClaimRefused(error.message, { cause: error }) : error;
    }
  }

  async check(): Promise<void> {
    await askConnection(this.#server, this.#agentKey);
  }

  async close(): Promise<void> {}
}
