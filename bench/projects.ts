import { fork } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ControlPlane, startMachine } from '../demo/fleet.ts';
import { buildDatabase } from '../fixtures/claude-mem/build.ts';
import { startApi } from '../stack/membridge.ts';
import { loadServerSecrets } from '../stack/secrets.ts';
import type { Service } from '../stack/service.ts';
import { removeStackData, startStack } from '../stack/stack.ts';
import { bareClone, cachedRepository } from './projects/repository.ts';
import { distribution, single, type Result } from './results.ts';

/** The large repository, and the one for every agent, in MB. */
const LARGE_MB = 1_000;
const SMALL_MB = 50;
/** Clones of the large one in each way, alternating so that both see the same machine. */
const CLONES = 5;
const AGENTS = 20;
const PROPAGATIONS = 3;
const CANCELS = 100;
/**
 * After how long a clone of the large repository is cancelled, in milliseconds: while it receives, and while it
 * checks out.
 */
const CANCEL_AFTER = [300, 1_000, 2_500] as const;

type Log = (line: string) => void;

/** The control plane as the bench uses it. */
interface Bench {
  readonly call: (method: string, path: string, body?: unknown) => Promise<Record<string, unknown>>;
  readonly homeOf: (agent: string) => string;
  readonly gitUrl: string;
}

/**
 * `npm run bench -- projects`: a clone against a bare `git clone`, and a propagation to 20 agents against 20 bare
 * clones together. It also measures how soon a cancelled clone is dead. It uses real agents in separate processes and
 * a real git server, all on this machine.
 */
export async function benchProjects(root: string, log: Log): Promise<Result[]> {
  const cache = join(root, '.membridge', 'bench');
  mkdirSync(cache, { recursive: true });
  cachedRepository(cache, LARGE_MB, log);
  cachedRepository(cache, SMALL_MB, log);
  const dataDir = mkdtempSync(join(cache, 'projects-'));
  const closers: (() => unknown)[] = [() => removeStackData(dataDir)];
  try {
    const bench = await start(root, cache, dataDir, closers, log);
    return [
      ...(await measureClone(bench, dataDir, log)),
      ...(await measurePropagation(bench, dataDir, log)),
      ...(await measureCancel(bench, log)),
    ];
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function start(
  root: string,
  cache: string,
  dataDir: string,
  closers: (() => unknown)[],
  log: Log,
): Promise<Bench> {
  const server = fork(fileURLToPath(new URL('projects/server-process.ts', import.meta.url)), [cache]);
  closers.push(() => server.kill());
  const [{ url: gitUrl }] = (await once(server, 'message')) as [{ url: string }];
  const env = { ...process.env, MEMBRIDGE_PORT: '0' };
  const secrets = loadServerSecrets(dataDir, env);
  const ports = { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 };
  const stack = await startStack({ dataDir, ports, env, log });
  closers.push(() => stack.stop());
  const api = await startApi({ root, dataDir, env, secrets, stack });
  closers.push(() => api.stop());
  const control = new ControlPlane(api.url, secrets.RUNTIME_API_KEY);
  log(`starting ${AGENTS} agents ...`);
  const homeOf = (agent: string): string => join(dataDir, 'homes', agent);
  const services: Service[] = [];
  closers.push(() => Promise.all(services.map((service) => service.stop())));
  for (let n = 0; n < AGENTS; n += 1) {
    const id = agentName(n);
    const home = homeOf(id);
    const databasePath = join(home, '.claude-mem', 'claude-mem.db');
    mkdirSync(home, { recursive: true });
    buildDatabase(databasePath, '13.25.3').close();
    services.push(
      await startMachine({ id, home, databasePath }, { root, dataDir, env: process.env, control }),
    );
  }
  const call: Bench['call'] = async (method, path, body) => {
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: { 'X-Runtime-API-Key': secrets.RUNTIME_API_KEY, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  return { call, homeOf, gitUrl };
}

const agentName = (n: number): string => `agent-${n + 1}`;

const makeProject = async ({ call, gitUrl }: Bench, name: string, megabytes: number): Promise<string> => {
  const repo_url = `${gitUrl}/repository-${megabytes}.git`;
  return String((await call('POST', '/api/runtime/projects', { name, repo_url }))['id']);
};

async function measureClone(bench: Bench, dataDir: string, log: Log): Promise<Result[]> {
  const label = `clone of ${LARGE_MB} MB`;
  const bare: number[] = [];
  const ours: number[] = [];
  for (let n = 0; n < CLONES; n += 1) {
    log(`${label}: ${n + 1} of ${CLONES} ...`);
    const target = join(dataDir, `bare-${n}`);
    bare.push(await bareClone(`${bench.gitUrl}/repository-${LARGE_MB}.git`, target));
    rmSync(target, { recursive: true, force: true });
    const name = `large-${n}`;
    const id = await makeProject(bench, name, LARGE_MB);
    const began = performance.now();
    await bench.call('POST', `/api/runtime/projects/${id}/clone`, { node_id: agentName(0) });
    ours.push(performance.now() - began);
    rmSync(join(bench.homeOf(agentName(0)), 'projects', name), { recursive: true, force: true });
  }
  return [
    distribution(label, 'git clone', 'ms', bare),
    distribution(label, 'Membridge, request to answer', 'ms', ours),
    atMost(single(label, 'against git clone, of medians', '×', median(ours) / median(bare)), 1.1, '≤ 1.1'),
  ];
}

async function measurePropagation(bench: Bench, dataDir: string, log: Log): Promise<Result[]> {
  const label = `${SMALL_MB} MB to ${AGENTS} agents`;
  const bare: number[] = [];
  const ours: number[] = [];
  for (let n = 0; n < PROPAGATIONS; n += 1) {
    log(`${label}: ${n + 1} of ${PROPAGATIONS} ...`);
    const targets = Array.from({ length: AGENTS }, (_, agent) => join(dataDir, `bare-${n}-${agent}`));
    const began = performance.now();
    await Promise.all(
      targets.map((target) => bareClone(`${bench.gitUrl}/repository-${SMALL_MB}.git`, target)),
    );
    bare.push(performance.now() - began);
    for (const target of targets) rmSync(target, { recursive: true, force: true });
    const id = await makeProject(bench, `small-${n}`, SMALL_MB);
    const asked = performance.now();
    const { status } = await bench.call('POST', `/api/runtime/projects/${id}/propagate`, {
      concurrency: AGENTS,
    });
    if (status !== 'synced') throw new Error(`the propagation ended as ${String(status)}`);
    ours.push(performance.now() - asked);
  }
  return [
    distribution(label, `${AGENTS} × git clone at once`, 'ms', bare),
    distribution(label, 'Membridge, request to answer', 'ms', ours),
    single(label, 'against git clone, of medians', '×', median(ours) / median(bare)),
  ];
}

async function measureCancel(bench: Bench, log: Log): Promise<Result[]> {
  const label = `cancel of a clone of ${LARGE_MB} MB`;
  const dead: number[] = [];
  const told: number[] = [];
  const id = await makeProject(bench, 'cancelled', LARGE_MB);
  const node = agentName(1);
  const base = join(bench.homeOf(node), 'projects');
  log(`${label}: ${CANCELS} times ...`);
  for (let n = 0; n < CANCELS; n += 1) {
    await bench.call('POST', `/api/runtime/projects/${id}/clone`, { node_id: node, wait: false });
    await waitUntil(() => gitProcesses(base).length > 0);
    await sleep(CANCEL_AFTER[n % CANCEL_AFTER.length] ?? 0);
    const began = performance.now();
    await bench.call('POST', `/api/runtime/projects/${id}/cancel`, { node_id: node });
    await waitUntil(() => gitProcesses(base).length === 0);
    dead.push(performance.now() - began);
    await waitUntil(async () => {
      const { nodes } = (await bench.call('GET', `/api/runtime/projects/${id}`)) as {
        nodes: { clone_status: string }[];
      };
      return nodes[0]?.clone_status === 'cancelled';
    });
    told.push(performance.now() - began);
    const left = existsSync(base) ? readdirSync(base).filter((entry) => entry.includes('cancelled')) : [];
    if (left.length > 0) throw new Error(`a cancelled clone left ${left.join(', ')}`);
  }
  const figure = distribution(label, 'request to last git process dead', 'ms', dead);
  return [
    { ...figure, goal: 'p99 ≤ 5,000 ms', met: (figure.p99 ?? Number.POSITIVE_INFINITY) <= 5_000 },
    distribution(label, 'request to shown as cancelled', 'ms', told),
  ];
}

/** Returns processes whose command line names a folder: git and its children for a clone there. */
function gitProcesses(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return line.includes(folder) && line.startsWith('git');
    } catch {
      return false;
    }
  });
}

async function waitUntil(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('nothing happened within 60 s');
    await sleep(5);
  }
}

const median = (samples: readonly number[]): number =>
  samples.toSorted((a, b) => a - b)[Math.floor((samples.length - 1) / 2)] ?? Number.NaN;

const atMost = (result: Result, most: number, goal: string): Result => ({
  ...result,
  goal,
  met: (result.value ?? Number.POSITIVE_INFINITY) <= most,
});
