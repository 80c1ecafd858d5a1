import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { leaseKey } from '../../contract/memory/leadership.ts';
import { waitUntil } from '../../demo/fleet.ts';
import { startTestMachine } from '../support/agent-machine.ts';
import {
  ADMIN_KEY,
  RUNTIME_KEY,
  SHARED_AGENT_KEY,
  startTestPlane,
  type Answer,
} from '../support/control-plane.ts';
import { startGitServers } from '../git/servers.ts';
import { at, differences, fill, type OriginalRequest } from './request.ts';

/** Stands in for claude: prints what its prompt says, or fails if that says so. */
const PROGRAM = `
let prompt = '';
for await (const piece of process.stdin) prompt += piece;
const [verb, ...rest] = prompt.trim().split('\\n').at(-1).split(' ');
if (verb === 'say') process.stdout.write(rest.join(' '));
else { process.stderr.write(rest.join(' ')); process.exitCode = 3; }
`;

/** How long a request waits for another machine's work, in seconds. */
const AFTER_S = 20;

/** Waiting tasks, more than the original listed on a page. */
const WAITING_TASKS = 60;

/** A fleet for the original's clients: a control plane, three agents, a git server. */
export interface CompatFleet {
  /** Sends a request as its client would, and keeps what later requests need. @returns the differences from the original */
  play(request: OriginalRequest): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts the fleet. Agent "laptop" has the default settings, "gated" lets scripts run tasks, "dry" is in dry run. */
export async function startCompatFleet(): Promise<CompatFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-compat-'));
  const program = join(folder, 'program.mjs');
  writeFileSync(program, PROGRAM);
  const [plane, servers] = await Promise.all([startTestPlane(), startGitServers()]);
  servers.create('seeds');
  const env = {
    MEMBRIDGE_RUNNER: JSON.stringify([process.execPath, program]),
    MEMBRIDGE_TASK_SANDBOX: 'none',
    MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: '1',
  };
  const processControl = { MEMBRIDGE_ALLOW_PROCESS_CONTROL: '1' };
  const laptop = await startTestMachine(plane, { folder, id: 'laptop', env });
  const gated = await startTestMachine(plane, { folder, id: 'gated', env: { ...env, ...processControl } });
  const dryEnv = { ...env, ...processControl, MEMBRIDGE_AGENT_DRYRUN: '1' };
  const dry = await startTestMachine(plane, { folder, id: 'dry', env: dryEnv });
  const machines = { agent: laptop, 'gated agent': gated, 'dry agent': dry };

  const known = new Map([
    ['git', servers.open.url],
    ['leased', canonicalId('leased')],
  ]);
  await waitUntil('the agents are online', 30, async () => {
    const { body } = await plane.call('GET', '/api/runtime/workers');
    return (body as unknown as { status: string }[]).every(({ status }) => status === 'online');
  });
  // Machines of the original use this bucket already: one of them is primary, in its epoch 41.
  const lease = {
    canonical_id: canonicalId('leased'),
    primary_node_id: 'old-desktop',
    issued_at: 1_771_300_000,
    expires_at: 1_771_303_600,
    lease_seconds: 3_600,
    epoch: 41,
    policy: 'primary_authoritative',
    issued_by: 'old-desktop',
  };
  await plane.plane.deps.store.put(leaseKey(canonicalId('leased')), Buffer.from(JSON.stringify(lease)));
  const tasks = Array.from({ length: WAITING_TASKS }, () => ({ prompt: 'wait' }));
  await plane.call('POST', '/api/runtime/llm-tasks/batch', { body: { tasks } });

  const send = async (
    request: Pick<OriginalRequest, 'method' | 'path' | 'key' | 'at' | 'body' | 'headers'>,
  ) => {
    const machine = request.at === undefined ? null : machines[request.at];
    const path = encodeURI(fill(request.path, known)).replaceAll(/%25/g, '%');
    const options = {
      headers: {
        ...(request.key === 'admin' ? { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY } : {}),
        ...(request.key === 'runtime' ? { 'X-Runtime-API-Key': RUNTIME_KEY } : {}),
        ...(request.key === 'shared' && machine === null ? { 'X-Runtime-API-Key': SHARED_AGENT_KEY } : {}),
        ...(request.key === 'shared' && machine !== null ? { 'X-MEMBRIDGE-AGENT': SHARED_AGENT_KEY } : {}),
        ...(request.key === 'agent' ? { 'X-MEMBRIDGE-AGENT': machine?.key() ?? '' } : {}),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: fill(request.body, known) }),
    };
    if (machine === null) return await plane.call(request.method, path, options);
    return await callAgent(`${machine.url}${path}`, request.method, options);
  };

  return {
    play: async (request) => {
      const { after, saves = {}, differs } = request;
      if (after !== undefined) {
        const { path, reads } = after;
        await waitUntil(`what this needs is there: ${path}`, AFTER_S, async () => {
          const { key } = request;
          const answer = await send({ method: 'GET', path, ...(key === undefined ? {} : { key }) });
          return differences(answer, { status: 200, reads }, known).length === 0;
        });
      }
      const answer = await send(request);
      for (const [name, path] of Object.entries(saves)) {
        const value = at(answer.body, path);
        if (typeof value === 'string') known.set(name, value);
      }
      const { ignored } = request;
      const named = answer.headers.get('X-Membridge-Ignored');
      return [
        ...differences(answer, differs === undefined ? request : { status: differs.status }, known),
        ...(ignored === undefined || ignored === named ? [] : [`${named ?? 'nothing'} is named as ignored`]),
      ];
    },
    stop: async () => {
      for (const machine of Object.values(machines)) {
        await machine.service.stop();
        machine.db.close();
      }
      await Promise.all([plane.stop(), servers.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function callAgent(
  url: string,
  method: string,
  { headers, body }: { headers: Record<string, string>; body?: unknown },
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { ...headers, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const { status, headers: said } = response;
  return { status, headers: said, body: JSON.parse(text === '' ? 'null' : text) as Answer['body'] };
}
