/** Secrets that this machine generates and stores in files that only their owner can read. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ServerSecrets {
  /** For the control-plane paths, header X-MEMBRIDGE-ADMIN: 32 random bytes in hex. */
  MEMBRIDGE_ADMIN_KEY: string;
  /** For the runtime paths, header X-Runtime-API-Key: 32 random bytes in hex. */
  RUNTIME_API_KEY: string;
  /** Signs what agents must trust: an Ed25519 private key, PKCS#8 DER in base64. */
  MEMBRIDGE_SIGNING_KEY: string;
}

const makers: Record<keyof ServerSecrets, () => string> = {
  MEMBRIDGE_ADMIN_KEY: randomKey,
  RUNTIME_API_KEY: randomKey,
  MEMBRIDGE_SIGNING_KEY: () =>
    generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
};

/**
 * Loads the server's secrets: from the environment, otherwise from `<dataDir>/server.env`, otherwise generated now
 * and written there.
 * @returns all three; values from the environment are not written to the file
 */
export function loadServerSecrets(dataDir: string, env: NodeJS.ProcessEnv = process.env): ServerSecrets {
  const file = join(dataDir, 'server.env');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  const kept = new Map(lines.filter((line) => /^\w+=/.test(line)).map(splitAtEquals));
  const made: string[] = [];
  const entries = Object.entries(makers).map(([name, make]) => {
    const known = env[name] || kept.get(name);
    if (known) return [name, known];
    const value = make();
    made.push(`${name}=${value}`);
    return [name, value];
  });
  if (made.length > 0) writePrivately(file, `${[...lines, ...made].join('\n').trimStart()}\n`);
  return Object.fromEntries(entries) as ServerSecrets;
}

export interface StackSecrets {
  postgresPassword: string;
  postgresRuntimePassword: string;
  minioAccessKey: string;
  minioSecretKey: string;
}

/** Loads the keys of the parts that this machine runs, stored in `<dataDir>/stack.json`; generated the first time. */
export function loadStackSecrets(dataDir: string): StackSecrets {
  const file = join(dataDir, 'stack.json');
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Partial<StackSecrets>) : {};
  const secrets = {
    postgresPassword: randomKey(),
    // A file of version 0.4 lacks it.
    postgresRuntimePassword: randomKey(),
    ...newStoreKeys(),
    ...known,
  };
  if (Object.keys(secrets).every((name) => name in known)) return secrets;
  writePrivately(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

/** Replaces the keys of MinIO in `<dataDir>/stack.json`. */
export function replaceStoreKeys(dataDir: string): void {
  const secrets = { ...loadStackSecrets(dataDir), ...newStoreKeys() };
  writePrivately(join(dataDir, 'stack.json'), `${JSON.stringify(secrets, null, 2)}\n`);
}

function newStoreKeys(): Pick<StackSecrets, 'minioAccessKey' | 'minioSecretKey'> {
  return { minioAccessKey: randomBytes(10).toString('hex'), minioSecretKey: randomKey() };
}

function randomKey(): string {
  return randomBytes(32).toString('hex');
}

function splitAtEquals(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

function writePrivately(file: string, text: string): void {
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
