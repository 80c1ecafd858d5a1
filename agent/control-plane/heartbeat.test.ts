import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import type { MemoryStatus } from '../../contract/memory/memory.ts';
import { NodeFacts } from '../../contract/nodes/nodes.ts';
import { waitUntil } from '../../demo/fleet.ts';
import { readAgentConfig } from '../config.ts';
import { Heartbeat } from './heartbeat.ts';
import { serverAt } from '../../transport/server.ts';

/** Memory facts as a control plane of 0.4 accepts them; it refuses everything else. */
const Memory04 = z.strictObject({
  path: z.string(),
  state: z.enum(['ready', 'missing', 'corrupt', 'unknown-schema', 'locked', 'starting']),
  detail: z.string().nullable(),
  schema: z.string().nullable(),
  rows: z.null(),
  bytes: z.null(),
  heldDeletes: z.number().optional(),
  heldSegments: z.number().optional(),
  checkedAt: z.number(),
});

/** Node facts as a control plane of 0.4 accepts them. */
const Facts04 = NodeFacts.omit({ spaces: true, task_sandbox: true, work: true }).strict();

let server: Server | null = null;
let heartbeat: Heartbeat | null = null;
afterEach(() => {
  heartbeat?.stop();
  server?.close();
});

/**
 * Starts a control plane that checks memory and node facts with schemas, and an agent's heartbeat to it. @returns the
 * memory facts that it accepted
 */
async function beat(
  schema: z.ZodType,
  status: () => Promise<MemoryStatus>,
  factsSchema: z.ZodType = NodeFacts,
): Promise<unknown[]> {
  const taken: unknown[] = [];
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as { memory: unknown; facts: unknown };
      const isTaken = schema.safeParse(body.memory).success && factsSchema.safeParse(body.facts).success;
      if (isTaken) taken.push(body.memory);
      response.writeHead(isTaken ? 200 : 400, { 'Content-Type': 'application/json' });
      const answer = { ok: true, now: Date.now(), spaces: [], drained: false };
      response.end(JSON.stringify(isTaken ? answer : { detail: 'memory: unknown fields' }));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  heartbeat = new Heartbeat({
    server: serverAt(`http://127.0.0.1:${port}`),
    agentKey: 'key',
    url: '',
    dryrun: false,
    intervalMs: 50,
    databasePath: '/claude-mem.db',
    status,
    sealingKeyIds: () => [],
    onMembership: () => Promise.resolve(),
    onSpaces: () => undefined,
    onWaves: () => undefined,
    onPools: () => undefined,
    tasks: { ...readAgentConfig({}), maxConcurrency: 1, labels: [], spaces: ['garden'] },
    sandbox: { mode: 'none', refuses: false, detail: 'bwrap is not installed' },
    leases: () => [],
    work: () => ({
      queues: [],
      engine: null,
      store: null,
      clock_ahead_ms: 0,
      program: null,
      waits: [],
    }),
    onDrained: () => undefined,
    log: pino({ level: 'silent' }),
  });
  heartbeat.start();
  return taken;
}

const FAILING: MemoryStatus = {
  path: '/claude-mem.db',
  state: 'failing',
  detail: 'Space work: Fetching failed just now: MinIO is away',
  schema: null,
  rows: null,
  bytes: null,
  syncs: [],
  checkedAt: 1,
};

test('reaches a control plane of 0.4, which knows neither the new states nor the new fields', async () => {
  const taken = await beat(Memory04, () => Promise.resolve(FAILING), Facts04);
  await waitUntil('it is taken', 10, () => taken.length > 0);
  expect(taken[0]).toMatchObject({ state: 'locked', detail: FAILING.detail });
  expect(heartbeat?.state.problem).toBeNull();
});

test('does not repeat an old state when the memory thread does not answer', async () => {
  let asked = 0;
  const taken = await beat(z.looseObject({}), () => {
    asked += 1;
    if (asked === 1) return Promise.resolve({ ...FAILING, state: 'ready', detail: null });
    return Promise.reject(new MembridgeError('internal', 'the memory thread ended'));
  });
  await waitUntil('the second one is taken', 10, () => taken.length > 1);
  expect(taken[0]).toMatchObject({ state: 'ready' });
  expect(taken[1]).toMatchObject({
    state: 'failing',
    detail: expect.stringContaining('the memory thread ended'),
  });
});
