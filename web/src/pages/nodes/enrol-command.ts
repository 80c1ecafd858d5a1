/**
 * Returns the command to run on a joining machine, in a checkout of Membridge.
 * @param address the control plane's address as this browser reaches it
 * @param token a token for a node's name makes the agent take that name
 */
export function enrolCommand(address: string, token: { token: string; node_id: string | null }): string {
  const settings = [
    `MEMBRIDGE_SERVER_URL=${address}`,
    `MEMBRIDGE_ENROL_TOKEN=${token.token}`,
    ...(token.node_id === null ? [] : [`MEMBRIDGE_NODE_ID=${token.node_id}`]),
  ];
  return `${settings.join(' ')} ./install.sh agent`;
}

/** Returns whether an address means the machine itself. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
