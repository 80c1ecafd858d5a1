import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMachine, waitUntil } from '../demo/fleet.ts';
import { makeMachines, type Machine } from '../demo/machines.ts';
import type { Service } from '../stack/service.ts';
import { removeStackData } from '../stack/stack.ts';
import { start } from './running.ts';
import { measureBareWorkflow } from './bare/measure.ts';
import { distribution, single, type Result } from './results.ts';

/** Memories that are written one after the other to measure how soon another node has each. */
const MEMORIES = 100;

/** How often the other node's database is read, in milliseconds: the resolution of the figure. */
const LOOK_MS = 2;

/** Measures the times from a commit on one machine until the row can be read on another. */
async function commitToVisible(from: Machine, to: Machine): Promise<number[]> {
  const find = to.db.prepare('SELECT 1 FROM observations WHERE title = ?');
  const times: number[] = [];
  for (let n = 0; n < MEMORIES; n += 1) {
    const title = `Measured memory ${n}`;
    from.writer.observation({
      memorySessionId: 'manual-garden',
      project: 'garden',
      title,
      narrative: 'Written to be timed.',
      createdAt: Date.now(),
    });
    const began = performance.now();
    while (find.get(title) === undefined) {
      if (performance.now() - began > 60_000) throw new Error(`"${title}" did not arrive within 60 s`);
      await sleep(LOOK_MS);
    }
    times.push(performance.now() - began);
    // Random, so that it does not align with the agent's own checks.
    await sleep(300 + Math.random() * 200);
  }
  return times;
}

/**
 * `npm run bench -- stack`: cold and warm start, and the time from a commit on one node until it is visible on
 * another. It also measures Temporal's own lower bound in the same run.
 */
export async function benchStack(root: string, log: (line: string) => void): Promise<Result[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-bench-'));
  const results: Result[] = [];
  try {
    const cold = await start(root, dataDir, log);
    results.push(
      single(
        'cold start: empty data folder, programs and page built',
        'PostgreSQL, MinIO, Temporal',
        'ms',
        cold.ms.parts,
      ),
    );
    results.push(
      single(
        'cold start: empty data folder, programs and page built',
        'control plane answers',
        'ms',
        cold.ms.ready,
      ),
    );
    await cold.stop();

    const warm = await start(root, dataDir, log);
    const agents: Service[] = [];
    const machines = makeMachines(join(dataDir, 'machines'));
    try {
      results.push(single('warm start', 'PostgreSQL, MinIO, Temporal', 'ms', warm.ms.parts));
      results.push(single('warm start', 'control plane answers', 'ms', warm.ms.ready));

      const env = process.env;
      const { canonical_id: cid } = await warm.control.createSpace('bench');
      const [from, to] = machines;
      if (from === undefined || to === undefined) throw new Error('the bench needs two machines');
      for (const machine of [from, to]) {
        const began = performance.now();
        agents.push(await startMachine(machine, { root, dataDir, env, control: warm.control }));
        results.push(
          single(`agent ${machine.id} with a new database`, 'agent answers', 'ms', performance.now() - began),
        );
        await waitUntil(`${machine.id} in step`, 120, async () => {
          const { nodes } = await warm.control.space(cid);
          return nodes.some(({ node_id, last_pull_at }) => node_id === machine.id && last_pull_at !== null);
        });
      }
      await waitUntil('both quiet', 60, async () =>
        (await warm.control.jobs()).every(({ status }) => status === 'completed'),
      );
      log('writing memories one by one ...');
      results.push(
        distribution(
          'memory written on one node',
          'commit to visible on another',
          'ms',
          await commitToVisible(from, to),
        ),
      );
      for (const agent of agents.splice(0)) await agent.stop();
      log('the bare engine ...');
      results.push(
        ...(await measureBareWorkflow(warm.stack.temporal.address, warm.stack.temporal.namespace)),
      );
    } finally {
      for (const agent of agents) await agent.stop();
      for (const { db } of machines) db.close();
      await warm.stop();
    }
    return results;
  } finally {
    removeStackData(dataDir);
  }
}
