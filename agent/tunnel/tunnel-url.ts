import { ENGINE_TUNNEL_PATH } from '../../contract/nodes/engine-tunnel.ts';

/**
 * Returns the address at which the tunnel's WebSocket opens.
 * @param serverUrl the control plane's http(s) URL, perhaps with a path
 */
export function tunnelUrl(serverUrl: string): string {
  return `${serverUrl.replace(/^http/i, 'ws').replace(/\/+$/, '')}${ENGINE_TUNNEL_PATH}`;
}
