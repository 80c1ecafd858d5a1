import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import type { Machine } from '../../demo/machines.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { MemoryWriter } from '../../fixtures/claude-mem/write.ts';
import { waitForLock } from '../../stack/lock.mjs';
import { startNodeProcess } from '../../stack/node-process.ts';
import { freePort } from '../../stack/ports.ts';
import type { Service } from '../../stack/service.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../support/control-plane.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A control plane with its page, and helpers that let real machines join. */
export interface Fleet {
  readonly test: TestPlane;
  /** The address of the page. */
  readonly url: string;
  /** The link that signs a browser in. */
  readonly signInLink: string;
  /** Makes a machine with its own claude-mem database; its agent does not run yet. */
  machine(id: string, options?: { release?: string; observations?: number }): Machine;
  /** Starts a machine's agent, with a new enrolment token unless one is given, and further settings. */
  start(machine: Machine, token?: string, settings?: Record<string, string>): Promise<Service>;
  stop(): Promise<void>;
}

/** How often the agents of a test report, in seconds. */
const HEARTBEAT_SECONDS = '2';
const MARCH = Date.UTC(2026, 2, 2, 9);

/** Builds the page and starts a control plane that serves it, with its own database, bucket and namespace. */
export async function startFleet(env: Record<string, string> = {}): Promise<Fleet> {
  const parts = inject('parts');
  const { uiUrl } = parts.temporal;
  if (uiUrl === undefined) throw new Error('The run has no Temporal UI; the page links to it.');
  await buildPage();
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-browser-'));
  const test = await startTestPlane({
    env: { TEMPORAL_UI_ORIGIN: uiUrl, ...env },
  });
  const { url } = test.plane;
  const agents: Service[] = [];
  const machines: Machine[] = [];

  const machine: Fleet['machine'] = (id, { release = '13.25.3', observations = 24 } = {}) => {
    const home = join(dataDir, id);
    const databasePath = join(home, '.claude-mem', 'claude-mem.db');
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const db = buildDatabase(databasePath, release);
    const seed = machines.length + 1;
    writeHistory(db, { name: id, seed, observations, from: MARCH });
    const made = { id, home, databasePath, db, writer: new MemoryWriter(db) };
    machines.push(made);
    return made;
  };
  const start: Fleet['start'] = async (machine, token, settings = {}) => {
    const enrolment = token ?? (await newToken(test, machine.id));
    const agent = await startAgent(machine, dataDir, url, enrolment, settings);
    agents.push(agent);
    return agent;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(agents.map((agent) => agent.stop()));
    for (const { db } of machines) db.close();
    await test.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { test, url, signInLink: `${url}/signin#key=${RUNTIME_KEY}`, machine, start, stop };
}

async function newToken(test: TestPlane, nodeId: string): Promise<string> {
  const { body } = await test.call('POST', '/api/runtime/enrolment-tokens', { body: { node_id: nodeId } });
  return String(body['token']);
}

async function startAgent(
  machine: Machine,
  dataDir: string,
  url: string,
  token: string,
  settings: Record<string, string>,
): Promise<Service> {
  const port = await freePort();
  return await startNodeProcess({
    name: `agent-${machine.id}`,
    script: join(root, 'agent', 'main.ts'),
    dataDir,
    env: {
      PATH: process.env['PATH'],
      HOME: machine.home,
      MEMBRIDGE_SERVER_URL: url,
      MEMBRIDGE_ENROL_TOKEN: token,
      MEMBRIDGE_NODE_ID: machine.id,
      MEMBRIDGE_AGENT_PORT: String(port),
      MEMBRIDGE_AGENT_DATA_DIR: join(machine.home, '.membridge'),
      MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: HEARTBEAT_SECONDS,
      CLAUDE_MEM_DB: machine.databasePath,
      ...settings,
    },
    ready: { url: `http://127.0.0.1:${port}/health` },
  });
}

/**
 * Builds the page in a separate process, as users do: inside a test run, React would be built for development. The
 * lock lets one test file build while the others wait.
 */
async function buildPage(): Promise<void> {
  const lock = await waitForLock(join(root, 'dist', 'web.lock'), () => undefined);
  try {
    const script = join(root, 'stack', 'build-web.ts');
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
    await promisify(execFile)(process.execPath, [...process.execArgv, script], { cwd: root, env });
  } finally {
    lock.release();
  }
}
