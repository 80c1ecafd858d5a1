import type { WorkerOptions } from '@temporalio/worker';
import { agentIdentity, nodeQueue } from '../../contract/names.ts';
import { keepWorker } from '../../engine/keep-worker.ts';
import { openEngineTunnel, type EngineTunnel } from '../../agent/tunnel/engine-tunnel.ts';
import { startActivityRunner, type ActivityRunner } from '../support/activity-runner.ts';
import { enrolNode, type TestPlane } from '../support/control-plane.ts';
import { serverAt } from '../../transport/server.ts';

/** A node without an agent: a worker on the node's own queue, behind a tunnel. */
export interface TunnelNode {
  readonly id: string;
  readonly key: string;
  readonly tunnel: EngineTunnel;
  /** The tunnel's reports; null: it worked again. */
  readonly reports: (string | null)[];
  isPolling(): boolean;
  readonly start: ActivityRunner['start'];
  stop(): Promise<void>;
}

/**
 * Enrols a node and lets it work behind a tunnel.
 * @param options.serverUrl the control plane, or a line to it
 */
export async function startTunnelNode(
  test: TestPlane,
  id: string,
  options: { activities: WorkerOptions['activities']; serverUrl?: string },
): Promise<TunnelNode> {
  const { address } = test.plane.deps.engine;
  const { agent_key: key } = await enrolNode(test, id);
  const reports: (string | null)[] = [];
  const tunnel = await openEngineTunnel({
    server: serverAt(options.serverUrl ?? test.plane.url),
    agentKey: key,
    report: (problem) => reports.push(problem),
  });
  const worker = keepWorker(
    { address: tunnel.address, namespace: address.namespace, secret: tunnel.secret },
    {
      taskQueue: nodeQueue(id),
      identity: agentIdentity(id, process.pid),
      activities: options.activities ?? {},
      maxHeartbeatThrottleInterval: '200 ms',
      defaultHeartbeatThrottleInterval: '200 ms',
      shutdownForceTime: '5 seconds',
    },
    { polls: () => undefined, ended: () => undefined },
  );
  const runner = await startActivityRunner(test.plane.deps.engine, nodeQueue(id));
  return {
    id,
    key,
    tunnel,
    reports,
    isPolling: () => worker.isPolling(),
    start: async (activity, input) => await runner.start(activity, input),
    stop: async () => {
      await worker.stop();
      await runner.stop();
      tunnel.close();
    },
  };
}
