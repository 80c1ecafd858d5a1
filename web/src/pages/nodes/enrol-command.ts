import type { EnrolmentToken } from '../../../../contract/nodes/nodes.ts';

/**
 * Returns the command to run on a joining machine, in a checkout of Membridge.
 * @param address the control plane's address as this browser reaches it
 * @param token a token for a node's name makes the agent take that name
 */
export function enrolCommand(
  address: string,
  token: Pick<EnrolmentToken, 'token' | 'node_id' | 'server_pin'>,
): string {
  const settings = [
    `MEMBRIDGE_SERVER_URL=${address}`,
    ...(token.server_pin === undefined ? [] : [`MEMBRIDGE_SERVER_PIN=${token.server_pin}`]),
    `MEMBRIDGE_ENROL_TOKEN=${token.token}`,
    ...(token.node_id === null ? [] : [`MEMBRIDGE_NODE_ID=${token.node_id}`]),
  ];
  return `${settings.join(' ')} ./install.sh agent`;
}

/** Returns whether an address means the machine itself. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
