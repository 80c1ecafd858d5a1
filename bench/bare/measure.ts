import { randomUUID } from 'node:crypto';
import { distribution, single, type Result } from '../results.ts';
import { openBareEngine, throughputOf } from './open.ts';

const SEQUENTIAL = 100;
const PARALLEL = 200;
const CLIENTS = 20;

/**
 * Measures the cost of Temporal itself: a workflow with one activity on another queue, first one after the other,
 * then many at the same time. It is the lower bound for our own figures in the same run.
 */
export async function measureBareWorkflow(address: string, namespace: string): Promise<Result[]> {
  const engine = await openBareEngine(address, namespace);
  const queue = `bench-${randomUUID()}`;
  const end = await engine.poll(queue);
  const once = (): Promise<number> => engine.run(queue);
  try {
    for (let n = 0; n < 10; n += 1) await once();
    const latencies: number[] = [];
    for (let n = 0; n < SEQUENTIAL; n += 1) latencies.push(await once());
    const rate = await throughputOf(once, PARALLEL, CLIENTS);
    return [
      distribution('bare one-activity workflow', 'start to result', 'ms', latencies),
      single(`bare one-activity workflow, ${CLIENTS} at once`, 'throughput', 'workflows/s', rate, PARALLEL),
    ];
  } finally {
    await end();
    await engine.close();
  }
}
