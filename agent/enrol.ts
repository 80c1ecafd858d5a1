import { generateNodeKey } from '../memory/signing.ts';
import type { AgentConfig } from './config.ts';
import { enrol } from './control-plane.ts';
import { readFacts } from './facts.ts';
import { readState, writeState, type AgentState } from './state.ts';

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
  const enrolment = await enrol(config.serverUrl, {
    token: config.enrolToken,
    node_id: config.nodeId,
    public_key: key.publicKey,
    facts: readFacts({ url: '', dryrun: config.dryrun }),
  });
  const state: AgentState = { server_url: config.serverUrl, private_key: pem, enrolment };
  writeState(config.dataDir, state);
  return state;
}
