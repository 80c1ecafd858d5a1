/**
 * Returns the address at which a WebSocket opens.
 * @param serverUrl the control plane's http(s) URL, perhaps with a path
 * @param path the path of the WebSocket below it
 */
export function socketUrl(serverUrl: string, path: string): string {
  return `${serverUrl.replace(/^http/i, 'ws').replace(/\/+$/, '')}${path}`;
}
