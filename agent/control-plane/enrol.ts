import { generateNodeKey } from '../../memory/format/signing.ts';
import type { AgentConfig } from '../config.ts';
import { ControlPlaneError, askConnection, enrol } from './control-plane.ts';
import { serverAt, type Server } from '../../transport/server.ts';
import { serverOf } from './server.ts';
import { readFacts } from '../node-facts.ts';
import type { Logger } from 'pino';
import { readState, writeState, type AgentState } from './state.ts';

/** The default address of a control plane on this machine. */
const DEFAULT_SERVER_URL = 'http://127.0.0.1:8000';

/**
 * Returns this node's enrolment: the stored one, or a new one made with the token in the environment. A node that is
 * enrolled already does not use the token.
 * @throws Error saying how to get a token when there is neither; ControlPlaneError when the token is refused
 */
export async function ensureEnrolled(config: AgentConfig): Promise<AgentState> {
  const kept = readState(config.dataDir);
  if (kept !== null) return kept;
  if (config.enrolToken === null) {
    throw new Error(
      `This node is not enrolled. Make a token on the page (Nodes, "Add a node") and start the agent once with ` +
        `MEMBRIDGE_SERVER_URL and MEMBRIDGE_ENROL_TOKEN set.`,
    );
  }
  const { key, pem } = generateNodeKey();
  const server = configuredServer(config);
  const enrolment = await enrol(server, {
    token: config.enrolToken,
    node_id: config.nodeId,
    public_key: key.publicKey,
    facts: readFacts({ url: '', dryrun: config.dryrun, tasks: config }),
  });
  const state: AgentState = { ...addressOf(server), private_key: pem, enrolment };
  writeState(config.dataDir, state);
  return state;
}

/**
 * Asks the control plane for today's addresses and keys of Temporal and the object store, and returns the enrolment
 * with them. Without an answer the stored ones remain. MEMBRIDGE_SERVER_URL moves an enrolled agent to the control
 * plane's new address, and MEMBRIDGE_SERVER_PIN changes whom it trusts there.
 * @throws Error when the address is plain HTTP to another machine, and this machine's owner did not allow that
 */
export async function refreshConnection(
  config: AgentConfig,
  state: AgentState,
  log: Logger,
): Promise<AgentState> {
  const pin = config.serverPin ?? state.server_pin;
  const kept: AgentState = {
    ...state,
    server_url: config.serverUrl ?? state.server_url,
    ...(pin === undefined ? {} : { server_pin: pin }),
  };
  const server = serverOf(config, kept);
  try {
    const connection = await askConnection(server, state.enrolment.agent_key);
    // An answer without `store_way` means the direct way, even if another one is stored.
    const { store_way: _former, ...enrolment } = state.enrolment;
    const fresh: AgentState = { ...kept, enrolment: { ...enrolment, ...connection } };
    if (JSON.stringify(fresh) !== JSON.stringify(state)) writeState(config.dataDir, fresh);
    return fresh;
  } catch (error) {
    if (!(error instanceof ControlPlaneError)) throw error;
    log.warn(
      { reason: error.message },
      'the control plane did not report where Temporal and the store are; the agent uses the last known addresses',
    );
    return kept;
  }
}

/** Returns the control plane that this machine's settings name, for one that is not enrolled yet. @throws Error as `serverAt` */
export function configuredServer(
  config: Pick<AgentConfig, 'serverUrl' | 'serverPin' | 'allowsPlainHttp'>,
): Server {
  const { serverUrl, serverPin: pin, allowsPlainHttp } = config;
  return serverAt(serverUrl ?? DEFAULT_SERVER_URL, { pin, allowsPlainHttp });
}

/** Returns what the state holds of a control plane's address. */
const addressOf = ({ url, pin }: Server): Pick<AgentState, 'server_url' | 'server_pin'> => ({
  server_url: url,
  ...(pin === null ? {} : { server_pin: pin }),
});
