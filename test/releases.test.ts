import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestMachine, type TestMachine } from './support/agent-machine.ts';
import { startGitServers, type GitServers } from './git/servers.ts';
import { startPlaneProcess, type PlaneProcess } from './support/plane-process.ts';
import { taskCalls } from './tasks/calls.ts';
import { writeTaskProgram, type TaskProgram } from './tasks/program.ts';
import { FORMER, formerRelease } from './upgrade/former.ts';

const TODAY = join(import.meta.dirname, '..');
const log = (line: string): void => void process.stderr.write(`${line}\n`);
/** Two releases start and work beside other tests, so everything takes longer. */
const SLOWLY = { timeout: 90_000, interval: 200 };

let folder: string;
let former: string;
let servers: GitServers;
let program: TaskProgram;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-releases-'));
  former = await formerRelease(TODAY, log);
  servers = await startGitServers();
  servers.create('garden');
  program = writeTaskProgram(join(folder, 'program'));
}, 600_000);
afterAll(async () => {
  await servers?.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Plane = Pick<PlaneProcess, 'call' | 'plane' | 'stop'>;

/** Makes a node send its memories, clone a project and run a task. */
async function expectWork(test: Plane, node: string): Promise<void> {
  const { body: space } = await test.call('POST', '/api/membridge/spaces', {
    body: { name: 'everything', projects: ['*'] },
  });
  const body = { action: 'sync', node_id: node };
  await test.call('POST', `/api/membridge/spaces/${String(space['canonical_id'])}/sync`, { body });
  await expect
    .poll(async () => (await test.call('GET', '/api/membridge/jobs?limit=50')).body, SLOWLY)
    .toContainEqual(expect.objectContaining({ agent: node, status: 'completed', error_code: null }));

  const { body: project } = await test.call('POST', '/api/runtime/projects', {
    body: { name: 'garden', repo_url: `${servers.open.url}/garden.git` },
  });
  const path = `/api/runtime/projects/${String(project['id'])}`;
  await test.call('POST', `${path}/propagate`, { body: {} });
  await expect
    .poll(async () => (await test.call('GET', path)).body['nodes'], SLOWLY)
    .toContainEqual(expect.objectContaining({ node_id: node, clone_status: 'cloned' }));

  const tasks = taskCalls(test);
  const id = await tasks.make({ prompt: `say from ${node}`, auto_dispatch: true, worker_id: node });
  await tasks.becomes(id, { status: 'completed', worker_id: node }, SLOWLY.timeout);
  expect((await tasks.results(id))[0]?.output).toBe(`from ${node}`);
}

describe.each([
  { plane: FORMER.release, agent: 'today', id: 'new-agent' },
  { plane: 'today', agent: FORMER.release, id: 'old-agent' },
])('a control plane of $plane and an agent of $agent', ({ plane, agent, id }) => {
  const rootOf = (release: string): string => (release === 'today' ? TODAY : former);
  let test: Plane;
  let machine: TestMachine;
  beforeAll(async () => {
    test = await startPlaneProcess({ root: rootOf(plane), name: `plane-of-${id}`, folder });
    const { MEMBRIDGE_RUNNER, MEMBRIDGE_TASK_SANDBOX } = program.settings;
    const sandbox = agent === 'today' ? { MEMBRIDGE_TASK_SANDBOX } : {};
    const env = { MEMBRIDGE_RUNNER, ...sandbox };
    machine = await startTestMachine(test, { folder, id, observations: 4, env, root: rootOf(agent) });
  }, 180_000);
  afterAll(async () => {
    await machine?.service.stop();
    machine?.db.close();
    await test?.stop();
  });

  it('work together for a sync, a clone and a task', async () => {
    await expectWork(test, id);
  }, 300_000);
});
