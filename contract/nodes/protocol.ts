/**
 * The version of the protocol between agent and control plane, as one number. It rises only when one side can no
 * longer serve the other; a new field or route is no reason. Version 0.4 named no number: it counts as 1.
 */
export const PROTOCOL = 1;
/** The oldest agent protocol that this control plane serves. */
export const OLDEST_AGENT_PROTOCOL = 1;
/** The oldest control-plane protocol that this agent works with. */
export const OLDEST_SERVER_PROTOCOL = 1;

/** The header of requests and answers that names the sender's protocol. */
export const PROTOCOL_HEADER = 'X-MEMBRIDGE-PROTOCOL';

/**
 * Reads the header's value.
 * @returns the number; 1 when the header is missing or cannot be read
 */
export function readProtocol(header: string | null | undefined): number {
  return header != null && /^\d{1,9}$/.test(header) ? Number(header) : 1;
}

/** Returns why a control plane refuses an agent, and what to do; null when it serves it. @param oldest for tests */
export function refusalOfAgent(spoken: number, oldest: number = OLDEST_AGENT_PROTOCOL): string | null {
  if (spoken >= oldest) return null;
  return `This agent speaks protocol ${spoken}, and the control plane takes ${oldest} and later. Upgrade Membridge on this machine: in its checkout, run "git pull", then install.sh again, or restart the agent.`;
}

/** Returns why an agent does not work with a control plane, and what to do; null when it does. @param oldest for tests */
export function refusalOfServer(
  spoken: number,
  serverUrl: string,
  oldest: number = OLDEST_SERVER_PROTOCOL,
): string | null {
  if (spoken >= oldest) return null;
  return `The control plane at ${serverUrl} speaks protocol ${spoken}, and this agent needs ${oldest} or later. Upgrade the control plane first; this agent tries again until then.`;
}
