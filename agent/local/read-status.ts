import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { agentState, syncState } from '../../contract/memory/sync-state.ts';
import type { StatusAnswer } from '../../contract/nodes/remote-calls.ts';
import type { Agent } from '../agent.ts';

/**
 * Returns the state of this node: its database, its spaces, its last heartbeat.
 * @param project the project that the caller names; by default the one of the first space
 */
export function readStatus(agent: Agent, project: string | undefined): StatusAnswer {
  const { config } = agent;
  const name = project ?? agent.spaces()[0]?.projectId ?? '';
  const now = Date.now();
  const { memory, state: heartbeat } = agent.heartbeat;
  const own = agentState({ now, memory, heartbeat });
  return {
    ok: own.isWell,
    state: own.state,
    project: name,
    canonical_id: canonicalId(name),
    hostname: hostname(),
    detail: own.detail || own.state,
    dryrun: config.dryrun,
    config_env_exists: existsSync(config.configEnv),
    hooks_bin_exists: existsSync(config.hooksBin),
    db_exists: existsSync(config.databasePath),
    db_path: config.databasePath,
    memory,
    spaces: agent.spaces(),
    space_states: (memory.syncs ?? []).map((sync) => ({
      canonical_id: sync.space,
      ...syncState({ now, memory, sync }),
    })),
    heartbeat,
  };
}
