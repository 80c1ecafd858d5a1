import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { ControlPlane, startMachine, waitUntil } from '../../demo/fleet.ts';
import { compare, takeInventory, unite } from '../../demo/inventory.ts';
import { makeMachines, type Machine } from '../../demo/machines.ts';
import { errorMessage } from '../../contract/errors.ts';
import { freePort } from '../../stack/ports.ts';
import { startApi } from '../../stack/membridge.ts';
import { loadServerSecrets } from '../../stack/secrets.ts';
import type { Service } from '../../stack/service.ts';
import { removeStackData, startStack, type Stack } from '../../stack/stack.ts';
import { call, drain, makeTasks, watchfulProgram, type Api } from '../chaos/load.ts';
import { judge } from '../chaos/verdict.ts';
import { startGitServers } from '../git/servers.ts';
import { formerRelease } from './former.ts';
import { keepPropagating, keepWriting, untilAnswered } from './load.ts';

/** Tasks that each agent runs at the same time. */
const SLOTS = 2;
/** How long the previous release works alone, and the pause between two replaced parts, in milliseconds. */
const BEFORE_MS = 20_000;
const BETWEEN_MS = 8_000;
/** How long running work may take to end after the load has ended, in seconds. */
const SETTLE_S = 180;

export interface UpgradeReport {
  readonly tasks: number;
  readonly memories: number;
  readonly projects: number;
  /** Missing tasks, memories and clones. */
  readonly lost: number;
  /** Tasks that were done twice or by two programs at once, and memories that a machine holds twice. */
  readonly doubled: number;
  /** Tasks, clones and workflows that did not end, or cannot continue. */
  readonly stuck: number;
  readonly examples: string[];
}

/**
 * Runs the previous release with three machines. While tasks, clones, syncs and a leadership are in progress, it
 * replaces the control plane and then each agent by this checkout's. Then it judges the results.
 */
export async function upgradeUnderLoad(log: (line: string) => void): Promise<UpgradeReport> {
  const root = join(import.meta.dirname, '..', '..');
  const formerRoot = await formerRelease(root, log);
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-upgrade-'));
  const undo: (() => unknown)[] = [() => removeStackData(dataDir)];
  try {
    const env = {
      ...process.env,
      MEMBRIDGE_PORT: String(await freePort()),
      MEMBRIDGE_REQUESTS_PER_MINUTE: '100000',
    };
    const secrets = loadServerSecrets(dataDir, env);
    const stack = await startStack({
      dataDir,
      env,
      log,
      ports: { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 },
    });
    undo.push(() => stack.stop());
    const machines = makeMachines(join(dataDir, 'machines'));
    undo.push(() => machines.forEach(({ db }) => db.close()));
    const servers = await startGitServers();
    undo.push(() => servers.stop());
    // The former release works as the database's owner, as it did.
    const { runtimeDatabaseUrl: _, ...owned } = stack;
    let api = await startApi({ root: formerRoot, dataDir, env, secrets, stack: owned });
    undo.push(() => api.stop());
    const plane: Api = { api, secrets };
    const control = new ControlPlane(api.url, secrets.RUNTIME_API_KEY);
    const space = await control.createSpace('upgrade');

    const seen = join(dataDir, 'seen');
    mkdirSync(seen);
    const agents = new Map<string, Service>();
    undo.push(() => Promise.all([...agents.values()].map((agent) => agent.stop())));
    const startAgent = async (machine: Machine, from: string): Promise<void> => {
      const settings = agentSettings(machine, seen);
      agents.set(
        machine.id,
        await startMachine(machine, { root: from, dataDir, env: process.env, control, settings }),
      );
    };
    for (const machine of machines) await startAgent(machine, formerRoot);
    const [first] = machines;
    if (first === undefined) throw new Error('there are no machines');
    const select = { primary_node_id: first.id };
    await untilAnswered(Date.now() + 60_000, () =>
      call(plane, 'POST', `/api/membridge/projects/${space.canonical_id}/leadership/select`, select),
    );

    const end = Date.now() + BEFORE_MS + (machines.length + 2) * BETWEEN_MS;
    const replaceAll = async (): Promise<void> => {
      await sleep(BEFORE_MS);
      log('the control plane is replaced');
      await api.stop();
      api = await startApi({ root, dataDir, env, secrets, stack });
      for (const machine of machines) {
        await sleep(BETWEEN_MS);
        log(`the agent of ${machine.id} is replaced`);
        await agents.get(machine.id)?.stop();
        await startAgent(machine, root);
      }
    };
    log('the former release works');
    const [tasks, written, projects] = await Promise.all([
      makeTasks(plane, end),
      keepWriting(machines, end),
      keepPropagating(plane, servers, { primary: first.id, until: end }),
      replaceAll(),
    ]);
    servers.open.trouble = { kind: 'none' };
    log(
      `${tasks.length} tasks, ${written} memories and ${projects.length} projects; waiting for what is under way`,
    );
    await drain(plane, tasks.length, SETTLE_S * 1_000);
    const judged = await judge({
      databaseUrl: stack.databaseUrl,
      made: tasks,
      kills: [],
      downtimes: [],
      overlaps: join(seen, 'overlaps'),
    });
    const others = [
      await judgeMemory(machines),
      await judgeProjects(plane, projects, machines.length),
      await judgeLeadership(plane, { cid: space.canonical_id, primary: first.id }),
      await judgeWorkflows(stack),
    ];
    const sum = (what: 'lost' | 'doubled' | 'stuck'): number =>
      others.reduce((total, each) => total + each[what], judged[what]);
    return {
      tasks: tasks.length,
      memories: written,
      projects: projects.length,
      lost: sum('lost'),
      doubled: sum('doubled'),
      stuck: sum('stuck'),
      examples: [...judged.examples, ...others.flatMap(({ examples }) => examples)],
    };
  } finally {
    for (const each of undo.toReversed()) await each();
  }
}

function agentSettings(machine: Machine, seen: string): Record<string, string> {
  const path = join(machine.home, 'program.sh');
  writeFileSync(path, watchfulProgram(seen), { mode: 0o700 });
  return {
    MEMBRIDGE_RUNNER: JSON.stringify([path]),
    MEMBRIDGE_MAX_CONCURRENCY: String(SLOTS),
    // The programs look for one another by the numbers of their processes, across nodes. The former release drops the setting.
    MEMBRIDGE_TASK_SANDBOX: 'none',
  };
}

interface Findings {
  readonly lost: number;
  readonly doubled: number;
  readonly stuck: number;
  readonly examples: string[];
}

/** Judges whether all machines in the end hold every memory, once. */
async function judgeMemory(machines: readonly Machine[]): Promise<Findings> {
  const inventories = () => machines.map(({ db }) => takeInventory(db));
  const states = () => {
    const all = inventories();
    const expected = unite(all);
    return all.map((inventory) => compare(inventory, expected));
  };
  await waitUntil('all machines hold the same memories', SETTLE_S, () =>
    states().every(({ lost }) => lost === 0),
  ).catch(() => undefined);
  const found = states();
  const lost = found.reduce((sum, each) => sum + each.lost, 0);
  // The same text twice on every machine would be what all of them hold: a memory of this run is written once.
  const doubled = machines.reduce(
    (sum, { db }) =>
      sum +
      Number(
        db
          .prepare(
            `select count(*) - count(distinct title) from observations where title like 'Seen during the upgrade%'`,
          )
          .pluck()
          .get(),
      ),
    0,
  );
  return {
    lost,
    doubled,
    stuck: 0,
    examples: lost + doubled === 0 ? [] : [`memories: ${lost} lacking on some machine, ${doubled} twice`],
  };
}

/** Judges whether every project is on every node. */
async function judgeProjects(plane: Api, ids: readonly string[], nodes: number): Promise<Findings> {
  const examples: string[] = [];
  for (const id of ids) {
    let state = '';
    const isThere = async (): Promise<boolean> => {
      const project = await call(plane, 'GET', `/api/runtime/projects/${id}`);
      const clones = project['nodes'] as {
        node_id: string;
        clone_status: string;
        detail: string;
        error_message: string | null;
      }[];
      state = clones
        .map((clone) => `${clone.node_id} ${clone.clone_status} ${clone.error_message ?? clone.detail}`)
        .join('; ');
      return clones.length === nodes && clones.every(({ clone_status: status }) => status === 'cloned');
    };
    await waitUntil(`${id} on every node`, SETTLE_S / 3, isThere).catch(() =>
      examples.push(`project ${id}: ${state}`),
    );
  }
  return { lost: examples.length, doubled: 0, stuck: 0, examples };
}

/** Judges whether the primary from before the upgrade is still primary, and its lease is renewed. */
async function judgeLeadership(plane: Api, of: { cid: string; primary: string }): Promise<Findings> {
  const look = () => call(plane, 'GET', `/api/membridge/projects/${of.cid}/leadership`);
  const { primary_node_id: primary, epoch } = await look();
  const isRight = primary === of.primary && epoch === 1;
  const examples = isRight ? [] : [`leadership: primary ${String(primary)} in epoch ${String(epoch)}`];
  return { lost: examples.length, doubled: 0, stuck: 0, examples };
}

/** Judges whether a workflow is open whose task fails repeatedly, as with a history that this release cannot replay. */
async function judgeWorkflows(stack: Stack): Promise<Findings> {
  const connection = await Connection.connect({ address: stack.temporal.address });
  try {
    const client = new Client({ connection, namespace: stack.temporal.namespace });
    const examples: string[] = [];
    for await (const { workflowId, runId, type } of client.workflow.list({
      query: `ExecutionStatus = 'Running'`,
    })) {
      const { raw } = await client.workflow.getHandle(workflowId, runId).describe();
      const attempt = raw.pendingWorkflowTask?.attempt ?? 1;
      if (attempt > 1) examples.push(`workflow ${type} ${workflowId}: its task fails, attempt ${attempt}`);
    }
    for await (const { workflowId, type } of client.workflow.list({
      query: `ExecutionStatus = 'Failed' or ExecutionStatus = 'Terminated'`,
    })) {
      examples.push(`workflow ${type} ${workflowId} failed`);
    }
    return { lost: 0, doubled: 0, stuck: examples.length, examples };
  } catch (error) {
    return { lost: 0, doubled: 0, stuck: 1, examples: [`workflows: ${errorMessage(error)}`] };
  } finally {
    await connection.close();
  }
}
