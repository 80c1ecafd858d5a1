import { devNull } from 'node:os';

/**
 * Variables that would point git at another repository, reveal its secrets, or ask a person: none of them is
 * passed to our git. (`git rev-parse --local-env-vars` lists the first ones.)
 */
const REMOVED_VARIABLES =
  /^(?:GIT_(?:ALTERNATE_OBJECT_DIRECTORIES|CONFIG|CONFIG_PARAMETERS|CONFIG_COUNT|CONFIG_(?:KEY|VALUE)_\d+|OBJECT_DIRECTORY|DIR|WORK_TREE|IMPLICIT_WORK_TREE|GRAFT_FILE|INDEX_FILE|NO_REPLACE_OBJECTS|REPLACE_REF_BASE|PREFIX|SHALLOW_FILE|COMMON_DIR|INTERNAL_SUPER_PREFIX|NAMESPACE|ASKPASS|CURL_VERBOSE|TRACE.*|TRANSFER_TRACE|REDIRECT_.*|EDITOR|SEQUENCE_EDITOR|PAGER|PROGRESS_DELAY)|SSH_ASKPASS|SSH_ASKPASS_REQUIRE|DISPLAY|WAYLAND_DISPLAY|MEMBRIDGE_.*|LANG|LANGUAGE|LC_.*)$/;

/**
 * Returns the environment of every git that is started here, before access is added: English, and without
 * prompts.
 */
export function gitEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => !REMOVED_VARIABLES.test(name));
  return {
    ...Object.fromEntries(kept.map(([name, value]) => [name, value ?? ''])),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: 'http:https:ssh',
    SSH_ASKPASS_REQUIRE: 'never',
  };
}

/**
 * Settings of every git that is started here, as arguments before its command. Nothing in a repository is
 * run, and nothing continues after git has ended.
 */
export const GIT_SETTINGS: readonly string[] = [
  'protocol.ext.allow=never',
  'protocol.file.allow=never',
  `core.hooksPath=${devNull}`,
  'core.fsmonitor=false',
  'core.askPass=',
  // git's prompts name only the host, exactly as in the address (CVE-2024-50349).
  'credential.sanitizePrompt=true',
  'credential.useHttpPath=false',
  'core.quotePath=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'merge.autoStash=false',
  'merge.verifySignatures=false',
  'submodule.recurse=false',
  'fetch.prune=false',
  'fetch.recurseSubmodules=false',
  'color.ui=false',
].flatMap((setting) => ['-c', setting]);
