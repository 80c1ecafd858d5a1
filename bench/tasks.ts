/**
 * `npm run bench -- tasks`: what a task costs from the request to the end of its program, and Temporal alone in the
 * same run.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { startMachine, waitUntil } from '../demo/fleet.ts';
import { buildDatabase } from '../fixtures/claude-mem/build.ts';
import type { Service } from '../stack/service.ts';
import { removeStackData } from '../stack/stack.ts';
import { measureBareWorkflow } from './bare/measure.ts';
import { distribution, single, type Result } from './results.ts';
import { start, type Running } from './running.ts';
import { TasksApi } from './tasks/api.ts';

/** Tasks that run one after the other. */
const SEQUENTIAL = 200;
/** Tasks for the throughput, and how many requests make them in parallel: as many as for Temporal alone. */
const PARALLEL = 400;
const CLIENTS = 20;
/** Programs that are cancelled. */
const CANCELLED = 100;
/** Rows of the list, and how often it is requested. */
const ROWS = 10_000;
const LISTS = 200;
/** Slots of the one agent. */
const SLOTS = 8;

/**
 * The agents' program: it does nothing, or what the prompt says. A shell script, because it starts in a millisecond.
 * \`now\` prints when it began; \`stay\` prints its pid and does not end.
 */
const PROGRAM = `#!/bin/sh
read -r verb
case "$verb" in
  now) date +%s%N ;;
  stay) echo $$; exec sleep 600 ;;
esac
`;

export async function benchTasks(root: string, log: (line: string) => void): Promise<Result[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-bench-'));
  const results: Result[] = [];
  try {
    const running = await start(root, dataDir, log);
    const services: Service[] = [];
    try {
      const api = new TasksApi(running.api.url, running.secrets.RUNTIME_API_KEY);
      log('accepting tasks ...');
      results.push(...(await measureAccept(api)));
      services.push(await startAgent(root, dataDir, running));
      await waitUntil(
        'the agent takes tasks',
        60,
        async () => (await api.end(await api.make('true'))) === 'completed',
      );
      log('tasks one by one ...');
      results.push(...(await measureBegin(api)));
      log('tasks at once ...');
      const ours = await measureThroughput(api);
      log('cancelling ...');
      results.push(...(await measureCancel(api)));
      for (const service of services.splice(0)) await service.stop();
      log('the bare engine ...');
      const { address, namespace } = running.stack.temporal;
      const bare = await measureBareWorkflow(address, namespace);
      const floor = bare.find(({ metric }) => metric === 'throughput')?.value ?? 0;
      const share = (100 * ours) / floor;
      results.push(
        single(
          `${PARALLEL} tasks whose program is \`true\`, ${CLIENTS} requests at once`,
          'throughput',
          'tasks/s',
          ours,
          PARALLEL,
        ),
        ...bare,
        {
          ...single('tasks against the bare engine', 'throughput', '%', share),
          goal: '≥ 60',
          met: share >= 60,
        },
      );
      log('a long list ...');
      results.push(await measureList(running, api));
    } finally {
      for (const service of services) await service.stop();
      await running.stop();
    }
    return results;
  } finally {
    removeStackData(dataDir);
  }
}

async function startAgent(root: string, dataDir: string, running: Running): Promise<Service> {
  const home = join(dataDir, 'agent');
  const databasePath = join(home, '.claude-mem', 'claude-mem.db');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  buildDatabase(databasePath, '13.25.3').close();
  const program = join(home, 'program.sh');
  writeFileSync(program, PROGRAM, { mode: 0o700 });
  const settings = {
    MEMBRIDGE_RUNNER: JSON.stringify([program]),
    MEMBRIDGE_MAX_CONCURRENCY: String(SLOTS),
    // The bench measures Temporal and the control plane; `bench -- sandbox` measures the sandbox. It finds programs
    // by their process ids on the machine, which a sandbox would hide.
    MEMBRIDGE_TASK_SANDBOX: 'none',
  };
  const options = { root, dataDir, env: process.env, control: running.control, settings };
  return await startMachine({ id: 'bench', home, databasePath }, options);
}

/** Measures from the request until the answer that the task is recorded. */
async function measureAccept(api: TasksApi): Promise<Result[]> {
  for (let n = 0; n < 10; n += 1) await api.make('true', { auto_dispatch: false });
  const times: number[] = [];
  for (let n = 0; n < SEQUENTIAL; n += 1) {
    const began = performance.now();
    await api.make('true', { auto_dispatch: false });
    times.push(performance.now() - began);
  }
  const result = distribution('a task, one after the other', 'request to accepted', 'ms', times);
  const { p50, p99 } = result;
  return [{ ...result, goal: 'p50 ≤ 25, p99 ≤ 100', met: (p50 ?? 99) <= 25 && (p99 ?? 999) <= 100 }];
}

/** Measures from the answer until the program runs, and until the task has ended. */
async function measureBegin(api: TasksApi): Promise<Result[]> {
  const begins: number[] = [];
  const ends: number[] = [];
  for (let n = 0; n < SEQUENTIAL; n += 1) {
    const asked = performance.now();
    const id = await api.make('now');
    const accepted = performance.timeOrigin + performance.now();
    if ((await api.end(id)) !== 'completed') throw new Error(`${id} did not complete`);
    ends.push(performance.now() - asked);
    begins.push(Number(await api.output(id)) / 1e6 - accepted);
  }
  const begin = distribution('a task, one after the other', 'accepted to its program running', 'ms', begins);
  return [
    { ...begin, goal: 'p50 ≤ 40', met: (begin.p50 ?? 99) <= 40 },
    distribution('a task, one after the other', 'request to its end seen over HTTP', 'ms', ends),
  ];
}

async function measureThroughput(api: TasksApi): Promise<number> {
  const before = await api.completed();
  const began = performance.now();
  let left = PARALLEL;
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await api.make('true');
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, one));
  while ((await api.completed()) < before + PARALLEL) {
    if (performance.now() - began > 120_000) throw new Error('tasks did not complete within two minutes');
    await sleep(100);
  }
  return PARALLEL / ((performance.now() - began) / 1_000);
}

/** Measures from the cancel request until the program's process is gone, eight at a time. */
async function measureCancel(api: TasksApi): Promise<Result[]> {
  const times: number[] = [];
  while (times.length < CANCELLED) {
    const ids = await Promise.all(Array.from({ length: SLOTS }, () => api.make('stay')));
    const pids = await Promise.all(ids.map(async (id) => await api.liveOutput(id)));
    times.push(
      ...(await Promise.all(
        ids.map(async (id, n) => {
          const pid = Number(pids[n]);
          const began = performance.now();
          await api.cancel(id);
          while (isAlive(pid)) await sleep(2);
          return performance.now() - began;
        }),
      )),
    );
    await Promise.all(ids.map((id) => api.end(id)));
  }
  const result = distribution('a running task', 'cancel to its process gone', 'ms', times);
  return [{ ...result, goal: 'p99 ≤ 5,000', met: (result.p99 ?? 9e9) <= 5_000 }];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Measures the list's first page and a late one, with ten thousand queued tasks. */
async function measureList(running: Running, api: TasksApi): Promise<Result> {
  const database = new Client({ connectionString: running.stack.databaseUrl });
  await database.connect();
  try {
    // Copies of a row, because a workflow for each would take minutes, and the list reads only PostgreSQL.
    const columns = await database.query<{ name: string }>(
      "select column_name as name from information_schema.columns where table_name = 'llm_tasks' and column_name not in ('id', 'created_at', 'status')",
    );
    const names = columns.rows.map(({ name }) => `"${name}"`).join(', ');
    await database.query(
      `insert into llm_tasks (id, created_at, status, ${names})
       select 'task_' || lpad(to_hex(n), 16, '0'), created_at - n, 'queued', ${names}
       from (select * from llm_tasks limit 1) one, generate_series(1, ${ROWS}) n`,
    );
    await database.query('analyze llm_tasks');
  } finally {
    await database.end();
  }
  const times: number[] = [];
  for (let n = 0; n < LISTS; n += 1) {
    const began = performance.now();
    const path = n % 2 === 0 ? 'limit=50' : 'status=queued&limit=200';
    await api.list(path);
    times.push(performance.now() - began);
  }
  const result = distribution(
    `${ROWS} queued tasks`,
    'GET /api/runtime/llm-tasks, 50 or 200 of them',
    'ms',
    times,
  );
  return { ...result, goal: 'p99 ≤ 100', met: (result.p99 ?? 999) <= 100 };
}
