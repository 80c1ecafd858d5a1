import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start, type Running } from '../../bench/running.ts';
import { startMachine } from '../../demo/fleet.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import type { Service } from '../../stack/service.ts';
import { removeStackData } from '../../stack/stack.ts';
import { Dice } from '../sim/dice.ts';
import { drain, makeTasks, watchfulProgram } from './load.ts';
import { judge, type Downtime, type Kill, type Verdict } from './verdict.ts';

/** How many agents there are, and how many tasks each runs at the same time. */
const AGENTS = 3;
const SLOTS = 2;
/** Between two kills, in milliseconds. */
const KILL_EVERY_MS = 5_000;
/** One kill in this number hits a part beneath the agents. */
const PART_EVERY = 5;
/** How long tasks may take to end after the last kill, in milliseconds. */
const DRAIN_MS = 120_000;

export interface ChaosReport extends Verdict {
  readonly tasks: number;
  readonly kills: number;
  readonly seed: number;
}

/** Runs the chaos. @returns the results of the tasks */
export async function chaosOfTasks(options: {
  minutes: number;
  seed: number;
  log: (line: string) => void;
}): Promise<ChaosReport> {
  const { minutes, seed, log } = options;
  const root = join(import.meta.dirname, '..', '..');
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-chaos-'));
  const folder = join(dataDir, 'seen');
  mkdirSync(folder);
  try {
    const running = await start(root, dataDir, log);
    const agents: Service[] = [];
    try {
      for (let n = 0; n < AGENTS; n += 1)
        agents.push(await startAgent(`node-${n}`, running, { root, dataDir, folder }));
      const world = new World(running, agents, seed, log);
      const until = Date.now() + minutes * 60_000;
      const [made] = await Promise.all([makeTasks(running, until), world.killUntil(until)]);
      log(`${made.length} tasks were accepted; they have ${DRAIN_MS / 1_000} s to end`);
      await drain(running, made.length, DRAIN_MS);
      const verdict = await judge({
        databaseUrl: running.stack.databaseUrl,
        made,
        kills: world.kills,
        downtimes: world.downtimes,
        overlaps: join(folder, 'overlaps'),
      });
      return { tasks: made.length, kills: world.kills.length, seed, ...verdict };
    } finally {
      for (const agent of agents) await agent.stop();
      await running.stop();
    }
  } finally {
    removeStackData(dataDir);
  }
}

async function startAgent(
  id: string,
  running: Running,
  at: { root: string; dataDir: string; folder: string },
): Promise<Service> {
  const home = join(at.dataDir, id);
  const databasePath = join(home, '.claude-mem', 'claude-mem.db');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  buildDatabase(databasePath, '13.25.3').close();
  const path = join(home, 'program.sh');
  writeFileSync(path, watchfulProgram(at.folder), { mode: 0o700 });
  const settings = {
    MEMBRIDGE_RUNNER: JSON.stringify([path]),
    MEMBRIDGE_MAX_CONCURRENCY: String(SLOTS),
    // The programs find one another by process ids, across nodes, which a sandbox would hide.
    MEMBRIDGE_TASK_SANDBOX: 'none',
  };
  return await startMachine(
    { id, home, databasePath },
    { ...at, env: process.env, control: running.control, settings },
  );
}

/** Kills processes, and restarts them. */
class World {
  readonly kills: Kill[] = [];
  readonly downtimes: Downtime[] = [];
  readonly #running: Running;
  readonly #agents: readonly Service[];
  readonly #dice: Dice;
  readonly #log: (line: string) => void;

  constructor(running: Running, agents: readonly Service[], seed: number, log: (line: string) => void) {
    this.#running = running;
    this.#agents = agents;
    this.#dice = new Dice(seed);
    this.#log = log;
  }

  async killUntil(until: number): Promise<void> {
    let next = Date.now() + KILL_EVERY_MS;
    for (let n = 1; next < until; n += 1) {
      await sleep(Math.max(0, next - Date.now()));
      if (n % PART_EVERY === 0) await this.#killPart();
      else await this.#killAgent();
      next = Math.max(next + KILL_EVERY_MS, Date.now());
    }
  }

  async #killAgent(): Promise<void> {
    const agent = this.#dice.pick(this.#agents);
    const node = agent.name.replace('agent-', '');
    this.#log(`kill ${node}`);
    this.kills.push({ node, at: Date.now() });
    await agent.kill();
    await agent.restart();
  }

  async #killPart(): Promise<void> {
    const { api, stack } = this.#running;
    const { postgres, minio, temporal } = stack.parts;
    const part = this.#dice.pick([api, postgres, minio, temporal].filter((each) => each !== undefined));
    this.#log(`kill ${part.name}`);
    const from = Date.now();
    this.kills.push({ node: part.name, at: from });
    await part.kill();
    await part.restart();
    // Connections and workers need a moment to recover, too.
    this.downtimes.push({ from, to: Date.now() + 10_000 });
  }
}
