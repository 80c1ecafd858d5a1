import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EnrolmentToken } from '../contract/nodes/nodes.ts';
import { Job, Space } from '../contract/memory/memory.ts';
import { freePort } from '../stack/ports.ts';
import { startNodeProcess } from '../stack/node-process.ts';
import type { Service } from '../stack/service.ts';
import type { Machine } from './machines.ts';

const Made = z.object({ id: z.string() });

/** The control plane as the demo uses it: only by its API. */
export class ControlPlane {
  readonly url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.url = url;
    this.#key = key;
  }

  async createSpace(name: string): Promise<Space> {
    return Space.parse(await this.#call('POST', '/api/membridge/spaces', { name, projects: ['*'] }));
  }

  async space(cid: string): Promise<Space> {
    return Space.parse(await this.#call('GET', `/api/membridge/spaces/${cid}`));
  }

  async enrolmentToken(nodeId: string): Promise<string> {
    const token = await this.#call('POST', '/api/runtime/enrolment-tokens', { node_id: nodeId });
    return EnrolmentToken.parse(token).token;
  }

  async jobs(): Promise<Job[]> {
    return z.array(Job).parse(await this.#call('GET', '/api/membridge/jobs?limit=200'));
  }

  /** Makes a task. @returns its id */
  async makeTask(task: Record<string, unknown>): Promise<string> {
    return Made.parse(await this.#call('POST', '/api/runtime/llm-tasks', task)).id;
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { 'X-Runtime-API-Key': this.#key, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }
}

/** Starts the agent of a machine, with its own home, key and loopback port. */
export async function startMachine(
  machine: Pick<Machine, 'id' | 'home' | 'databasePath'>,
  options: {
    root: string;
    dataDir: string;
    env: NodeJS.ProcessEnv;
    control: ControlPlane;
    /** Further settings of this agent. */
    settings?: Readonly<Record<string, string>>;
  },
): Promise<Service> {
  const { root, dataDir, env, control, settings } = options;
  const port = await freePort();
  return await startNodeProcess({
    name: `agent-${machine.id}`,
    script: join(root, 'agent', 'main.ts'),
    dataDir,
    env: async () => ({
      PATH: env['PATH'],
      HOME: machine.home,
      LOG_LEVEL: env['LOG_LEVEL'] ?? 'info',
      MEMBRIDGE_SERVER_URL: control.url,
      // Once enrolled it needs none, also to start again while the control plane is away.
      ...(existsSync(join(machine.home, '.membridge', 'agent.json'))
        ? {}
        : { MEMBRIDGE_ENROL_TOKEN: await control.enrolmentToken(machine.id) }),
      MEMBRIDGE_NODE_ID: machine.id,
      MEMBRIDGE_AGENT_PORT: String(port),
      MEMBRIDGE_AGENT_DATA_DIR: join(machine.home, '.membridge'),
      CLAUDE_MEM_DB: machine.databasePath,
      ...settings,
    }),
    ready: { url: `http://127.0.0.1:${port}/health` },
  });
}

/** Waits until a condition holds; checks ten times a second. @throws Error naming the condition that did not hold in time */
export async function waitUntil(
  what: string,
  seconds: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + seconds * 1_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`after ${seconds} s, still not: ${what}`);
    await sleep(100);
  }
}
