import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { errorMessage } from '../contract/errors.ts';
import { readAgentConfig } from './config.ts';
import { readRunning, readState } from './state.ts';

const USAGE = `membridge: this machine's part in the fleet's memory

  membridge sync    [--project NAME] [--json]   send what is new here, fetch what is new elsewhere
  membridge push    [--project NAME] [--json]   only send
  membridge pull    [--project NAME] [--json]   only fetch
  membridge status  [--json]                    what this node holds and takes part in
  membridge doctor  [--json]                    look at everything the sync stands on

Without --project the command is for every space of this node. The agent must run (npm start).
The agent's data is looked for in MEMBRIDGE_AGENT_DATA_DIR, else in this checkout's .membridge/agent (npm start), else in
~/.membridge.`;

/** A sync may take as long as the agent waits for it, and a little more (milliseconds). */
const TIMEOUT_MS = 150_000;

const Status = z.looseObject({
  ok: z.boolean(),
  hostname: z.string(),
  detail: z.string(),
  db_path: z.string(),
  memory: z.looseObject({
    schema: z.string().nullable(),
    rows: z.record(z.string(), z.number()).nullable(),
  }),
  spaces: z.array(z.object({ cid: z.string(), projectId: z.string(), projects: z.array(z.string()) })),
});
const Sync = z.looseObject({ ok: z.boolean(), detail: z.string() });
const Doctor = z.looseObject({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })),
});

/** Runs one command. @returns the process's exit code: 0 done, 1 the thing asked for failed, 2 wrong usage */
async function run(argv: string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      project: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [command, ...rest] = positionals;
  if (values.help || command === undefined || command === 'help') {
    print(USAGE);
    return values.help || command === 'help' ? 0 : 2;
  }
  if (rest.length > 0) throw new UsageError(`"${rest.join(' ')}" is not understood after "${command}"`);
  switch (command) {
    case 'push':
    case 'pull':
    case 'sync':
      return await sync(command, values.project, values.json);
    case 'status':
      return await status(values.json);
    case 'doctor':
      return await doctor(values.json);
    default:
      throw new UsageError(`there is no command "${command}"`);
  }
}

async function sync(
  action: 'push' | 'pull' | 'sync',
  project: string | undefined,
  json: boolean,
): Promise<number> {
  const projects =
    project === undefined
      ? Status.parse(await call('GET', '/status')).spaces.map((space) => space.projectId)
      : [project];
  if (projects.length === 0) {
    throw new Error('This node takes part in no space yet. Create one on the page (Membridge, "New space").');
  }
  let failed = false;
  for (const name of projects) {
    const path = action === 'sync' ? '/sync' : `/sync/${action}`;
    const answer = await call('POST', path, { project: name });
    const { ok, detail } = Sync.parse(answer);
    failed ||= !ok;
    print(json ? JSON.stringify(answer) : `${ok ? 'ok    ' : 'failed'}  ${name}: ${detail}`);
  }
  return failed ? 1 : 0;
}

async function status(json: boolean): Promise<number> {
  const answer = await call('GET', '/status');
  if (json) {
    print(JSON.stringify(answer));
    return 0;
  }
  const { ok, hostname, detail, db_path, memory, spaces } = Status.parse(answer);
  const rows = Object.entries(memory.rows ?? {}).map(([kind, count]) => `${count} ${kind}`);
  print(`host     ${hostname}`);
  print(`memory   ${db_path}: ${memory.schema ?? detail}`);
  if (rows.length > 0) print(`rows     ${rows.join(', ')}`);
  for (const space of spaces)
    print(`space    ${space.projectId} (${space.cid}): ${space.projects.join(', ')}`);
  return ok ? 0 : 1;
}

async function doctor(json: boolean): Promise<number> {
  const answer = await call('GET', '/doctor');
  const { ok, checks } = Doctor.parse(answer);
  if (json) print(JSON.stringify(answer));
  else for (const check of checks) print(`${check.ok ? 'ok    ' : 'FAILED'}  ${check.name}: ${check.detail}`);
  return ok ? 0 : 1;
}

/** Calls this machine's agent. @throws Error saying what to do when it does not run or refuses */
async function call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const dataDir = findDataDir();
  const state = readState(dataDir);
  const running = readRunning(dataDir);
  if (state === null || running === null) {
    throw new Error(`No agent was ever started with its data in ${dataDir}. Start it with "npm start".`);
  }
  let response: Response;
  try {
    response = await fetch(`${running.url}${path}`, {
      method,
      headers: { 'X-MEMBRIDGE-AGENT': state.enrolment.agent_key, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw new Error(`The agent does not answer at ${running.url}. Start it with "npm start".`, { cause });
  }
  const answer: unknown = await response.json();
  if (!response.ok) {
    const { detail } = z.looseObject({ detail: z.string() }).parse(answer);
    throw new Error(detail);
  }
  return answer;
}

/** Where this machine's agent keeps its data. */
function findDataDir(): string {
  const inCheckout = join(import.meta.dirname, '..', '.membridge', 'agent');
  const isSet = (process.env['MEMBRIDGE_AGENT_DATA_DIR'] ?? '') !== '';
  return !isSet && existsSync(join(inCheckout, 'agent.json'))
    ? inCheckout
    : readAgentConfig(process.env).dataDir;
}

class UsageError extends Error {}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const wrongUse = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  process.stderr.write(`membridge: ${errorMessage(error)}\n${wrongUse ? `\n${USAGE}\n` : ''}`);
  process.exitCode = wrongUse ? 2 : 1;
}
