import type { RunSpec } from '../contract/runs.ts';

/** Keys, tokens and addresses of ours: a prompt could have any program print its environment. */
const LEFT_OUT =
  /^(?:MEMBRIDGE_.*|MINIO_.*|RUNTIME_API_KEY|BLOOM_RUNTIME_URL|DATABASE_URL|SESSION_SECRET|PG(?:PASSWORD|PASSFILE|USER|HOST|PORT|DATABASE|SERVICE)|TEMPORAL_.*|NODE_CHANNEL_FD|NODE_UNIQUE_ID|CLAUDECODE|CLAUDE_CODE_(?:ENTRYPOINT|SSE_PORT))$/;

/** What hooks of Claude Code need in order to reach this node's agent. None of it is a secret. */
const KEPT = new Set([
  'MEMBRIDGE_AGENT_DATA_DIR',
  'MEMBRIDGE_AGENT_HOST',
  'MEMBRIDGE_AGENT_PORT',
  'MEMBRIDGE_CONFIG_ENV',
  'MEMBRIDGE_HOOKS_BIN',
  'MEMBRIDGE_NODE_ID',
]);

/** The environment of a program that works on a task: the agent's own without our secrets, and what task it is. */
export function runEnvironment(
  env: NodeJS.ProcessEnv,
  spec: Pick<RunSpec, 'taskId' | 'contextId' | 'agentSlug'>,
): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => KEPT.has(name) || !LEFT_OUT.test(name));
  return {
    ...Object.fromEntries(kept.map(([name, value]) => [name, value ?? ''])),
    // As the original: claude-mem's hooks take it as the project's name.
    ...(spec.agentSlug === 'default' ? {} : { CLAUDE_PROJECT_ID: spec.agentSlug }),
    MEMBRIDGE_TASK_ID: spec.taskId,
    MEMBRIDGE_CONTEXT_ID: spec.contextId,
  };
}
