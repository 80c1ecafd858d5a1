import { generateNodeKey } from '../../memory/format/signing.ts';
import type { AgentConfig } from '../config.ts';
import { ControlPlaneError, askConnection, enrol } from './control-plane.ts';
import { readFacts } from '../facts.ts';
import type { Logger } from 'pino';
import { readState, writeState, type AgentState } from './state.ts';

/** Where a control plane of this machine listens unless it was told otherwise. */
export const DEFAULT_SERVER_URL = 'http://127.0.0.1:8000';

/**
 * This node's enrolment: the kept one, or a new one by the token in the environment. A token that is given although the
 * node is enrolled already is not used.
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
 * The kept enrolment with today's addresses and keys of Temporal and the object store, as the control plane tells them;
 * what was kept when it does not answer. MEMBRIDGE_SERVER_URL moves an enrolled agent to the control plane's new address.
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
    // An answer without a way means the direct one, whatever was kept.
    const { store_way: _former, ...enrolment } = state.enrolment;
    const fresh: AgentState = { ...kept, enrolment: { ...enrolment, ...connection } };
    if (JSON.stringify(fresh) !== JSON.stringify(state)) writeState(config.dataDir, fresh);
    return fresh;
  } catch (error) {
    if (!(error instanceof ControlPlaneError)) throw error;
    log.warn(
      { reason: error.message },
      'the control plane did not say where Temporal and the store are; as before',
    );
    return kept;
  }
}
