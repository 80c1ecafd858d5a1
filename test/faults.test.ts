import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../contract/memory/memory.ts';
import { memorySpaceId } from '../contract/workflows.ts';
import { ControlPlane, startMachine, waitUntil } from '../demo/fleet.ts';
import { compare, takeInventory, unite } from '../demo/inventory.ts';
import { makeMachines, type Machine } from '../demo/machines.ts';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { connectEngine, type Engine } from '../engine/connect.ts';
import { canonicalHash } from '../memory/detect/canonical-hash.ts';
import { startApi } from '../stack/membridge.ts';
import { loadServerSecrets } from '../stack/secrets.ts';
import type { Service } from '../stack/service.ts';
import { removeStackData, startStack, type Stack } from '../stack/stack.ts';
import { expectIntact } from './memory/expect-intact.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const log = (line: string): void => void process.stderr.write(`${line}\n`);
const JANUARY = Date.UTC(2026, 0, 5, 9);

/** How long a fleet may take to agree after a fault, in seconds. */
const AGREE_S = 90;

let dataDir: string;
let stack: Stack;
let api: Service & { url: string };
let control: ControlPlane;
let cid: string;
let engine: Promise<Engine>;
let machines: Machine[];
const agents = new Map<string, Service>();

/** Its own stack, because these tests kill its parts. Everything is real; each agent is a process with its own home. */
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'membridge-faults-'));
  const env = { ...process.env, MEMBRIDGE_PORT: '0' };
  const secrets = loadServerSecrets(dataDir, env);
  const ports = { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 };
  stack = await startStack({ dataDir, ports, env, log });
  api = await startApi({ root, dataDir, env, secrets, stack });
  control = new ControlPlane(api.url, secrets.RUNTIME_API_KEY);
  cid = (await control.createSpace('faults')).canonical_id;
  engine = connectEngine(stack.temporal);
  machines = makeMachines(join(dataDir, 'machines'));
  for (const machine of machines) {
    agents.set(machine.id, await startMachine(machine, { root, dataDir, env, control }));
  }
  await agree(knownTogether());
}, 240_000);

afterAll(async () => {
  await (await engine)?.close();
  for (const agent of agents.values()) await agent.stop();
  await api?.stop();
  await stack?.stop();
  for (const machine of machines) machine.db.close();
  removeStackData(dataDir);
}, 60_000);

const machine = (id: string): Machine => {
  const found = machines.find((each) => each.id === id);
  if (found === undefined) throw new Error(`no machine ${id}`);
  return found;
};
const agent = (id: string): Service => {
  const found = agents.get(id);
  if (found === undefined) throw new Error(`no agent ${id}`);
  return found;
};

const knownTogether = (): Map<string, number> => unite(machines.map(({ db }) => takeInventory(db)));

/** Waits until every machine holds exactly the fleet's memories, each once. */
async function agree(expected: Map<string, number>, among: readonly Machine[] = machines): Promise<void> {
  const complete = ({ db }: Machine): boolean => compare(takeInventory(db), expected).lost === 0;
  await waitUntil('every machine has every memory', AGREE_S, () => among.every(complete));
  for (const { db, id, databasePath } of among) {
    expect(compare(takeInventory(db), expected), id).toEqual({ lost: 0, duplicated: 0 });
    expectIntact(databasePath, id);
  }
  expect(new Set(among.map(({ db, databasePath }) => canonicalHash(db, databasePath))).size).toBe(1);
}

/** Writes many memories on a machine, so that its sync takes a while. @returns all memories of the fleet */
function learn(id: string, name: string, observations = 1_200): Map<string, number> {
  writeHistory(machine(id).db, { name, seed: name.length, observations, from: JANUARY });
  return knownTogether();
}

/**
 * Suspends MinIO, so that the next push lasts until the store answers again, however fast the machine is.
 * @returns a function that resumes MinIO
 */
function suspendStore(): () => void {
  const { minio } = stack.parts;
  if (minio === undefined) throw new Error('this stack has a store of its own');
  const { pid } = minio;
  process.kill(pid, 'SIGSTOP');
  return () => process.kill(pid, 'SIGCONT');
}

async function jobWhere(what: string, holds: (job: Job) => boolean): Promise<Job> {
  let found: Job | undefined;
  await waitUntil(what, AGREE_S, async () => {
    found = (await control.jobs()).find(holds);
    return found !== undefined;
  });
  if (found === undefined) throw new Error(what);
  return found;
}

/** Waits until a machine sends its new memories. */
async function sends(id: string): Promise<void> {
  const { client } = await engine;
  await waitUntil(`${id} sends`, AGREE_S, async () => {
    const { raw } = await client.workflow.getHandle(memorySpaceId(cid)).describe();
    return (raw.pendingActivities ?? []).some(
      ({ activityType, lastWorkerIdentity }) =>
        activityType?.name === 'pushMemory' && lastWorkerIdentity?.startsWith(`agent ${id} `) === true,
    );
  });
}

const running = (id: string) => (job: Job) => job.agent === id && job.status === 'running';

describe('a sync', () => {
  it('completes with nothing lost or duplicated although MinIO goes away during a push', async () => {
    suspendStore();
    const expected = learn('laptop', 'minio-away');
    await sends('laptop');
    await stack.parts.minio?.kill();
    const waiting = await jobWhere('laptop says what it waits for', running('laptop'));
    expect(waiting.agent).toBe('laptop');
    await stack.parts.minio?.restart();
    await agree(expected);
  });

  it('completes with nothing lost or duplicated although an agent is killed with SIGKILL during a pull', async () => {
    const expected = learn('laptop', 'agent-killed', 4_000);
    const toCome = compare(takeInventory(machine('server').db), expected).lost;
    await waitUntil('server merges', AGREE_S, () => {
      const { lost } = compare(takeInventory(machine('server').db), expected);
      return lost > 0 && lost < toCome;
    });
    await agent('server').kill();
    expect(compare(takeInventory(machine('server').db), expected).duplicated).toBe(0);
    await agent('server').restart();
    await agree(expected);
  });

  it('completes with nothing lost or duplicated although Temporal is killed and restarted', async () => {
    const resumeStore = suspendStore();
    const expected = learn('desktop', 'temporal-killed');
    await sends('desktop');
    await stack.parts.temporal?.kill();
    resumeStore();
    await stack.parts.temporal?.restart();
    await agree(expected);
  });

  it('completes with nothing lost or duplicated although PostgreSQL is killed and restarted', async () => {
    const resumeStore = suspendStore();
    const expected = learn('laptop', 'postgres-killed');
    await sends('laptop');
    await stack.parts.postgres?.kill();
    resumeStore();
    await stack.parts.postgres?.restart();
    await agree(expected);
    await waitUntil('no job is left running', AGREE_S, async () =>
      (await control.jobs()).every((job) => job.status === 'completed'),
    );
  });

  it('completes with nothing lost or duplicated although the control plane is killed and restarted', async () => {
    const resumeStore = suspendStore();
    const expected = learn('desktop', 'api-killed');
    await sends('desktop');
    await api.kill();
    resumeStore();
    await api.restart();
    await agree(expected);
  });
});

describe('a node whose database is damaged', () => {
  it('gets a job that reports it, and the other nodes continue', async () => {
    await agent('server').stop();
    machine('server').db.close();
    const noise = 'no database any more, but not ours to replace'.repeat(400);
    for (const suffix of ['', '-wal', '-shm'])
      writeFileSync(`${machine('server').databasePath}${suffix}`, noise);
    await agent('server').restart();
    machines = machines.filter(({ id }) => id !== 'server');

    await agree(learn('laptop', 'without-the-server'));
    const job = await jobWhere(
      'the job of server failed',
      ({ agent: id, status }) => id === 'server' && status === 'failed',
    );
    expect(job.error_code).toBe('memory_corrupt');
    expect(job.detail).toMatch(/damaged.*left it untouched/);
    expect((await control.space(cid)).nodes.find(({ node_id }) => node_id === 'server')?.status).toBe(
      'failed',
    );
  });
});
