import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlPlane, startMachine } from '../../demo/fleet.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { startApi } from '../../stack/membridge.ts';
import { loadServerSecrets } from '../../stack/secrets.ts';
import type { Service } from '../../stack/service.ts';
import { removeStackData, startStack, type Stack } from '../../stack/stack.ts';
import type { Answer, CallOptions } from '../support/control-plane.ts';
import { taskCalls } from './calls.ts';
import { expectDead, writeTaskProgram, type TaskProgram } from './program.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** How long recovery may take after a restart: time-outs may have to reveal everything. */
const AFTER_A_KILL = 90_000;

let dataDir: string;
let stack: Stack;
let api: Service & { url: string };
let key: string;
let program: TaskProgram;
const agents = new Map<string, Service>();

/** Its own stack, because these tests kill its parts. Two real agents with one slot each. */
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'membridge-task-kills-'));
  const env = { ...process.env, MEMBRIDGE_PORT: '0', MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' };
  const secrets = loadServerSecrets(dataDir, env);
  key = secrets.RUNTIME_API_KEY;
  const ports = { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 };
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  stack = await startStack({ dataDir, ports, env, log });
  api = await startApi({ root, dataDir, env, secrets, stack });
  program = writeTaskProgram(join(dataDir, 'program'));
  const control = new ControlPlane(api.url, key);
  for (const id of ['one', 'two']) {
    const home = join(dataDir, 'machines', id);
    const databasePath = join(home, '.claude-mem', 'claude-mem.db');
    mkdirSync(home, { recursive: true });
    buildDatabase(databasePath, '13.25.3').close();
    const { settings } = program;
    agents.set(
      id,
      await startMachine({ id, home, databasePath }, { root, dataDir, env: process.env, control, settings }),
    );
  }
}, 240_000);

afterAll(async () => {
  for (const agent of agents.values()) await agent.stop();
  await api?.stop();
  await stack?.stop();
  removeStackData(dataDir);
}, 60_000);

/** Sends a request; the status is 0 while nobody answers. */
async function call(method: string, path: string, { body, headers }: CallOptions = {}): Promise<Answer> {
  try {
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: { 'X-Runtime-API-Key': key, 'Content-Type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const answer = (await response.json()) as Answer['body'];
    return { status: response.status, headers: response.headers, body: answer };
  } catch {
    return { status: 0, headers: new Headers(), body: {} };
  }
}
const tasks = taskCalls({ call });
const make = (prompt: string, body: Record<string, unknown> = {}): Promise<string> =>
  tasks.make({ prompt, auto_dispatch: true, ...body });
const agent = (id: string): Service => {
  const found = agents.get(id);
  if (found === undefined) throw new Error(`no agent ${id}`);
  return found;
};
const part = (name: 'postgres' | 'minio' | 'temporal'): Service => {
  const found = stack.parts[name];
  if (found === undefined) throw new Error(`${name} does not run here`);
  return found;
};

/** Expects a task to have completed once: one result with that output, one artifact, no lease left. */
async function expectOnce(id: string, output: string): Promise<void> {
  await tasks.becomes(id, { status: 'completed' }, AFTER_A_KILL);
  const results = (await tasks.results(id)).filter(({ status }) => status === 'success');
  expect(results.map((result) => result.output)).toEqual([output]);
  const artifacts = await tasks.list<{ type: string }>(`artifacts?task_id=${id}`);
  expect(artifacts.filter(({ type }) => type === 'LLM_RESULT')).toHaveLength(1);
  expect((await tasks.leases(id)).filter(({ status }) => status === 'active')).toEqual([]);
  const story = await tasks.story(id);
  expect(story.filter((action) => action === 'task_completed')).toHaveLength(1);
  expect(story[0]).toBe('task_created');
  expect(story.at(-1)).toBe('task_completed');
}

const PARTS: [string, () => Service][] = [
  ['the control plane', () => api],
  ['PostgreSQL', () => part('postgres')],
  ['MinIO', () => part('minio')],
  ['Temporal', () => part('temporal')],
];

describe.each(PARTS)('%s is killed and started again', (name, which) => {
  const label = name.replaceAll(/[^a-z]/gi, '');

  it('ends every task once after a kill during runs, though programs end in the meantime', async () => {
    const ids = await Promise.all([1, 2, 3, 4].map(() => make(`hold ${label}`)));
    await expect.poll(() => ids.flatMap((id) => program.starts(id)).length, { timeout: 30_000 }).toBe(2);
    const running = ids.flatMap((id) => program.starts(id));
    await which().kill();
    program.go(label);
    await expectDead(
      running.flatMap(({ pids }) => pids),
      10_000,
    );
    // What they wanted to tell found nobody.
    await sleep(1_000);
    await which().restart();
    for (const id of ids) await expectOnce(id, label);
  }, 180_000);

  it('ends accepted tasks once after a kill during requests, and makes no second task for a repeated request', async () => {
    const first = await Promise.all([1, 2, 3].map((n) => make(`say ${label} ${n}`)));
    const body = { prompt: `say ${label} again`, auto_dispatch: true };
    const headers = { 'Idempotency-Key': `${label}-again` };
    const asking = call('POST', '/api/runtime/llm-tasks', { body, headers });
    await which().kill();
    await sleep(300);
    await which().restart();
    await asking;
    let again = '';
    await expect
      .poll(
        async () => {
          const answer = await call('POST', '/api/runtime/llm-tasks', { body, headers });
          again = String(answer.body['id']);
          return answer.status;
        },
        { timeout: AFTER_A_KILL, interval: 500 },
      )
      .toBe(201);
    for (const [n, id] of first.entries()) await expectOnce(id, `${label} ${n + 1}`);
    await expectOnce(again, `${label} again`);
  }, 180_000);
});

/** Suspends a part, so that its connections notice nothing, as on a hanging network. */
async function whilePaused<T>(service: Service, work: () => Promise<T>): Promise<T> {
  process.kill(service.pid, 'SIGSTOP');
  try {
    return await work();
  } finally {
    process.kill(service.pid, 'SIGCONT');
  }
}

describe('an agent that is killed', () => {
  it('leaves a task whose result it stored and did not report to another attempt, which ends it once', async () => {
    const id = await make('hold stored', { lease_ttl_seconds: 10 });
    const { node } = await program.started(id);
    const ended = (): number =>
      readFileSync(agent(node).logFile, 'utf8')
        .split('\n')
        .filter((line) => line.includes('a task ended') && line.includes(id)).length;
    await sleep(1_000);
    await whilePaused(part('temporal'), async () => {
      program.go('stored');
      await expect.poll(ended, { timeout: 7_000, interval: 20 }).toBe(1);
      await agent(node).kill();
    });
    await agent(node).restart();
    await expectOnce(id, 'stored');
    expect(await tasks.get(id)).toMatchObject({ attempts: 2, epoch: 2 });
    expect(program.starts(id)).toHaveLength(2);
  });

  it('costs a task that it had not claimed no attempt', async () => {
    // A prompt that it has to fetch first.
    const prompt = `${'x'.repeat(100_000)}\nsay fetched`;
    const id = await make(prompt, { lease_ttl_seconds: 5, worker_id: 'one', not_before: Date.now() + 2_000 });
    await whilePaused(part('minio'), async () => {
      await sleep(4_000);
      expect((await tasks.get(id)).status).toBe('queued');
      expect(program.starts(id)).toEqual([]);
      await agent('one').kill();
    });
    await agent('one').restart();
    await expectOnce(id, 'fetched');
    expect(await tasks.get(id)).toMatchObject({ attempts: 1, epoch: 1 });
    expect(program.starts(id)).toHaveLength(1);
  });
});

describe('a worker over HTTP that completes', () => {
  const nothingYet = async (id: string): Promise<void> => {
    expect(await tasks.get(id)).toMatchObject({ status: 'leased' });
    expect(await tasks.results(id)).toEqual([]);
    expect(await tasks.list(`artifacts?task_id=${id}`)).toEqual([]);
  };

  it('gets task, result and artifact recorded together after MinIO hung', async () => {
    const id = await make('p', { auto_dispatch: false });
    const lease = await tasks.lease(id);
    const [completing] = await whilePaused(part('minio'), async () => {
      const asked = tasks.post(id, 'complete', { ...lease, status: 'success', output: 'in one step' });
      await sleep(1_000);
      await nothingYet(id);
      return [asked] as const;
    });
    expect(await completing).toMatchObject({ status: 200 });
    await expectOnce(id, 'in one step');
  });

  it('gets all of it recorded or nothing when the control plane is killed, and may repeat the call', async () => {
    for (const wait of [0, 20]) {
      const id = await make('p', { auto_dispatch: false });
      const lease = await tasks.lease(id);
      const report = { ...lease, status: 'success', output: 'all or nothing' };
      const completing = tasks.post(id, 'complete', report);
      await sleep(wait);
      await api.kill();
      await completing;
      await api.restart();
      // For some seconds Temporal still waits for the dead worker.
      const again = async (): Promise<number> => (await tasks.post(id, 'complete', report)).status;
      await expect.poll(again, { timeout: AFTER_A_KILL }).toBeOneOf([200, 409]);
      await expectOnce(id, 'all or nothing');
    }
  }, 120_000);
});
