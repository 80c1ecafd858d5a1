/** Parts on other machines: reads their addresses from the environment, and tries each once before anything starts. */
import { Client as MinioClient } from 'minio';
import { Client as PostgresClient } from 'pg';
import { probeTemporal } from './temporal.ts';

export interface TemporalAddress {
  address: string;
  namespace: string;
  /** Empty when the address of its web page is unknown. */
  uiUrl: string;
}

export interface MinioAddress {
  /** `http(s)://host:port` */
  endpoint: string;
  accessKey: string;
  secretKey: string;
}

/**
 * Reads DATABASE_URL, with TLS as its sslmode says (hosted PostgreSQL such as Neon).
 * @throws when it does not answer, naming the variable and not the password
 */
export async function externalDatabase(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const url = env.DATABASE_URL;
  if (!url) return undefined;
  if (!URL.canParse(url))
    throw new Error('DATABASE_URL is not an address such as postgres://user:password@host:5432/database.');
  const client = new PostgresClient({ connectionString: url, connectionTimeoutMillis: 15_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
  } catch (error) {
    throw noAnswerError('DATABASE_URL', `PostgreSQL at ${new URL(url).host}`, error);
  } finally {
    await client.end().catch(() => {});
  }
  return url;
}

/**
 * Reads TEMPORAL_ADDRESS, with TEMPORAL_NAMESPACE (default `default`) and TEMPORAL_UI_URL.
 * @throws when it does not answer or has no such namespace
 */
export async function externalTemporal(env: NodeJS.ProcessEnv): Promise<TemporalAddress | undefined> {
  const address = env.TEMPORAL_ADDRESS;
  if (!address) return undefined;
  const namespace = env.TEMPORAL_NAMESPACE || 'default';
  try {
    await probeTemporal(address, namespace, 10);
  } catch (error) {
    throw noAnswerError('TEMPORAL_ADDRESS', `Temporal at ${address} (namespace ${namespace})`, error);
  }
  return { address, namespace, uiUrl: env.TEMPORAL_UI_URL ?? '' };
}

/**
 * Reads MINIO_ENDPOINT as a full URL, or a host with MINIO_PORT and MINIO_USE_SSL; with MINIO_ACCESS_KEY and
 * MINIO_SECRET_KEY.
 * @throws when it does not answer or refuses the keys
 */
export async function externalMinio(env: NodeJS.ProcessEnv): Promise<MinioAddress | undefined> {
  if (!env.MINIO_ENDPOINT) return undefined;
  const url = minioUrl(env.MINIO_ENDPOINT, env);
  const accessKey = env.MINIO_ACCESS_KEY;
  const secretKey = env.MINIO_SECRET_KEY;
  if (!accessKey || !secretKey)
    throw new Error('MINIO_ENDPOINT is set; set MINIO_ACCESS_KEY and MINIO_SECRET_KEY as well.');
  const useSSL = url.protocol === 'https:';
  const port = Number(url.port) || (useSSL ? 443 : 80);
  const client = new MinioClient({ endPoint: url.hostname, port, useSSL, accessKey, secretKey });
  try {
    await client.listBuckets();
  } catch (error) {
    // Keys that may use a bucket without listing all of them are valid: the store answered, and knew them.
    if ((error as { code?: string }).code !== 'AccessDenied')
      throw noAnswerError('MINIO_ENDPOINT', `The object store at ${url.origin}`, error);
  }
  return { endpoint: url.origin, accessKey, secretKey };
}

function minioUrl(endpoint: string, env: NodeJS.ProcessEnv): URL {
  const isUrl = /^https?:\/\//.test(endpoint);
  const scheme = env.MINIO_USE_SSL === 'true' || env.MINIO_USE_SSL === '1' ? 'https' : 'http';
  const port = /:\d+$/.test(endpoint) ? '' : `:${env.MINIO_PORT || '9000'}`;
  const text = isUrl ? endpoint : `${scheme}://${endpoint}${port}`;
  if (!URL.canParse(text))
    throw new Error(
      `MINIO_ENDPOINT is "${endpoint}"; it must be an address such as https://minio.example.com:9000.`,
    );
  return new URL(text);
}

function noAnswerError(variable: string, what: string, error: unknown): Error {
  const reason =
    error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error);
  return new Error(
    `${what} does not answer as ${variable} says it should: ${reason}. Correct ${variable}, or remove it to run that part here.`,
    {
      cause: error,
    },
  );
}
