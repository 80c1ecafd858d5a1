import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EnrolResponse } from '../../contract/nodes/nodes.ts';
import { errorMessage } from '../../contract/errors.ts';
import { parseLoosely } from '../../contract/http/parse-loosely.ts';
import { generateSealingKey } from '../../memory/format/sealing.ts';

/** The result of this node's enrolment, stored in `<dataDir>/agent.json` (0600). */
const AgentState = z.strictObject({
  server_url: z.string(),
  /** The pin of the control plane's certificate authority; without one, those that the system trusts. */
  server_pin: z.string().optional(),
  /** The node's own Ed25519 key, PKCS#8 PEM: it never leaves this machine. */
  private_key: z.string(),
  enrolment: EnrolResponse,
});
export type AgentState = z.infer<typeof AgentState>;

/** Where the running agent can be reached, stored in `<dataDir>/running.json` for the CLI. */
const RunningAgent = z.strictObject({ pid: z.number().int(), url: z.string() });
export type RunningAgent = z.infer<typeof RunningAgent>;

const statePath = (dataDir: string): string => join(dataDir, 'agent.json');
const runningPath = (dataDir: string): string => join(dataDir, 'running.json');

/** Returns the stored state, or null before the first enrolment. @throws Error naming the file when it cannot be read */
export function readState(dataDir: string): AgentState | null {
  return readJson(statePath(dataDir), AgentState);
}

export function writeState(dataDir: string, state: AgentState): void {
  writeJson(statePath(dataDir), state);
}

export function readRunning(dataDir: string): RunningAgent | null {
  return readJson(runningPath(dataDir), RunningAgent);
}

export function writeRunning(dataDir: string, running: RunningAgent): void {
  writeJson(runningPath(dataDir), running);
}

/** The last result of `membridge doctor store`, kept in `<dataDir>/store-report.json`. */
const StoreReport = z.strictObject({
  endpoint: z.string(),
  /** Epoch ms. */
  at: z.number(),
  ifNoneMatch: z.string(),
  ifMatch: z.string(),
});
export type StoreReport = z.infer<typeof StoreReport>;

const storeReportPath = (dataDir: string): string => join(dataDir, 'store-report.json');

export function readStoreReport(dataDir: string): StoreReport | null {
  return readJson(storeReportPath(dataDir), StoreReport);
}

export function writeStoreReport(dataDir: string, report: StoreReport): void {
  writeJson(storeReportPath(dataDir), report);
}

/** This node's X25519 keys in PEM, the present one first, kept in `<dataDir>/sealing-keys.json` (0600). */
const SealingKeys = z.array(z.string()).min(1);

const sealingPath = (dataDir: string): string => join(dataDir, 'sealing-keys.json');

/** Returns the sealing keys; makes one when there is none. @throws Error naming the file when it cannot be read */
export function readSealingKeys(dataDir: string): string[] {
  return readJson(sealingPath(dataDir), SealingKeys) ?? rotateSealingKey(dataDir);
}

/** Makes a new sealing key the present one. The former ones stay, to read what was sealed for them. */
export function rotateSealingKey(dataDir: string): string[] {
  const former = readJson(sealingPath(dataDir), SealingKeys) ?? [];
  const keys = [generateSealingKey().pem, ...former];
  writeJson(sealingPath(dataDir), keys);
  return keys;
}

function readJson<T>(path: string, schema: z.ZodType<T>): T | null {
  if (!existsSync(path)) return null;
  try {
    // A later version may have written more fields; after a downgrade the node must still be enrolled.
    return parseLoosely(schema, JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new Error(
      `${path} cannot be read (${errorMessage(error)}). Move it away and enrol this node again with a new token.`,
      { cause: error },
    );
  }
}

/** Writes a whole file or none: after a crash the old one remains. */
function writeJson(path: string, value: unknown): void {
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
  const draft = `${path}.new`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}
