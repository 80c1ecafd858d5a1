import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Node } from '../../contract/nodes/nodes.ts';
import { startTestMachine, type TestMachine } from '../support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { openCutLine, type CutLine } from '../support/cut-line.ts';
import { SOON, taskCalls, type TaskCalls } from './calls.ts';
import { writeTaskProgram, type TaskProgram } from './program.ts';

let test: TestPlane;
let tasks: TaskCalls;
let folder: string;
let program: TaskProgram;
let store: CutLine;
let engine: CutLine;
const agents: TestMachine[] = [];

/** Agents reach the object store and Temporal through their own lines, which tests cut. */
beforeAll(async () => {
  const parts = inject('parts');
  store = await openCutLine(new URL(parts.minio.endpoint).host);
  engine = await openCutLine(parts.temporal.address);
  test = await startTestPlane({
    env: {
      MEMBRIDGE_AGENT_MINIO_ENDPOINT: `http://${store.address}`,
      MEMBRIDGE_AGENT_TEMPORAL_ADDRESS: engine.address,
      MEMBRIDGE_REQUESTS_PER_MINUTE: '100000',
    },
  });
  tasks = taskCalls(test);
  folder = mkdtempSync(join(tmpdir(), 'membridge-task-ability-'));
  program = writeTaskProgram(join(folder, 'program'));
});
afterAll(async () => {
  for (const { service, db } of agents) {
    await service.stop();
    db.close();
  }
  await test.stop();
  for (const line of [store, engine]) line.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(id: string, env: Record<string, string> = program.settings): Promise<TestMachine> {
  const settings = { MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: '1', ...env };
  const machine = await startTestMachine(test, { folder, id, observations: 1, env: settings });
  agents.push(machine);
  return machine;
}
const node = async (id: string): Promise<Node> => {
  const { body } = await test.call('GET', '/api/runtime/workers');
  const found = (body as unknown as Node[]).find((each) => each.id === id);
  if (found === undefined) throw new Error(`no node ${id}`);
  return found;
};
const expectStanding = async (id: string, sentence: RegExp): Promise<void> => {
  await expect
    .poll(async () => (await node(id)).standing.sentence, SOON)
    .toEqual(expect.stringMatching(sentence));
};
const make = (prompt: string, worker: string): Promise<string> =>
  tasks.make({ prompt, auto_dispatch: true, worker_id: worker });

describe('a node that cannot work', () => {
  it('gets no task while the object store is away, and runs it once when the store is back', async () => {
    await start('a');
    await expectStanding('a', /^online, takes work$/);
    store.cut();
    await expectStanding('a', /^online, does not take work: it does not reach the object store/);
    expect((await node('a')).status).toBe('online');
    const id = await make('say once', 'a');
    await expect
      .poll(async () => (await tasks.get(id)).waiting?.reason, SOON)
      .toMatch(/^node a is online, does not take work: it does not reach the object store/);
    expect(program.starts(id)).toEqual([]);
    store.mend();
    await tasks.becomes(id, { status: 'completed' }, 60_000);
    expect(program.starts(id)).toHaveLength(1);
    await expectStanding('a', /^online, takes work$/);
  }, 180_000);

  it('shows that a result waits for the object store, and repeats nothing when it is back', async () => {
    const id = await make('hold waiting', 'a');
    await program.started(id);
    store.cut();
    program.go('waiting');
    await expectStanding('a', new RegExp(`the result of ${id} waits for the object store$`));
    store.mend();
    await tasks.becomes(id, { status: 'completed' }, 60_000);
    expect(program.starts(id)).toHaveLength(1);
  }, 180_000);

  it('reports that it does not reach Temporal, and takes work again when it does', async () => {
    engine.cut();
    await expectStanding('a', /^online, does not take work: it does not reach Temporal/);
    engine.mend();
    await expectStanding('a', /^online, takes work$/);
  }, 180_000);

  it.each([
    { id: 'early', minutes: 16, way: 'ahead' },
    { id: 'late', minutes: -20, way: 'behind' },
  ])(
    'shows that its clock is $minutes minutes off, and gets nothing to do',
    async ({ id: name, minutes, way }) => {
      const shift = `const now = Date.now; Date.now = () => now() + ${minutes} * 60_000;`;
      const real =
        'const Real = Date; globalThis.Date = class extends Real { constructor(...a) { super(...(a.length ? a : [Real.now()])); } };';
      const file = join(folder, `clock-${name}.mjs`);
      writeFileSync(file, `${shift}\n${real}\n`);
      await start(name, { ...program.settings, NODE_OPTIONS: `--import=${file}` });
      const words = `the clock of node ${name} is ${Math.abs(minutes)} minutes off (${way})`;
      await expectStanding(
        name,
        new RegExp(`^online, does not take work: ${words.replaceAll(/[()]/g, '\\$&')}$`),
      );
      const id = await make(`say ${name}`, name);
      await expect.poll(async () => (await tasks.get(id)).waiting?.reason, SOON).toContain(words);
      expect(program.starts(id)).toEqual([]);
      await tasks.post(id, 'cancel', {});
    },
    180_000,
  );
});

describe('a program that is installed after the agent started', () => {
  it('is found, and the node takes tasks without a restart', async () => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    const [file, ...args] = JSON.parse(program.settings.MEMBRIDGE_RUNNER) as string[];
    const later = join(bin, 'later');
    const env = { ...program.settings, MEMBRIDGE_RUNNER: JSON.stringify([later, ...args]) };
    await start('fresh', env);
    await expectStanding('fresh', /^online, takes no tasks: the program .*later is not installed on it$/);
    const id = await make('say installed', 'fresh');
    symlinkSync(String(file), later);
    await tasks.becomes(id, { status: 'completed' }, 60_000);
    await expectStanding('fresh', /^online, takes work$/);
  }, 180_000);
});
