import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MESSAGES, llmTaskId } from '../../contract/names.ts';
import { startTestMachine, type TestMachine } from '../support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../support/control-plane.ts';

const SOON = { timeout: 20_000, interval: 50 };

let test: TestPlane;
let folder: string;
let machine: TestMachine;

/** Stands in for any command-line program; its prompt says what it does. */
const PROGRAM = `
let prompt = '';
for await (const piece of process.stdin) prompt += piece;
const [verb, ...rest] = prompt.trim().split(' ');
const said = rest.join(' ');
if (verb === 'say') process.stdout.write(said);
else if (verb === 'fail') { process.stderr.write(said); process.exit(3); }
else if (verb === 'wait') { process.stdout.write('waiting\\n'); setTimeout(() => process.stdout.write('done'), Number(said)); }
`;

beforeAll(async () => {
  test = await startTestPlane();
  folder = mkdtempSync(join(tmpdir(), 'membridge-tasks-'));
  const program = join(folder, 'program.mjs');
  writeFileSync(program, PROGRAM);
  machine = await startTestMachine(test, {
    folder,
    id: 'a',
    env: { MEMBRIDGE_RUNNER: JSON.stringify([process.execPath, program]), MEMBRIDGE_MAX_CONCURRENCY: '2' },
  });
});
afterAll(async () => {
  await machine.service.stop();
  await test.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function make(prompt: string, body: Record<string, unknown> = {}): Promise<string> {
  const answer = await test.call('POST', '/api/runtime/llm-tasks', {
    body: { prompt, auto_dispatch: true, ...body },
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return String(answer.body['id']);
}
const get = async (id: string) => (await test.call('GET', `/api/runtime/llm-tasks/${id}`)).body;
const post = (id: string, what: string, body: unknown = {}) =>
  test.call('POST', `/api/runtime/llm-tasks/${id}/${what}`, { body });
const list = async (path: string) =>
  (await test.call('GET', `/api/runtime/${path}`)).body as unknown as Record<string, unknown>[];

describe('a task on an agent', () => {
  it('runs, and leaves its result, its artifacts and its history', async () => {
    const id = await make('say hello world');
    await expect
      .poll(() => get(id), SOON)
      .toMatchObject({ status: 'completed', worker_id: 'a', attempts: 1 });
    const [result] = await list(`llm-tasks/${id}/results`);
    expect(result).toMatchObject({ status: 'success', output: 'hello world', worker_id: 'a' });
    const artifacts = await list(`artifacts?task_id=${id}`);
    expect(new Set(artifacts.map(({ type }) => type))).toEqual(new Set(['LLM_RESULT', 'LOG']));
    const [lease] = await list(`llm-tasks/${id}/leases`);
    expect(lease).toMatchObject({ status: 'released', epoch: 1, kind: 'agent', end_reason: 'completed' });
  });

  it('is retried after a failure, and is dead after its last attempt', async () => {
    const id = await make('fail no such luck', { max_attempts: 2 });
    await expect
      .poll(() => get(id), SOON)
      .toMatchObject({ status: 'dead', attempts: 2, error_code: 'program_failed' });
    expect(String((await get(id))['error_message'])).toContain('no such luck');
    expect(await list(`llm-tasks/${id}/leases`)).toHaveLength(2);
    const again = await post(id, 'requeue');
    expect(again.body).toMatchObject({ status: 'queued', attempts: 0 });
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'dead', epoch: 4 });
  });

  it('keeps its lease for as long as its program runs', async () => {
    const id = await make('wait 14000', { lease_ttl_seconds: 5 });
    await expect
      .poll(() => get(id), { timeout: 40_000, interval: 200 })
      .toMatchObject({ status: 'completed', attempts: 1 });
    expect(await list(`llm-tasks/${id}/leases`)).toHaveLength(1);
  });

  it('is cancelled when its program is dead', async () => {
    const id = await make('wait 60000');
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'running' });
    const asked = await post(id, 'cancel');
    expect(asked.status).toBe(200);
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'cancelled' });
  });

  it('is dispatched as in the original, with the program’s answer', async () => {
    const id = await make('say yes', { auto_dispatch: false });
    expect(await get(id)).toMatchObject({
      status: 'queued',
      waiting: { reason: 'waits to be dispatched or leased' },
    });
    const answer = await post(id, 'dispatch');
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body).toMatchObject({
      dispatched: true,
      worker_id: 'a',
      execution: { ok: true, output: 'yes', returncode: 0 },
    });
  });

  it('is claimed only by the node that it was given to', async () => {
    const id = await make('say hello', { pool: 'nobody' });
    const { client } = test.plane.deps.engine;
    const claim = client.workflow
      .getHandle(llmTaskId(id))
      .executeUpdate(MESSAGES.claimTask, { args: [{ epoch: 1, token: '1.7', worker: 'a' }] });
    await expect(claim).rejects.toMatchObject({ cause: { type: 'conflict' } });
    expect(await get(id)).toMatchObject({ status: 'queued', attempts: 0 });
    expect((await post(id, 'requeue')).status).toBe(409);
    expect((await post(id, 'cancel')).body).toMatchObject({ status: 'cancelled' });
  });

  it('is not ended by a result that names no lease while an agent has it', async () => {
    const id = await make('wait 60000');
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'running' });
    const said = await post(id, 'complete', { status: 'success', output: 'not mine' });
    expect([said.status, String(said.body['error'])]).toEqual([409, expect.stringContaining('which lease')]);
    // A result that names the lease ends it, and its program with it.
    const epoch = Number((await get(id))['epoch']);
    const done = await post(id, 'complete', { status: 'success', output: 'enough', epoch });
    expect(done.body['task']).toMatchObject({ status: 'completed' });
    await expect
      .poll(async () => (await list('workers')).find((node) => node['id'] === 'a'), SOON)
      .toMatchObject({ active_leases: 0 });
  });

  it('shows its program’s output live', async () => {
    const id = await make('wait 1500');
    const output = async () => {
      const { body } = await test.call('GET', `/api/runtime/llm-tasks/${id}/output`);
      return (body['chunks'] as { text: string }[]).map(({ text }) => text).join('');
    };
    await expect.poll(output, SOON).toBe('waiting\n');
    expect((await get(id))['status']).toBe('running');
    await expect.poll(output, SOON).toBe('waiting\ndone');
  });
});
