import { serverAt, type Server } from '../../transport/server.ts';
import type { AgentConfig } from '../config.ts';
import type { AgentState } from './state.ts';

/**
 * Returns the control plane that this node is enrolled at.
 * @throws Error when its address is plain HTTP to another machine, and this machine's owner did not allow that
 */
export function serverOf(
  { allowsPlainHttp }: Pick<AgentConfig, 'allowsPlainHttp'>,
  { server_url: url, server_pin: pin }: Pick<AgentState, 'server_url' | 'server_pin'>,
): Server {
  return serverAt(url, { pin, allowsPlainHttp });
}
