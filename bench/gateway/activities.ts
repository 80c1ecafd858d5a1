import { openEngineTunnel } from '../../agent/tunnel/engine-tunnel.ts';
import { serverAt } from '../../transport/server.ts';
import { nodeQueue } from '../../contract/names.ts';
import { openBareEngine, throughputOf } from '../bare/open.ts';
import { distribution, single, type Result } from '../results.ts';
import type { Running } from '../running.ts';
import { goalOf, type Ways } from './goals.ts';

/** Workflows of each way, alternately, so that other load on the machine affects both alike. */
const SEQUENTIAL = 200;
const WARM_UP = 10;
const PARALLEL = 200;
const CLIENTS = 20;
/** Rounds of the throughput of each way. */
const ROUNDS = 3;

/** Measures one activity by a worker straight at Temporal, and by one behind the engine tunnel. */
export async function measureActivities(
  { stack, api }: Running,
  node: { readonly id: string; readonly agentKey: string },
): Promise<Result[]> {
  const { address, namespace } = stack.temporal;
  const engine = await openBareEngine(address, namespace);
  const tunnel = await openEngineTunnel({
    server: serverAt(api.url),
    agentKey: node.agentKey,
    report: () => undefined,
  });
  const queues: Ways<string> = { direct: 'bench-direct', through: nodeQueue(node.id) };
  const ends = [
    await engine.poll(queues.direct),
    await engine.poll(queues.through, {
      id: node.id,
      engine: { address: tunnel.address, namespace, secret: tunnel.secret },
    }),
  ];
  try {
    const times: Ways<number[]> = { direct: [], through: [] };
    for (let n = -WARM_UP; n < SEQUENTIAL; n += 1) {
      for (const way of ['direct', 'through'] as const) {
        const ms = await engine.run(queues[way]);
        if (n >= 0) times[way].push(ms);
      }
    }
    const rates: Ways<number[]> = { direct: [], through: [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const way of ['direct', 'through'] as const)
        rates[way].push(await throughputOf(() => engine.run(queues[way]), PARALLEL, CLIENTS));
    }
    const one = 'a workflow with one activity';
    const direct = distribution(`${one}, direct`, 'start to result', 'ms', times.direct);
    const through = distribution(`${one}, through the tunnel`, 'start to result', 'ms', times.through);
    const added = (through.p50 ?? 0) - (direct.p50 ?? 0);
    const median = (samples: number[]): number => distribution('', '', '', samples).p50 ?? 0;
    const rate: Ways<number> = { direct: median(rates.direct), through: median(rates.through) };
    const many = `${CLIENTS} at once`;
    return [
      direct,
      through,
      goalOf(single(one, 'added by the tunnel, at the median', 'ms', added), '≤ 5', added <= 5),
      single(`${one}, ${many}, direct`, 'throughput', 'workflows/s', rate.direct, PARALLEL * ROUNDS),
      single(
        `${one}, ${many}, through the tunnel`,
        'throughput',
        'workflows/s',
        rate.through,
        PARALLEL * ROUNDS,
      ),
      goalOf(
        single(
          `${one}, ${many}`,
          'throughput through the tunnel against direct',
          'times',
          rate.through / rate.direct,
        ),
        '≥ 0.85',
        rate.through / rate.direct >= 0.85,
      ),
    ];
  } finally {
    for (const end of ends) await end();
    tunnel.close();
    await engine.close();
  }
}
