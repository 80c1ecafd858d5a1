/** Many agents in one process. Enrolment, heartbeats, workers and git are real; only the claude-mem database is in memory. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { pino } from 'pino';
import { enrol } from '../../agent/control-plane/control-plane.ts';
import { readFacts } from '../../agent/node-facts.ts';
import { Heartbeat } from '../../agent/control-plane/heartbeat.ts';
import { openWorkerEngine } from '../../agent/engine.ts';
import { SyncRequests } from '../../agent/memory/sync-requests.ts';
import { startNodeWorker } from '../../agent/worker.ts';
import type { MemoryStatus, PullResult, PushResult, SpaceConfig } from '../../contract/memory/memory.ts';
import { nodeQueue } from '../../contract/names.ts';
import type { KeptWorker } from '../../engine/keep-worker.ts';
import { generateNodeKey } from '../../memory/format/signing.ts';
import { NO_TASKS } from '../no-tasks.ts';
import type { FromAgents, ToAgents } from './messages.ts';
import { serverAt } from '../../transport/server.ts';

/** Agents that join at the same time. */
const MAX_CONCURRENT_JOINS = 10;
/** Pause between two checks whether all workers poll, and between two reports, in milliseconds. */
const LOOK_MS = 100;

const log = pino({ level: 'silent' });
const NO_TRAFFIC = { requests: 0, bytesUp: 0, bytesDown: 0 };

let written = 0;
let pulls = 0;
const agents = new Map<string, { worker: KeptWorker; write(): void }>();
const sendToBench = (message: FromAgents): void => void process.send?.(message);

/** Returns what a real agent reports about a healthy database. */
function status(id: string): MemoryStatus {
  const rows = { sessions: 1, prompts: 1, observations: 1, summaries: 1 };
  return {
    path: `${id}.db`,
    state: 'ready',
    detail: null,
    schema: '13',
    rows,
    bytes: 1_000,
    checkedAt: Date.now(),
  };
}

/** Enrols one agent, which reports and polls from then on. */
async function addAgent(
  { serverUrl, heartbeatMs, folder }: Extract<ToAgents, { kind: 'start' }>,
  { id, token }: { id: string; token: string },
): Promise<void> {
  const server = serverAt(serverUrl);
  const facts = readFacts({ url: '', dryrun: false, tasks: NO_TASKS });
  const { key, pem } = generateNodeKey();
  const enrolment = await enrol(server, { token, node_id: id, public_key: key.publicKey, facts });
  const state = { server_url: serverUrl, private_key: pem, enrolment };
  const engine = await openWorkerEngine({ engine: 'direct', allowsPlainHttp: false }, state, log);
  const requests = new SyncRequests(engine.requests, log);
  let spaces: SpaceConfig[] = [];
  let unsent = 0;
  let seen = 0;
  const heartbeat = new Heartbeat({
    server,
    agentKey: enrolment.agent_key,
    sealingKeyIds: () => [],
    onMembership: () => Promise.resolve(),
    url: '',
    dryrun: false,
    intervalMs: heartbeatMs,
    databasePath: `${id}.db`,
    status: () => Promise.resolve(status(id)),
    onSpaces: (told) => void (spaces = told),
    onWaves: (hasWaves) => requests.setWaves(hasWaves),
    onDrained: () => undefined,
    onPools: () => undefined,
    tasks: NO_TASKS,
    sandbox: { mode: 'none', refuses: true, detail: 'no tasks are run in this bench' },
    leases: () => [],
    work: () => ({
      queues: [nodeQueue(id)],
      engine: null,
      store: null,
      clock_ahead_ms: 0,
      program: null,
      waits: [],
    }),
    log,
  });
  const memory = {
    push: (space: SpaceConfig): Promise<PushResult> => {
      requests.notePush(space.cid);
      const rows = unsent;
      unsent = 0;
      heartbeat.bringForward();
      return Promise.resolve({ rows, segments: Math.min(rows, 1), head: null, traffic: NO_TRAFFIC, ms: 1 });
    },
    pull: (): Promise<PullResult> => {
      const inserted = written - seen;
      seen = written;
      pulls += Math.min(inserted, 1);
      heartbeat.bringForward();
      const rows = { operations: inserted, inserted, updated: 0, waiting: 0, segments: inserted };
      return Promise.resolve({ ...rows, problems: [], traffic: NO_TRAFFIC, ms: 1 });
    },
  };
  const refused = (what: string) => () => Promise.reject(new Error(`no node of this bench has ${what}`));
  const worker = startNodeWorker({
    engine: engine.address,
    node: id,
    memory,
    primary: { primary: refused('a primary'), mirror: refused('a mirror') },
    projects: {
      reposBase: join(folder, id, 'repos'),
      workDir: join(folder, id, 'work'),
      node: id,
      dryrun: false,
      credentialOf: refused('a credential'),
      contentOf: refused('proposals'),
    },
    dryrun: false,
    log,
  });
  heartbeat.start();
  agents.set(id, {
    worker,
    write: () => {
      unsent += 1;
      seen += 1;
      for (const space of spaces) void requests.requestForNotice(space);
    },
  });
}

async function start(input: Extract<ToAgents, { kind: 'start' }>): Promise<void> {
  const waiting = [...input.nodes];
  const join = async (): Promise<void> => {
    for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) await addAgent(input, node);
  };
  await Promise.all(Array.from({ length: MAX_CONCURRENT_JOINS }, join));
  while ([...agents.values()].some(({ worker }) => !worker.isPolling())) await sleep(LOOK_MS);
  sendToBench({ kind: 'polling', nodes: agents.size });
}

Runtime.install({ logger: new DefaultLogger('ERROR') });
process.on('message', (message: ToAgents) => {
  if (message.kind === 'start') {
    start(message).catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    });
    return;
  }
  written += 1;
  agents.get(message.node)?.write();
});
// The bench has ended, however it did.
process.on('disconnect', () => process.exit(0));
let told = 0;
setInterval(() => {
  if (pulls !== told) sendToBench({ kind: 'pulled', pulls: (told = pulls) });
}, LOOK_MS);
