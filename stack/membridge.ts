/** Membridge's own two processes on this machine, the control plane and an agent, and the environment of each. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { LabelList } from '../contract/tasks/tasks.ts';
import { parseRoles, type Role } from '../contract/roles.ts';
import { onlyNames, withoutPrefix } from './environment.ts';
import { startNodeProcess } from './node-process.ts';
import { choosePort, freePort } from './ports.ts';
import type { ServerSecrets } from './secrets.ts';
import type { Server } from '../transport/server.ts';
import { requestToken } from '../transport/token.ts';
import { chooseAddress, type ApiAddress } from './listen.ts';
import type { Service } from './service.ts';
import type { Stack } from './stack.ts';

interface Surroundings {
  /** The checkout. */
  root: string;
  dataDir: string;
  env: NodeJS.ProcessEnv;
  secrets: ServerSecrets;
}

/** Settings of the stack, which its programs do not know. */
const stackSettings = ['MEMBRIDGE_POSTGRES_', 'MEMBRIDGE_MINIO_', 'MEMBRIDGE_TEMPORAL_', 'MEMBRIDGE_LISTEN'];
const agentSettings = [
  'MEMBRIDGE_AGENT_',
  'MEMBRIDGE_NODE_ID',
  'MEMBRIDGE_ENROL_',
  'MEMBRIDGE_SERVER_URL',
  'MEMBRIDGE_SERVER_PIN',
  'MEMBRIDGE_ALLOW_PLAIN_HTTP',
  'CLAUDE_MEM_',
];
/**
 * Names with a prefix of the agent's that the control plane reads as well. They hold settings that it gives to agents, and the key
 * of the original's agents.
 */
export const SERVER_NAMES_LIKE_AGENT: readonly string[] = [
  'MEMBRIDGE_AGENT_KEY',
  'MEMBRIDGE_AGENT_TEMPORAL_ADDRESS',
  'MEMBRIDGE_AGENT_MINIO_ENDPOINT',
  'MEMBRIDGE_AGENT_ENGINE',
  'MEMBRIDGE_AGENT_STORE',
];

/** Settings that an agent must not see: it has its own key. */
const serverSettings = [
  'MEMBRIDGE_ADMIN_KEY',
  'MEMBRIDGE_AGENT_KEY',
  'RUNTIME_API_KEY',
  'MEMBRIDGE_SIGNING_KEY',
  'MEMBRIDGE_HOST',
  'MEMBRIDGE_PORT',
  'MEMBRIDGE_DATA_DIR',
  'MEMBRIDGE_TLS_',
  'MEMBRIDGE_ROLES',
  'DATABASE_',
  'TEMPORAL_',
  'MINIO_',
];

/** Returns the roles of this machine's server. The server itself refuses a wrong MEMBRIDGE_ROLES. */
export function rolesOf(env: NodeJS.ProcessEnv): ReadonlySet<Role> {
  const all = new Set<Role>(['control', 'runtime']);
  return env.MEMBRIDGE_ROLES ? (parseRoles(env.MEMBRIDGE_ROLES) ?? all) : all;
}

/**
 * Returns the remote control plane's address and key from the environment, for a runtime-only process. They replace the
 * admin key that this machine generated, which the remote control plane does not accept.
 */
function remoteEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { MEMBRIDGE_SERVER_URL: env.MEMBRIDGE_SERVER_URL, MEMBRIDGE_ADMIN_KEY: env.MEMBRIDGE_ADMIN_KEY };
}

/**
 * Starts the control plane, where `address` says; by default on MEMBRIDGE_HOST (127.0.0.1) and MEMBRIDGE_PORT (8000).
 * @returns the service, its address on this machine, and how programs of this machine reach it
 * @throws when the port is taken or it does not start, quoting its log
 */
export async function startApi(
  options: Surroundings & { stack: Stack; address?: ApiAddress },
): Promise<Service & { url: string; server: Server }> {
  const { root, dataDir, env, secrets, stack } = options;
  const address = options.address ?? (await chooseAddress({ root, dataDir, env, listen: undefined }));
  const { host, port, local: server, probeUrl } = address;
  return startNodeProcess(
    {
      name: 'api',
      script: join(root, 'api', 'main.ts'),
      dataDir,
      env: {
        MEMBRIDGE_WORKER_METRICS_ADDRESS: `127.0.0.1:${await freePort()}`,
        ...withoutPrefix(env, ...stackSettings, ...agentSettings),
        ...onlyNames(env, SERVER_NAMES_LIKE_AGENT),
        ...secrets,
        ...(!rolesOf(env).has('control') && remoteEnvironment(env)),
        DATABASE_URL: stack.runtimeDatabaseUrl ?? stack.databaseUrl,
        ...(stack.runtimeDatabaseUrl !== undefined && { DATABASE_OWNER_URL: stack.databaseUrl }),
        TEMPORAL_ADDRESS: stack.temporal.address,
        TEMPORAL_NAMESPACE: stack.temporal.namespace,
        ...(stack.parts.temporal === undefined
          ? { TEMPORAL_UI_URL: stack.temporal.uiUrl }
          : { TEMPORAL_UI_ORIGIN: stack.temporal.uiUrl }),
        MINIO_ENDPOINT: stack.minio.endpoint,
        MINIO_ACCESS_KEY: stack.minio.accessKey,
        MINIO_SECRET_KEY: stack.minio.secretKey,
        MINIO_BUCKET: env.MINIO_BUCKET || 'claude-memory',
        ...address.settings,
        MEMBRIDGE_HOST: host,
        MEMBRIDGE_PORT: String(port),
        MEMBRIDGE_DATA_DIR: dataDir,
      },
      ready: { url: `${probeUrl}/health` },
      port: { number: port, what: "Membridge's server", setting: 'MEMBRIDGE_PORT' },
    },
    { url: server.url, server },
  );
}

/**
 * Starts an agent for this machine on loopback port MEMBRIDGE_AGENT_PORT (8001); enrols it the first time.
 * @throws when the port is taken, the server refuses to enrol it, or it does not start (quoting its log)
 */
export async function startAgent(options: Surroundings & { server: Server }): Promise<Service> {
  const { root, dataDir, env, secrets, server } = options;
  const port = await choosePort(undefined, 'MEMBRIDGE_AGENT_PORT', env, 8_001);
  const agentDir = resolve(root, env.MEMBRIDGE_AGENT_DATA_DIR || join(dataDir, 'agent'));
  const nodeId = env.MEMBRIDGE_NODE_ID || hostname();
  // The agent reports a wrong list.
  const labels = LabelList.safeParse(env.MEMBRIDGE_LABELS ?? '').data ?? [];
  const isEnrolled = (): boolean => existsSync(join(agentDir, 'agent.json'));
  return startNodeProcess({
    name: 'agent',
    script: join(root, 'agent', 'main.ts'),
    dataDir,
    env: async () => ({
      ...withoutPrefix(env, ...stackSettings, ...serverSettings),
      MEMBRIDGE_SERVER_URL: server.url,
      ...(server.pin !== null && { MEMBRIDGE_SERVER_PIN: server.pin }),
      // Even by an address of the network, this agent's requests do not leave the machine.
      ...(server.url.startsWith('http:') && { MEMBRIDGE_ALLOW_PLAIN_HTTP: '1' }),
      ...(!isEnrolled() && { MEMBRIDGE_ENROL_TOKEN: await enrolmentToken(server, nodeId, labels, secrets) }),
      MEMBRIDGE_NODE_ID: nodeId,
      MEMBRIDGE_AGENT_PORT: String(port),
      MEMBRIDGE_AGENT_DATA_DIR: agentDir,
    }),
    ready: { url: `http://127.0.0.1:${port}/health` },
    port: { number: port, what: "this machine's agent", setting: 'MEMBRIDGE_AGENT_PORT' },
  });
}

/** Requests a token that admits one new agent to pools, once. */
async function enrolmentToken(
  server: Server,
  nodeId: string,
  pools: readonly string[],
  secrets: ServerSecrets,
): Promise<string> {
  return (await requestToken(server, secrets.RUNTIME_API_KEY, { node_id: nodeId, pools })).token;
}
