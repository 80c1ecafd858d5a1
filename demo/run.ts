import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TEMPORAL_PAGE } from '../contract/names.ts';
import { canonicalHash } from '../memory/detect/canonical-hash.ts';
import { buildWeb } from '../stack/build-web.ts';
import { startApi } from '../stack/membridge.ts';
import { loadServerSecrets } from '../stack/secrets.ts';
import { startStack } from '../stack/stack.ts';
import { ControlPlane, startMachine, waitUntil } from './fleet.ts';
import { compare, takeInventory, unite } from './inventory.ts';
import { sandboxSetting, taskSettings } from './tasks.ts';
import { countMemories, makeMachines, type Machine } from './machines.ts';

/** The demo's report about one machine. */
export interface MachineReport {
  id: string;
  rowsBefore: number;
  rowsAfter: number;
  canonicalHash: string;
  bytesUp: number;
  bytesDown: number;
  /** How long its syncs took together, in milliseconds. */
  ms: number;
}

/** The demo's report; printed by `npm run demo -- --once --json`. */
export interface Report {
  ok: boolean;
  converged: boolean;
  lost: number;
  duplicated: number;
  nodes: MachineReport[];
  /** Signs in to the page while the demo runs. */
  url: string;
}

/** A running demo, and how to end it. */
export interface RunningDemo {
  readonly report: Report;
  readonly machines: Machine[];
  readonly control: ControlPlane;
  readonly temporalUi: string;
}

/** How long the fleet may take to agree, in seconds. */
const AGREE_WITHIN_S = 180;

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Starts everything, lets three machines join one after the other, and checks that each holds what any of them knew.
 * @param undo receives, in order of start, a function that stops each thing; run them in reverse
 * @throws Error when something does not start; the report says when the fleet does not agree
 */
export async function runDemo(options: {
  root: string;
  dataDir: string;
  env: NodeJS.ProcessEnv;
  log: (line: string) => void;
  undo: (() => Promise<void> | void)[];
}): Promise<RunningDemo> {
  const { root, dataDir, log, undo } = options;
  const env = { MEMBRIDGE_PORT: '0', ...options.env };
  const secrets = loadServerSecrets(dataDir, env);
  rmSync(join(dataDir, 'machines'), { recursive: true, force: true });

  const building = buildWeb(log);
  const ports = { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 };
  const starting = startStack({ dataDir, ports, env, log });
  await Promise.allSettled([building, starting]);
  const stack = await starting;
  undo.push(() => stack.stop());
  await building;
  log('PostgreSQL, MinIO and Temporal answer');

  const api = await startApi({ root, dataDir, env, secrets, stack });
  undo.push(() => api.stop());
  const control = new ControlPlane(api.url, secrets.RUNTIME_API_KEY);
  const space = await control.createSpace('demo');
  const machines = makeMachines(join(dataDir, 'machines'));
  undo.push(() => machines.forEach(({ db }) => db.close()));
  log(`the control plane answers at ${api.url}`);

  const before = new Map(machines.map((machine) => [machine.id, countMemories(machine)]));
  const expected = unite(machines.map(({ db }) => takeInventory(db)));
  const sandbox = sandboxSetting(dataDir, env, log);
  for (const machine of machines) {
    const agent = await startMachine(machine, {
      root,
      dataDir,
      env,
      control,
      settings: { ...taskSettings(root, machine.id), MEMBRIDGE_TASK_SANDBOX: sandbox },
    });
    undo.push(() => agent.stop());
    const inStep = async (): Promise<boolean> => {
      const { nodes } = await control.space(space.canonical_id);
      const node = nodes.find((each) => each.node_id === machine.id);
      return node !== undefined && node.last_push_at !== null && node.last_pull_at !== null;
    };
    await waitUntil(`a first sync of ${machine.id}`, AGREE_WITHIN_S, inStep);
    log(`${machine.id} joined with ${before.get(machine.id)} memories`);
  }

  const agree = (): boolean =>
    machines.every(({ db }) => {
      const { lost } = compare(takeInventory(db), expected);
      return lost === 0;
    }) && new Set(machines.map(({ db, databasePath }) => canonicalHash(db, databasePath))).size === 1;
  let converged = true;
  try {
    await waitUntil('all machines hold the same memories', AGREE_WITHIN_S, agree);
    await waitUntil('no sync runs any more', 60, async () =>
      (await control.jobs()).every((job) => job.status === 'completed'),
    );
  } catch (error) {
    log(message(error));
    converged = false;
  }

  // The last figures are written a moment after the last row.
  await sleep(200);
  const { nodes } = await control.space(space.canonical_id);
  const jobs = await control.jobs();
  const reports = machines.map((machine): MachineReport => {
    const figures = nodes.find((node) => node.node_id === machine.id);
    const own = jobs.filter((job) => job.agent === machine.id);
    const rounds = new Map(own.map((job) => [`${job.run_id}/${job.finished_at}`, job.ms ?? 0]));
    return {
      id: machine.id,
      rowsBefore: before.get(machine.id) ?? 0,
      rowsAfter: countMemories(machine),
      canonicalHash: canonicalHash(machine.db, machine.databasePath),
      bytesUp: figures?.bytes_up ?? 0,
      bytesDown: figures?.bytes_down ?? 0,
      ms: Math.round([...rounds.values()].reduce((sum, ms) => sum + ms, 0)),
    };
  });
  const verdicts = machines.map(({ db }) => compare(takeInventory(db), expected));
  const lost = verdicts.reduce((sum, verdict) => sum + verdict.lost, 0);
  const duplicated = verdicts.reduce((sum, verdict) => sum + verdict.duplicated, 0);
  const report: Report = {
    ok: converged && lost === 0 && duplicated === 0,
    converged,
    lost,
    duplicated,
    nodes: reports,
    url: `${api.url}/signin#key=${secrets.RUNTIME_API_KEY}`,
  };
  return { report, machines, control, temporalUi: `${api.url}${TEMPORAL_PAGE}` };
}
