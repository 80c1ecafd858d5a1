import type { Logger } from 'pino';
import type { EngineAddress } from '../engine/connect.ts';
import type { Server } from '../transport/server.ts';
import type { AgentConfig } from './config.ts';
import { serverOf } from './control-plane/server.ts';
import type { AgentState } from './control-plane/state.ts';
import { DirectRequests, RequestsByControlPlane, type EngineRequests } from './engine-requests.ts';
import { openEngineTunnel } from './tunnel/engine-tunnel.ts';

/** How the workers of this agent reach Temporal. */
export interface WorkerEngine {
  /** The address that they connect to. */
  readonly address: EngineAddress;
  /** What a thread of this agent needs to open its own tunnel; null where the address leads straight to Temporal. */
  readonly tunnel: { readonly server: Server; readonly agentKey: string } | null;
  /** What this agent asks of workflows. */
  readonly requests: EngineRequests;
  close(): Promise<void>;
}

/**
 * Opens the engine tunnel where MEMBRIDGE_AGENT_ENGINE asks for it, here or at the control plane. Otherwise workers connect to the
 * address that enrolment gave.
 */
export async function openWorkerEngine(
  config: Pick<AgentConfig, 'engine' | 'allowsPlainHttp'>,
  state: AgentState,
  log: Logger,
): Promise<WorkerEngine> {
  const { enrolment } = state;
  const direct = enrolment.temporal;
  if (config.engine === 'direct' && enrolment.engine_way !== 'tunnel') {
    const requests = new DirectRequests(direct, enrolment.node_id);
    return { address: direct, tunnel: null, requests, close: () => requests.close() };
  }
  const by = { server: serverOf(config, state), agentKey: enrolment.agent_key };
  const tunnel = await openEngineTunnel({
    ...by,
    report: (problem) => {
      if (problem === null) log.info('the engine tunnel works again');
      else log.warn({ reason: problem }, 'the engine tunnel does not work; the agent opens it again');
    },
  });
  log.info({ address: tunnel.address }, 'workers reach Temporal through the control plane');
  return {
    address: { address: tunnel.address, namespace: direct.namespace, secret: tunnel.secret },
    tunnel: by,
    requests: new RequestsByControlPlane(by),
    close: async () => tunnel.close(),
  };
}
