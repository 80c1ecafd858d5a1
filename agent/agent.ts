import { join } from 'node:path';
import type { Logger } from 'pino';
import type { MemoryPort } from '../activities/node/memory.ts';
import type { PrimaryPort } from '../activities/node/primary.ts';
import { MembridgeError } from '../contract/errors.ts';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import { takesPart } from '../contract/memory/taking-part.ts';
import type { KeptWorker } from '../engine/keep-worker.ts';
import { loadSealingKey } from '../memory/format/sealing.ts';
import type { AgentConfig } from './config.ts';
import type { WorkerEngine } from './engine.ts';
import { Heartbeat } from './control-plane/heartbeat.ts';
import { serverOf } from './control-plane/server.ts';
import { MemoryHost } from './memory/memory-host.ts';
import { projectOptions, sweepProjects } from './projects/projects.ts';
import { ReportedProjects } from './projects/reported-projects.ts';
import { readSealingKeys, rotateSealingKey, type AgentState } from './control-plane/state.ts';
import { chooseStoreRoute } from './control-plane/store-route.ts';
import { SyncRequests } from './memory/sync-requests.ts';
import { startTasks } from './tasks/index.ts';
import { chooseSandbox, type ChosenSandbox } from './tasks/sandbox.ts';
import { startNodeWorker } from './worker.ts';

/** A running agent: the node's worker, its memory thread, its heartbeat. */
export interface Agent {
  readonly config: AgentConfig;
  readonly state: AgentState;
  readonly engine: WorkerEngine;
  readonly log: Logger;
  readonly heartbeat: Heartbeat;
  readonly requests: SyncRequests;
  readonly worker: KeptWorker;
  readonly memory: Pick<MemoryHost, 'call'>;
  /** The sandbox that this node's tasks run in. */
  readonly sandbox: ChosenSandbox;
  /** The spaces that this node takes part in, as the control plane last reported them. */
  spaces(): SpaceConfig[];
  /**
   * Makes a new sealing key and publishes it, so that other nodes encrypt for it. This node still reads what was
   * encrypted for the old keys.
   * @returns the id of the new key
   */
  rotateKeys(): Promise<{ keyId: string }>;
  stop(): Promise<void>;
}

/**
 * Starts everything that an enrolled agent does, except its HTTP server.
 * @param engine how its workers reach Temporal; closed with the agent
 * @param url where the agent's HTTP server listens, reported to the control plane
 * @param onFatal called with an error that only a restart can repair
 */
export function startAgent(
  config: AgentConfig,
  state: AgentState,
  engine: WorkerEngine,
  url: string,
  log: Logger,
  onFatal: (error: Error) => void,
): Agent {
  const { enrolment } = state;
  const node = enrolment.node_id;
  const spaces = new Map<string, SpaceConfig>();

  const sandbox = chooseSandbox(config);
  const requests = new SyncRequests(engine.requests, log);
  const memory = new MemoryHost(
    {
      databasePath: config.databasePath,
      ledgerPath: join(config.dataDir, 'ledger.db'),
      lockDirectory: config.lockDirectory,
      node,
      privateKey: state.private_key,
      certificate: enrolment.certificate,
      controlPublicKey: enrolment.control_public_key,
      sealingKeys: readSealingKeys(config.dataDir),
      store: chooseStoreRoute(config, state),
      orphanWaitMs: config.orphanWaitMs,
      configEnv: config.configEnv,
      mirrorEveryMs: config.mirrorEveryMs,
    },
    {
      noticed: (cids) => void passOn(cids),
      log: (message) => log.info(message),
      died: onFatal,
    },
  );

  const passOn = async (cids: string[]): Promise<void> => {
    if (config.dryrun) return;
    const changed = cids.map((cid) => spaces.get(cid)).filter((space) => space !== undefined);
    const passed = await Promise.all(changed.map((space) => requests.requestForNotice(space)));
    if (passed.includes(false)) memory.lookAgain();
  };

  const learn = (list: readonly SpaceConfig[]): void => {
    for (const space of list) spaces.set(space.cid, space);
    memory.watch([...spaces.values()]);
  };

  const heartbeat = new Heartbeat({
    server: serverOf(config, state),
    agentKey: enrolment.agent_key,
    url,
    dryrun: config.dryrun,
    intervalMs: config.heartbeatMs,
    databasePath: config.databasePath,
    status: () => memory.status(),
    sealingKeyIds: () => readSealingKeys(config.dataDir).map((pem) => loadSealingKey(pem).keyId),
    onMembership: (membership) => memory.setMembership(membership),
    onWaves: (hasWaves) => requests.setWaves(hasWaves),
    onSpaces: (list) => {
      spaces.clear();
      learn(list.filter(({ cid, projectId: name }) => takesPart(config.spaces, { cid, name })));
    },
    tasks: config,
    sandbox: sandbox.told,
    leases: () => tasks.leases(),
    work: () => tasks.work(),
    onDrained: (drained) => tasks.setDrained(drained),
    onPools: (allowed) => tasks.allowPools(allowed),
    log,
  });

  /** Refuses a space that the machine's owner excluded, for every caller. */
  const mayTakePart = ({ cid, projectId }: SpaceConfig): void => {
    if (takesPart(config.spaces, { cid, name: projectId })) return;
    throw new MembridgeError(
      'forbidden',
      `Node ${node} does not take part in the space ${projectId}: its owner named others in MEMBRIDGE_SPACES. Add it there and start the agent again.`,
    );
  };

  // A sync changes the state of its space. Report that now, not with the next regular heartbeat.
  const observed: MemoryPort = {
    push: async (space, call) => {
      mayTakePart(space);
      if (!spaces.has(space.cid)) learn([space]);
      requests.notePush(space.cid);
      return await memory.push(space, call).finally(() => heartbeat.bringForward());
    },
    pull: async (space, full, call) => {
      mayTakePart(space);
      if (!spaces.has(space.cid)) learn([space]);
      return await memory.pull(space, full, call).finally(() => heartbeat.bringForward());
    },
  };
  const primary: PrimaryPort = {
    primary: async (what, space, epoch, call) => {
      mayTakePart(space);
      return await memory.primary(what, space, epoch, call);
    },
    mirror: async (space, epoch, agreed, call) => {
      mayTakePart(space);
      return await memory.mirror(space, epoch, agreed, call);
    },
  };
  if (!config.dryrun) void sweepProjects(config, log);
  const worker = startNodeWorker({
    engine: engine.address,
    node,
    memory: observed,
    primary,
    projects: projectOptions(config, state),
    dryrun: config.dryrun,
    polls: () => heartbeat.bringForward(),
    log,
  });
  const reported = config.dryrun ? null : new ReportedProjects(config, state, log);
  const tasks = startTasks(config, state, engine, sandbox, log, {
    worker,
    clockAheadMs: () => heartbeat.state.clockAheadMs,
    changed: () => heartbeat.bringForward(),
    died: onFatal,
  });
  heartbeat.start();

  return {
    config,
    state,
    engine,
    log,
    heartbeat,
    requests,
    worker,
    memory,
    sandbox,
    rotateKeys: async () => {
      const keys = rotateSealingKey(config.dataDir);
      await memory.useKeys(keys);
      // A push publishes the new key in its space.
      for (const space of spaces.values()) void requests.requestForNotice(space);
      return { keyId: loadSealingKey(keys[0] ?? '').keyId };
    },
    spaces: () => [...spaces.values()],
    stop: async () => {
      heartbeat.stop();
      reported?.stop();
      await Promise.all([worker.stop(), tasks.stop()]);
      await memory.close();
      requests.close();
      await engine.close();
    },
  };
}
