import { createPrivateKey, type KeyObject } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { AgentEngineWay } from '../contract/nodes/engine-tunnel.ts';
import { AgentStoreWay, type StoreAccess } from '../contract/nodes/nodes.ts';
import { parseRoles, type Role } from '../contract/roles.ts';
import { TEMPORAL_PAGE } from '../contract/names.ts';
import { parseBasePath, objectToBasePath } from './http/base-path.ts';
import { parseBaseUrl } from './remote/base-url.ts';
import type { TlsFiles } from './tls/pair.ts';
import { describeUnknownSettings } from './unknown-settings.ts';

/** The control plane's settings, parsed once at start. */
export interface Config {
  /** The roles of this process; at least one. */
  readonly roles: ReadonlySet<Role>;
  readonly databaseUrl: string;
  /** The database's address without a pooler in between, for LISTEN; null where `databaseUrl` has none. */
  readonly databaseDirectUrl: string | null;
  /** The role that owns and migrates the schema; null where that is the role of `databaseUrl`. */
  readonly databaseOwnerUrl: string | null;
  readonly engine: { readonly address: string; readonly namespace: string };
  /** Where people find Temporal's own page: an address, or a path of this server; null when unknown. */
  readonly temporalUi: string | null;
  /** Where this server finds Temporal's page, to show it to signed-in people; null where people open it directly. */
  readonly temporalUiOrigin: string | null;
  readonly store: StoreAccess;
  readonly host: string;
  /** The server's own certificate and key; null where it speaks plain HTTP. */
  readonly tls: TlsFiles | null;
  readonly port: number;
  /** The key of the control-plane paths; null in a runtime-only process without one. */
  readonly adminKey: string | null;
  readonly runtimeKey: string;
  /** The original's one key of all agents; null disables it for `POST /agent/heartbeat`. */
  readonly sharedAgentKey: string | null;
  /** The remote control plane that a runtime-only process asks, unless people set another; null where none is named. */
  readonly controlPlaneUrl: string | null;
  /** Ed25519; signs the certificates of nodes, and seals the secrets in the database. */
  readonly signingKey: KeyObject;
  /** The address that browsers use, without a final slash; null where no proxy is named. */
  readonly publicUrl: string | null;
  /** The path of `publicUrl`, below which browsers find everything: `/membridge`, or '' at the root of the host. */
  readonly basePath: string;
  /** The addresses that agents receive at enrolment. */
  readonly agents: {
    readonly temporalAddress: string;
    readonly storeEndpoint: string;
    readonly engineWay: AgentEngineWay;
    readonly storeWay: AgentStoreWay;
  };
  /** How many proxies stand in front. That many entries of X-Forwarded-For are trusted for the client's address. */
  readonly trustProxy: number;
  /** Whether a request that reached the proxy by plain HTTP is sent to https. */
  readonly redirectsToHttps: boolean;
  /** How long browsers must use only https for this host name, in seconds; 0: no such rule. */
  readonly hstsSeconds: number;
  /** The most requests from one address. */
  readonly requestsPerMinute: number;
  /** Hosts that projects may be cloned from (`*.example.org` covers every name below); empty: all. */
  readonly gitHosts: readonly string[];
  /** Hosts that webhooks may call (`*.example.org` covers every name below); empty: all of the public internet. */
  readonly webhookHosts: readonly string[];
  readonly webDir: string;
  /** host:port on which the worker's own Prometheus metrics are served, or null for none. */
  readonly workerMetricsAddress: string | null;
  readonly logLevel: string;
}

/** A setting is absent when its name is missing or its value is empty, as env files write it. */
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional());
const withDefault = <T extends z.ZodType>(schema: T, value: z.input<T>) =>
  z.preprocess((given) => (given === undefined || given === '' ? value : given), schema);

const postgresUrl = /^postgres(ql)?:\/\//;
const required = z.string({ error: 'is not set' }).min(1, 'is empty');
/** The shortest key of ours, in characters. A random one of this length cannot be guessed over a network. */
const MIN_KEY_CHARS = 16;
const port = z.coerce.number().int().min(0).max(65_535);
const hostPort = z.string().regex(/^[^\s:/]+:\d{1,5}$/, 'must be host:port');
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' });
const roles = z.string().transform((value, context) => {
  const parsed = parseRoles(value);
  if (parsed !== null) return parsed;
  context.addIssue({ code: 'custom', message: 'must be "control", "runtime" or "control,runtime"' });
  return z.NEVER;
});
const publicUrl = z.string().transform((value, context) => {
  const url = parseBaseUrl(value);
  const objection =
    url === null
      ? 'must be an http(s) URL without a user name, query or fragment'
      : objectToBasePath(parseBasePath(url));
  if (url !== null && objection === null) return url;
  context.addIssue({ code: 'custom', message: objection ?? 'cannot be used' });
  return z.NEVER;
});
const flag = z.enum(['0', '1', 'true', 'false']).transform((value) => value === '1' || value === 'true');

const Environment = z.object({
  MEMBRIDGE_ROLES: withDefault(roles, 'control,runtime'),
  DATABASE_URL: required.regex(postgresUrl, 'must start with postgresql://'),
  DATABASE_DIRECT_URL: optional(z.string().regex(postgresUrl, 'must start with postgresql://')),
  DATABASE_OWNER_URL: optional(z.string().regex(postgresUrl, 'must start with postgresql://')),
  TEMPORAL_ADDRESS: withDefault(hostPort, '127.0.0.1:7233'),
  TEMPORAL_NAMESPACE: withDefault(z.string(), 'default'),
  TEMPORAL_UI_URL: optional(httpUrl),
  TEMPORAL_UI_ORIGIN: optional(httpUrl),
  MINIO_ENDPOINT: required,
  MINIO_PORT: withDefault(port, '9000'),
  MINIO_USE_SSL: withDefault(flag, '0'),
  MINIO_ACCESS_KEY: required,
  MINIO_SECRET_KEY: required,
  MINIO_REGION: withDefault(z.string(), 'us-east-1'),
  MINIO_BUCKET: withDefault(z.string(), 'claude-memory'),
  MEMBRIDGE_HOST: withDefault(z.string(), '127.0.0.1'),
  MEMBRIDGE_TLS_CERT: optional(z.string()),
  MEMBRIDGE_TLS_KEY: optional(z.string()),
  MEMBRIDGE_PORT: optional(port),
  PORT: optional(port),
  MEMBRIDGE_ADMIN_KEY: optional(z.string()),
  MEMBRIDGE_SERVER_URL: optional(z.string()),
  RUNTIME_API_KEY: required,
  MEMBRIDGE_AGENT_KEY: optional(z.string()),
  MEMBRIDGE_SIGNING_KEY: required.transform(parseSigningKey),
  MEMBRIDGE_PUBLIC_URL: optional(publicUrl),
  MEMBRIDGE_AGENT_TEMPORAL_ADDRESS: optional(hostPort),
  MEMBRIDGE_AGENT_MINIO_ENDPOINT: optional(httpUrl),
  MEMBRIDGE_AGENT_ENGINE: withDefault(AgentEngineWay, 'direct'),
  MEMBRIDGE_AGENT_STORE: withDefault(AgentStoreWay, 'direct'),
  MEMBRIDGE_TRUST_PROXY: withDefault(z.coerce.number().int().min(0).max(10), '0'),
  MEMBRIDGE_HTTPS_REDIRECT: optional(flag),
  MEMBRIDGE_HSTS_SECONDS: withDefault(z.coerce.number().int().min(0).max(63_072_000), '0'),
  MEMBRIDGE_REQUESTS_PER_MINUTE: withDefault(z.coerce.number().int().min(60).max(10_000_000), '1200'),
  MEMBRIDGE_GIT_HOSTS: optional(z.string()),
  MEMBRIDGE_WEBHOOK_HOSTS: optional(z.string()),
  MEMBRIDGE_WEB_DIR: optional(z.string()),
  MEMBRIDGE_WORKER_METRICS_ADDRESS: optional(hostPort),
  LOG_LEVEL: withDefault(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']), 'info'),
});

/**
 * Parses the settings of an environment and freezes them.
 * @throws Error naming every setting that is missing, wrong or unknown, and what to do
 */
export function parseConfig(env: NodeJS.ProcessEnv): Config {
  const problems = describeUnknownSettings(Object.keys(env));
  const parsed = Environment.safeParse(env);
  if (!parsed.success) {
    problems.push(...parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`));
  } else {
    problems.push(
      ...findRoleProblems(parsed.data),
      ...findShortKeys(parsed.data),
      ...findHalfPair(parsed.data),
    );
  }
  if (!parsed.success || problems.length > 0) {
    throw new Error(`The settings cannot be used:\n- ${problems.join('\n- ')}`);
  }
  const { data } = parsed;
  const endpoint = storeEndpoint(data.MINIO_ENDPOINT, data.MINIO_PORT, data.MINIO_USE_SSL);
  const alone = !data.MEMBRIDGE_ROLES.has('control');
  return Object.freeze({
    roles: data.MEMBRIDGE_ROLES,
    databaseUrl: data.DATABASE_URL,
    databaseDirectUrl: data.DATABASE_DIRECT_URL ?? null,
    databaseOwnerUrl: data.DATABASE_OWNER_URL ?? null,
    engine: Object.freeze({ address: data.TEMPORAL_ADDRESS, namespace: data.TEMPORAL_NAMESPACE }),
    temporalUi: resolveTemporalUi(data),
    temporalUiOrigin: data.TEMPORAL_UI_ORIGIN ?? null,
    store: Object.freeze({
      endpoint,
      region: data.MINIO_REGION,
      bucket: data.MINIO_BUCKET,
      access_key: data.MINIO_ACCESS_KEY,
      secret_key: data.MINIO_SECRET_KEY,
    }),
    host: data.MEMBRIDGE_HOST,
    tls: readTlsFiles(data),
    port: data.MEMBRIDGE_PORT ?? data.PORT ?? 8_000,
    adminKey: data.MEMBRIDGE_ADMIN_KEY ?? null,
    runtimeKey: data.RUNTIME_API_KEY,
    sharedAgentKey: data.MEMBRIDGE_AGENT_KEY ?? null,
    // In a process with its own control plane, this setting is the agent's.
    controlPlaneUrl: alone ? parseBaseUrl(data.MEMBRIDGE_SERVER_URL ?? '') : null,
    signingKey: data.MEMBRIDGE_SIGNING_KEY,
    publicUrl: data.MEMBRIDGE_PUBLIC_URL ?? null,
    basePath: parseBasePath(data.MEMBRIDGE_PUBLIC_URL ?? null),
    agents: Object.freeze({
      temporalAddress: data.MEMBRIDGE_AGENT_TEMPORAL_ADDRESS ?? data.TEMPORAL_ADDRESS,
      storeEndpoint: data.MEMBRIDGE_AGENT_MINIO_ENDPOINT ?? endpoint,
      engineWay: data.MEMBRIDGE_AGENT_ENGINE,
      storeWay: data.MEMBRIDGE_AGENT_STORE,
    }),
    trustProxy: data.MEMBRIDGE_TRUST_PROXY,
    redirectsToHttps: data.MEMBRIDGE_HTTPS_REDIRECT ?? env['NODE_ENV'] === 'production',
    hstsSeconds: data.MEMBRIDGE_HSTS_SECONDS,
    requestsPerMinute: data.MEMBRIDGE_REQUESTS_PER_MINUTE,
    gitHosts: splitNames(data.MEMBRIDGE_GIT_HOSTS),
    webhookHosts: splitNames(data.MEMBRIDGE_WEBHOOK_HOSTS),
    webDir: data.MEMBRIDGE_WEB_DIR ?? fileURLToPath(new URL('../dist/web', import.meta.url)),
    workerMetricsAddress: data.MEMBRIDGE_WORKER_METRICS_ADDRESS ?? null,
    logLevel: data.LOG_LEVEL,
  });
}

/** Returns the address of Temporal's page: behind our own sign-in where we know its origin, otherwise as set. */
function resolveTemporalUi(data: z.infer<typeof Environment>): string | null {
  if (data.TEMPORAL_UI_ORIGIN === undefined) return data.TEMPORAL_UI_URL ?? null;
  return `${data.MEMBRIDGE_PUBLIC_URL ?? ''}${TEMPORAL_PAGE}`;
}

function readTlsFiles(data: z.infer<typeof Environment>): TlsFiles | null {
  const { MEMBRIDGE_TLS_CERT: certFile, MEMBRIDGE_TLS_KEY: keyFile } = data;
  return certFile === undefined || keyFile === undefined ? null : Object.freeze({ certFile, keyFile });
}

/** Names the missing half of a certificate and its key. */
function findHalfPair(data: z.infer<typeof Environment>): string[] {
  const pair = ['MEMBRIDGE_TLS_CERT', 'MEMBRIDGE_TLS_KEY'] as const;
  const missing = pair.filter((name) => data[name] === undefined);
  return missing.length === 1
    ? [`${missing[0] ?? ''} is not set; HTTPS needs the certificate and its key`]
    : [];
}

/** Splits a list of names, separated by commas or spaces. */
const splitNames = (list = ''): readonly string[] =>
  Object.freeze(list.split(/[\s,]+/).filter((name) => name !== ''));

/**
 * Names keys that are too short to check callers against. A runtime-only process has no admin key of its own: its
 * setting is the remote one's.
 */
function findShortKeys(data: z.infer<typeof Environment>): string[] {
  const own: (keyof typeof data)[] = ['RUNTIME_API_KEY', 'MEMBRIDGE_AGENT_KEY'];
  if (data.MEMBRIDGE_ROLES.has('control')) own.push('MEMBRIDGE_ADMIN_KEY');
  return own
    .filter((name) => typeof data[name] === 'string' && data[name].length < MIN_KEY_CHARS)
    .map(
      (name) =>
        `${name} has fewer than ${MIN_KEY_CHARS} characters and could be guessed; make a new one with "openssl rand -hex 32"`,
    );
}

/** Returns what the other settings lack for the chosen roles. */
function findRoleProblems(data: z.infer<typeof Environment>): string[] {
  if (data.MEMBRIDGE_ROLES.has('control')) {
    return data.MEMBRIDGE_ADMIN_KEY === undefined ? ['MEMBRIDGE_ADMIN_KEY is not set'] : [];
  }
  const url = data.MEMBRIDGE_SERVER_URL;
  return url !== undefined && parseBaseUrl(url) === null
    ? ['MEMBRIDGE_SERVER_URL must be an http(s) URL without a user name, query or fragment']
    : [];
}

/** Reads the store's address. The original's control plane took a full URL, its runtime a host with MINIO_PORT: both work. */
function storeEndpoint(given: string, port: number, useSsl: boolean): string {
  if (/^https?:\/\//.test(given)) return given.replace(/\/+$/, '');
  const host = given.includes(':') ? given : `${given}:${port}`;
  return `${useSsl ? 'https' : 'http'}://${host}`;
}

function parseSigningKey(value: string, context: z.RefinementCtx): KeyObject {
  try {
    const key = createPrivateKey({ key: Buffer.from(value, 'base64'), format: 'der', type: 'pkcs8' });
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Falls through to our own message; the parser's would not help.
  }
  context.addIssue({ code: 'custom', message: 'must be an Ed25519 private key, PKCS#8 DER in base64' });
  return z.NEVER;
}
