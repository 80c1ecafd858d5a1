import type { RunSpec } from '../contract/tasks/runs.ts';

/**
 * Variables that a task's program receives: locations, language, network access, and Claude Code's settings.
 * Everything else may be a secret of the machine's owner, which a prompt could make any program print.
 */
const PASSED_VARIABLES =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|PWD|TMPDIR|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|TZ|LANG|LANGUAGE|LC_[A-Z]+|XDG_[A-Z_]+|(?:https?|no|all|HTTPS?|NO|ALL)_(?:proxy|PROXY)|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO|ANTHROPIC_[A-Z0-9_]+|CLAUDE_[A-Z0-9_]+)$/;

/**
 * Our own variables, and those that show Claude Code that another one started it: never passed on, even if
 * the owner lists them.
 */
const REMOVED_VARIABLES =
  /^(?:MEMBRIDGE_.*|MINIO_.*|RUNTIME_API_KEY|BLOOM_RUNTIME_URL|DATABASE_URL|SESSION_SECRET|PG(?:PASSWORD|PASSFILE|USER|HOST|PORT|DATABASE|SERVICE)|TEMPORAL_.*|NODE_CHANNEL_FD|NODE_UNIQUE_ID|NODE_OPTIONS|CLAUDECODE|CLAUDE_CODE_(?:ENTRYPOINT|SSE_PORT))$/;

/** Variables that Claude Code's hooks need to contact this node's agent. None of them is a secret. */
const HOOK_VARIABLES = new Set([
  'MEMBRIDGE_AGENT_DATA_DIR',
  'MEMBRIDGE_AGENT_HOST',
  'MEMBRIDGE_AGENT_PORT',
  'MEMBRIDGE_CONFIG_ENV',
  'MEMBRIDGE_HOOKS_BIN',
  'MEMBRIDGE_NODE_ID',
]);

/**
 * Returns the environment of a task's program: the variables above, those that the machine's owner lists
 * (MEMBRIDGE_TASK_ENV), and the task's identity.
 * @param listed names of variables
 */
export function runEnvironment(
  env: NodeJS.ProcessEnv,
  spec: Pick<RunSpec, 'taskId' | 'contextId' | 'agentSlug'>,
  listed: readonly string[],
): Record<string, string> {
  const isPassed = (name: string): boolean =>
    HOOK_VARIABLES.has(name) ||
    (!REMOVED_VARIABLES.test(name) && (PASSED_VARIABLES.test(name) || listed.includes(name)));
  const kept = Object.entries(env).filter(([name]) => isPassed(name));
  return {
    ...Object.fromEntries(kept.map(([name, value]) => [name, value ?? ''])),
    // As in the original: claude-mem's hooks use it as the project's name.
    ...(spec.agentSlug === 'default' ? {} : { CLAUDE_PROJECT_ID: spec.agentSlug }),
    MEMBRIDGE_TASK_ID: spec.taskId,
    MEMBRIDGE_CONTEXT_ID: spec.contextId,
  };
}
