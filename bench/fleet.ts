import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client as Temporal, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { waitUntil } from '../demo/fleet.ts';
import { freePort } from '../stack/ports.ts';
import { removeStackData } from '../stack/stack.ts';
import { startGitServers } from '../test/git/servers.ts';
import type { FromAgents, ToAgents } from './fleet/messages.ts';
import { readUsage, type Usage } from './fleet/usage.ts';
import { single, type Result } from './results.ts';
import { start, type Running } from './running.ts';

/** The default sizes of the fleet. */
const SIZES = [10, 100, 1_000];
/** Agents in one process, so that one process does not become the limit. */
const IN_ONE_PROCESS = 250;
/** A heartbeat's interval, in milliseconds: an agent's own default. */
const HEARTBEAT_MS = 10_000;
/** How long an idle fleet is measured, in milliseconds. */
const IDLE_MS = 60_000;
/** Memories that are written one after the other, each on another node. */
export const MEMORIES = 3;
/** How long a wave or a propagation may take, in seconds. */
const PATIENCE_S = 900;

type Log = (line: string) => void;

/**
 * `npm run bench -- fleet [--nodes N ...]`: what a fleet costs the control plane. It measures an idle minute, one
 * memory, a restart and one propagation. The agents are real, on claude-mem databases in memory. They share this machine
 * with what is measured. With MEMBRIDGE_AGENT_ENGINE=tunnel they reach Temporal through the control plane.
 */
export async function benchFleet(root: string, log: Log, sizes: readonly number[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const nodes of sizes.length > 0 ? sizes : SIZES)
    results.push(...(await measureFleet(root, log, nodes)));
  return results;
}

async function measureFleet(root: string, log: Log, nodes: number): Promise<Result[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-bench-'));
  const undo: (() => unknown)[] = [() => removeStackData(dataDir)];
  try {
    const metricsPort = await freePort();
    process.env['MEMBRIDGE_TEMPORAL_METRICS_PORT'] = String(metricsPort);
    const running = await start(root, dataDir, log);
    undo.push(() => running.stop());
    const database = new Client({ connectionString: running.stack.databaseUrl });
    await database.connect();
    undo.push(() => database.end());
    const connection = await Connection.connect({ address: running.stack.temporal.address });
    undo.push(() => connection.close());
    const temporal = new Temporal({ connection, namespace: running.stack.temporal.namespace });
    const usage = (): Promise<Usage> => readUsage(running, database, metricsPort);
    const label = `${nodes.toLocaleString('en')} nodes`;

    await running.control.createSpace('bench');
    const fleet = await startAgents(running, dataDir, nodes, log);
    undo.push(() => fleet.stop());
    log(`${label}: all poll; the first waves run`);
    await waitUntilQuiet(usage);

    log(`${label}: an idle minute ...`);
    const idle = await measureDuring(usage, () => sleep(IDLE_MS));

    log(`${label}: ${MEMORIES} memories ...`);
    let events = await historyEvents(temporal);
    const memory = await measureDuring(usage, async () => {
      for (let n = 0; n < MEMORIES; n += 1) {
        const due = fleet.pulls() + nodes - 1;
        fleet.write(nodeName(n));
        await waitUntil(`memory ${n} on ${nodes - 1} nodes`, PATIENCE_S, () => fleet.pulls() >= due);
      }
    });
    await waitUntilQuiet(usage);
    const memoryEvents = (await historyEvents(temporal)) - events;

    log(`${label}: a restart of the control plane ...`);
    const restart = await measureDuring(usage, async () => {
      await running.api.kill();
      await running.api.restart();
      const due = fleet.pulls() + nodes - 1;
      fleet.write(nodeName(0));
      await waitUntil(`a memory on ${nodes - 1} nodes`, PATIENCE_S, () => fleet.pulls() >= due);
    });
    await waitUntilQuiet(usage);

    log(`${label}: a propagation ...`);
    const servers = await startGitServers();
    undo.push(() => servers.stop());
    servers.create('bench');
    events = await historyEvents(temporal);
    const propagation = await measureDuring(usage, () =>
      propagate(running, `${servers.open.url}/bench.git`, nodes),
    );
    await waitUntilQuiet(usage);
    const propagationEvents = (await historyEvents(temporal)) - events;
    return [
      ...figures(`${label}, an idle minute`, idle, 1),
      ...figures(`${label}, one memory`, memory, MEMORIES),
      single(`${label}, one memory`, 'events of Temporal’s history', 'events', memoryEvents / MEMORIES),
      single(
        `${label}, the control plane is killed and started`,
        'until a memory written then is on all nodes',
        'ms',
        restart.after.at - restart.before.at,
      ),
      ...figures(`${label}, one propagation`, propagation, 1),
      single(`${label}, one propagation`, 'events of Temporal’s history', 'events', propagationEvents),
    ];
  } finally {
    for (const each of undo.toReversed()) await each();
  }
}

const nodeName = (n: number): string => `node-${n}`;

interface Fleet {
  write(node: string): void;
  /** Returns how many pulls brought something. */
  pulls(): number;
  stop(): void;
}

/** Starts the agents, and waits until all of them poll. */
async function startAgents(running: Running, dataDir: string, nodes: number, log: Log): Promise<Fleet> {
  const ids = Array.from({ length: nodes }, (_, n) => nodeName(n));
  const processes: ChildProcess[] = [];
  const pulls = new Map<ChildProcess, number>();
  let polling = 0;
  const tell = (child: ChildProcess, message: ToAgents): void => void child.send(message);
  for (let from = 0; from < nodes; from += IN_ONE_PROCESS) {
    const some = ids.slice(from, from + IN_ONE_PROCESS);
    const tokens = [];
    for (const id of some) tokens.push({ id, token: await running.control.enrolmentToken(id) });
    const child = fork(fileURLToPath(new URL('fleet/agents-process.ts', import.meta.url)));
    child.on('message', (message: FromAgents) => {
      if (message.kind === 'polling') polling += message.nodes;
      else pulls.set(child, message.pulls);
    });
    processes.push(child);
    const folder = join(dataDir, 'agents');
    mkdirSync(folder, { recursive: true });
    tell(child, {
      kind: 'start',
      serverUrl: running.api.url,
      folder,
      heartbeatMs: HEARTBEAT_MS,
      nodes: tokens,
    });
    await waitUntil(`${some.length} more agents poll`, PATIENCE_S, () => polling >= from + some.length);
    log(`${polling} of ${nodes} agents poll`);
  }
  return {
    write: (node) => processes.forEach((child) => tell(child, { kind: 'write', node })),
    pulls: () => [...pulls.values()].reduce((sum, each) => sum + each, 0),
    stop: () => processes.forEach((child) => child.kill('SIGKILL')),
  };
}

/** Waits until only the idle fleet's own work remains: two intervals with the same number of requests. */
async function waitUntilQuiet(usage: () => Promise<Usage>): Promise<void> {
  let last = await usage();
  for (let rate = Infinity; ;) {
    await sleep(HEARTBEAT_MS);
    const now = await usage();
    const next = now.transactions - last.transactions;
    if (next > rate * 0.9) return;
    [last, rate] = [now, next];
  }
}

interface Cost {
  readonly before: Usage;
  readonly after: Usage;
}

async function measureDuring(usage: () => Promise<Usage>, work: () => Promise<unknown>): Promise<Cost> {
  const before = await usage();
  await work();
  return { before, after: await usage() };
}

function figures(label: string, { before, after }: Cost, times: number): Result[] {
  const one = (metric: string, unit: string, value: number): Result =>
    single(label, metric, unit, value / times);
  const parts = Object.keys(after.parts) as (keyof Usage['parts'])[];
  return [
    one('duration', 'ms', after.at - before.at),
    ...parts.map((part) =>
      one(`processor time of ${part}`, 'ms', after.parts[part].cpuMs - before.parts[part].cpuMs),
    ),
    ...parts.map((part) => single(label, `resident memory of ${part}`, 'MB', after.parts[part].rssMb)),
    one('transactions of PostgreSQL', 'transactions', after.transactions - before.transactions),
    one('requests to Temporal', 'requests', after.rpcs - before.rpcs),
  ];
}

/** Returns the number of events in the histories of all workflows. */
async function historyEvents(temporal: Temporal): Promise<number> {
  let events = 0;
  // The list knows how long a history is that has ended; an open one is asked for it.
  for await (const { workflowId, runId, status, historyLength } of temporal.workflow.list()) {
    events +=
      status.name === 'RUNNING'
        ? (await temporal.workflow.getHandle(workflowId, runId).describe()).historyLength
        : (historyLength ?? 0);
  }
  return events;
}

async function propagate(running: Running, repoUrl: string, nodes: number): Promise<void> {
  const { api, secrets } = running;
  const call = async (method: string, path: string, body: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: { 'X-Runtime-API-Key': secrets.RUNTIME_API_KEY, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  const made = await call('POST', '/api/runtime/projects', {
    name: 'bench',
    repo_url: repoUrl,
    primary_node_id: nodeName(0),
  });
  const id = String(made['id']);
  await call('POST', `/api/runtime/projects/${id}/propagate`, {});
  await waitUntil(`${nodes} clones`, PATIENCE_S, async () => {
    const project = await call('GET', `/api/runtime/projects/${id}`, undefined);
    const clones = project['nodes'] as { clone_status: string }[];
    return clones.filter(({ clone_status: status }) => status === 'cloned').length === nodes;
  });
}
