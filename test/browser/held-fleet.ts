import { enrolNode, heartbeat, type TestPlane } from '../support/control-plane.ts';
import { startHeldNode, type HeldNode } from '../git/held-clones.ts';

/** An enrolled node that reports, and whose clones end when a test says so. */
export interface ReportingNode {
  readonly held: HeldNode;
  stop(): Promise<void>;
}

/** How often such a node reports, in milliseconds. */
const BEAT_MS = 5_000;

/** Enrols a node that reports as an agent does. */
export async function startReportingNode(test: TestPlane, node: string): Promise<ReportingNode> {
  const { agent_key: key } = await enrolNode(test, node);
  const beat = () =>
    test.call('POST', '/api/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': key },
      body: heartbeat(node),
    });
  // A beat on the way when the control plane is stopped is no failure of the test.
  const timer = setInterval(() => void beat().catch(() => undefined), BEAT_MS);
  const held = startHeldNode(test.plane.deps.engine.address, node);
  return {
    held,
    stop: async () => {
      clearInterval(timer);
      await held.stop();
    },
  };
}
