import type { StoreRoute } from '../../storage/store-route.ts';
import type { AgentConfig } from '../config.ts';
import { serverOf } from './server.ts';
import type { AgentState } from './state.ts';

/** Returns how this node reaches the object store, by MEMBRIDGE_AGENT_STORE here or at the control plane. */
export function chooseStoreRoute(
  config: Pick<AgentConfig, 'store' | 'allowsPlainHttp'>,
  state: Pick<AgentState, 'server_url' | 'server_pin' | 'enrolment'>,
): StoreRoute {
  const { enrolment } = state;
  const isDirect = config.store === 'direct' && enrolment.store_way !== 'control-plane';
  return isDirect ? enrolment.store : { server: serverOf(config, state), agent_key: enrolment.agent_key };
}
