import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { pino, type Logger } from 'pino';
import { inject } from 'vitest';
import { parseConfig } from '../../api/config.ts';
import { startControlPlane, type ControlPlane, type StartOptions } from '../../api/control-plane.ts';
import type { AgentHeartbeat, EnrolResponse } from '../../contract/nodes/nodes.ts';
import type { Parts } from '../global-setup.ts';
import { freshNamespace } from './namespace.ts';
import { recordHistories } from '../replay/record.ts';

export const ADMIN_KEY = 'admin-key-for-tests';
export const RUNTIME_KEY = 'runtime-key-for-tests';
export const SHARED_AGENT_KEY = 'shared-agent-key-for-tests';

/** Makes a new database on a server; `drop` ends its connections. */
export async function freshDatabase(serverUrl: string): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const run = async (statement: string): Promise<void> => {
    const client = new Client({ connectionString: serverUrl });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  await run(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(`drop database if exists ${name} with (force)`) };
}

/** Returns the environment of a control plane on the run's parts, with its own bucket. */
export function planeEnvironment(databaseUrl: string, parts: Parts): Record<string, string> {
  const signingKey = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
  return {
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: parts.temporal.address,
    TEMPORAL_NAMESPACE: parts.temporal.namespace,
    TEMPORAL_UI_URL: 'http://temporal.test',
    MINIO_ENDPOINT: parts.minio.endpoint,
    MINIO_ACCESS_KEY: parts.minio.accessKey,
    MINIO_SECRET_KEY: parts.minio.secretKey,
    MINIO_BUCKET: `test-${randomBytes(6).toString('hex')}`,
    MEMBRIDGE_PORT: '0',
    MEMBRIDGE_ADMIN_KEY: ADMIN_KEY,
    RUNTIME_API_KEY: RUNTIME_KEY,
    MEMBRIDGE_AGENT_KEY: SHARED_AGENT_KEY,
    MEMBRIDGE_SIGNING_KEY: signingKey.toString('base64'),
  };
}

/** A control plane for one test file. */
export interface TestPlane {
  readonly plane: ControlPlane;
  /** Sends a request, by default with the runtime key; a body is sent as JSON. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  stop(): Promise<void>;
}
export interface CallOptions {
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // Tests look into answers of every shape.
  readonly body: Record<string, unknown> & Record<number, Record<string, unknown>>;
}

/** Starts a control plane on a fresh database, bucket and Temporal namespace. `syncWaitMs` is how long /sync/* waits. */
export async function startTestPlane(
  options: { databaseUrl?: string; env?: Record<string, string>; logger?: Logger } & StartOptions = {},
): Promise<TestPlane> {
  const parts = inject('parts');
  const database = options.databaseUrl === undefined ? await freshDatabase(parts.databaseUrl) : null;
  const env = {
    ...planeEnvironment(database?.url ?? options.databaseUrl ?? '', parts),
    TEMPORAL_NAMESPACE: await freshNamespace(parts.temporal.address),
  };
  const config = parseConfig({ ...env, ...options.env });
  const logger = options.logger ?? pino({ level: 'silent' });
  const plane = await startControlPlane(config, logger, options);
  return {
    plane,
    call: (method, path, callOptions) => callApi(plane.url, method, path, callOptions),
    stop: async () => {
      await recordHistories(plane.deps.engine);
      await plane.stop();
      await database?.drop();
    },
  };
}

/** Sends a request to a control plane; see TestPlane. */
export async function callApi(
  url: string,
  method: string,
  path: string,
  { headers = { 'X-Runtime-API-Key': RUNTIME_KEY }, body }: CallOptions = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = response.headers.get('Content-Type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    body: (json ? JSON.parse(text) : { text }) as Answer['body'],
  };
}

/** Returns a heartbeat as an agent sends it. */
export function heartbeat(hostname = 'host'): AgentHeartbeat {
  return {
    facts: {
      hostname,
      os_info: 'Linux',
      arch: 'x64',
      agent_version: '1.0.0',
      pid: 1,
      started_at: 1,
      url: '',
      ip_addrs: ['127.0.0.1'],
      dryrun: false,
      capabilities: { claude_cli: false, max_concurrency: 1, labels: [] },
      tasks_running: 0,
    },
    leases: [],
    memory: {
      path: '/tmp/claude-mem.db',
      state: 'ready',
      detail: null,
      schema: '13',
      rows: { sessions: 1, prompts: 2, observations: 3, summaries: 4 },
      bytes: 1_000,
      checkedAt: 1,
    },
  };
}

/** Returns a new Ed25519 public key as agents send it. */
export function newPublicKey(): string {
  return generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
}

/** Returns the body of an enrolment request. */
export function enrolment(
  nodeId: string,
  token: string,
  publicKey = newPublicKey(),
): Record<string, unknown> {
  return { token, node_id: nodeId, public_key: publicKey, facts: heartbeat(nodeId).facts };
}

/** Enrols a node with a new token, and reports once when `online`. Returns its key. */
export async function enrolNode(
  test: Pick<TestPlane, 'call'>,
  nodeId: string,
  online = true,
  publicKey?: string,
): Promise<EnrolResponse> {
  const { body: made } = await test.call('POST', '/api/runtime/enrolment-tokens', {
    body: { node_id: nodeId },
  });
  const { status, body } = await test.call('POST', '/api/agent/enrol', {
    headers: {},
    body: enrolment(nodeId, String(made['token']), publicKey),
  });
  if (status !== 201) throw new Error(`enrolling ${nodeId}: ${JSON.stringify(body)}`);
  const enrolled = body as unknown as EnrolResponse;
  if (online) {
    await test.call('POST', '/api/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': enrolled.agent_key },
      body: heartbeat(nodeId),
    });
  }
  return enrolled;
}

/**
 * Reports for a node without an agent every five seconds: 25 s after its last report it counts as offline.
 * @returns a function that stops it
 */
export function keepOnline(test: TestPlane, node: string, agentKey: string): () => void {
  const report = { headers: { 'X-MEMBRIDGE-AGENT': agentKey }, body: heartbeat(node) };
  const timer = setInterval(() => {
    test.call('POST', '/api/agent/heartbeat', report).catch(() => undefined);
  }, 5_000);
  return () => clearInterval(timer);
}
