import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { readAgentConfig } from '../config.ts';
import { readRunning, readState } from '../control-plane/state.ts';

/** Longer than the agent waits for a sync, in milliseconds. */
const TIMEOUT_MS = 150_000;

const Problem = z.looseObject({ detail: z.string() });
const Line = z.looseObject({
  progress: z.string().optional(),
  problem: Problem.optional(),
  result: z.unknown().optional(),
});

/** Calls this machine's agent. @throws Error saying what to do when it does not run, or refuses */
export async function call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const response = await send(method, path, body, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(Problem.parse(answer).detail);
  return answer;
}

/**
 * Calls this machine's agent for a request that may take long.
 * @param progress receives a line for people now and then
 * @throws Error saying what to do when the agent does not run, refuses, or ends before it answered
 */
export async function callLong(
  path: string,
  body: unknown,
  progress: (text: string) => void,
): Promise<unknown> {
  const response = await send('POST', path, body, { accept: 'application/x-ndjson' });
  const isLines = response.headers.get('Content-Type')?.startsWith('application/x-ndjson') === true;
  if (!isLines) {
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(Problem.parse(answer).detail);
    return answer;
  }
  const stream = Readable.from(response.body ?? []);
  for await (const text of createInterface({ input: stream })) {
    const line = Line.parse(JSON.parse(text));
    if (line.progress !== undefined) progress(line.progress);
    if (line.problem !== undefined) throw new Error(line.problem.detail);
    if ('result' in line) return line.result;
  }
  throw new Error(
    'The agent ended before it answered. Read its log, start it again, and repeat the command.',
  );
}

async function send(
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
  options: { accept?: string; signal?: AbortSignal },
): Promise<Response> {
  const dataDir = findDataDir();
  const state = readState(dataDir);
  const running = readRunning(dataDir);
  if (state === null || running === null) {
    throw new Error(`No agent was ever started with its data in ${dataDir}. Start it with "npm start".`);
  }
  try {
    // The agent of this machine, on loopback.
    // oxlint-disable-next-line no-restricted-globals
    return await fetch(`${running.url}${path}`, {
      method,
      headers: {
        'X-MEMBRIDGE-AGENT': state.enrolment.agent_key,
        'Content-Type': 'application/json',
        Accept: options.accept ?? 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } catch (cause) {
    throw new Error(`The agent does not answer at ${running.url}. Start it with "npm start".`, { cause });
  }
}

/** Returns the folder in which this machine's agent keeps its data. */
function findDataDir(): string {
  const inCheckout = join(import.meta.dirname, '..', '..', '.membridge', 'agent');
  const isSet = (process.env['MEMBRIDGE_AGENT_DATA_DIR'] ?? '') !== '';
  return !isSet && existsSync(join(inCheckout, 'agent.json'))
    ? inCheckout
    : readAgentConfig(process.env).dataDir;
}
