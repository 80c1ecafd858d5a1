import type { StoreRoute } from '../../storage/store-route.ts';
import type { AgentConfig } from '../config.ts';
import type { AgentState } from './state.ts';

/** Returns how this node reaches the object store, by MEMBRIDGE_AGENT_STORE here or at the control plane. */
export function chooseStoreRoute(
  { store }: Pick<AgentConfig, 'store'>,
  { server_url: serverUrl, enrolment }: Pick<AgentState, 'server_url' | 'enrolment'>,
): StoreRoute {
  const isDirect = store === 'direct' && enrolment.store_way !== 'control-plane';
  return isDirect ? enrolment.store : { server_url: serverUrl, agent_key: enrolment.agent_key };
}
