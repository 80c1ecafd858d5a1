import { generateNodeKey } from '../../memory/format/signing.ts';
import type { AgentConfig } from '../config.ts';
import { ControlPlaneError, askConnection, enrol } from './control-plane.ts';
import { readFacts } from '../node-facts.ts';
import type { Logger } from 'pino';
import { readState, writeState, type AgentState } from './state.ts';

/** The default address of a control plane on this machine. */
export const DEFAULT_SERVER_URL = 'http://127.0.0.1:8000';

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
  const serverUrl = config.serverUrl ?? DEFAULT_SERVER_URL;
  const enrolment = await enrol(serverUrl, {
    token: config.enrolToken,
    node_id: config.nodeId,
    public_key: key.publicKey,
    facts: readFacts({ url: '', dryrun: config.dryrun, tasks: config }),
  });
  const state: AgentState = { server_url: serverUrl, private_key: pem, enrolment };
  writeState(config.dataDir, state);
  return state;
}

/**
 * Asks the control plane for today's addresses and keys of Temporal and the object store, and returns the enrolment
 * with them. Without an answer the stored ones remain. MEMBRIDGE_SERVER_URL moves an enrolled agent to the control
 * plane's new address.
 */
export async function refreshConnection(
  config: AgentConfig,
  state: AgentState,
  log: Logger,
): Promise<AgentState> {
  const serverUrl = config.serverUrl ?? state.server_url;
  const kept = { ...state, server_url: serverUrl };
  try {
    const connection = await askConnection(serverUrl, state.enrolment.agent_key);
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
