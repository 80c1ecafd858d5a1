/**
 * `enrol.ts [settings.env]` enrols this machine once, before its agent starts. It uses MEMBRIDGE_ENROL_TOKEN. With
 * RUNTIME_API_KEY (as in compose) it requests a token from the server instead. So a used or expired token causes an
 * error immediately, and no file keeps it. A node that is enrolled already does not change.
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';
import { readAgentConfig, type AgentConfig } from '../agent/config.ts';
import { configuredServer, ensureEnrolled } from '../agent/control-plane/enrol.ts';
import { readState } from '../agent/control-plane/state.ts';
import { errorMessage } from '../contract/errors.ts';
import type { Server } from '../transport/server.ts';
import { requestToken } from '../transport/token.ts';

/**
 * Enrols this machine.
 * @param env the agent's settings, and RUNTIME_API_KEY where it must request the token
 * @returns what was done: a line for people that starts with `changed` or `left` and a tab
 * @throws Error saying what is missing or what the server refused
 */
export async function enrolOnce(env: NodeJS.ProcessEnv): Promise<string> {
  const config = readAgentConfig(env);
  const kept = readState(config.dataDir);
  const file = `${config.dataDir}/agent.json`;
  if (kept !== null) return `left\t${file} (enrolled as ${kept.enrolment.node_id} at ${kept.server_url})`;
  const apiKey = env.RUNTIME_API_KEY;
  const enrolToken =
    config.enrolToken ?? (apiKey ? await askForToken(configuredServer(config), config, apiKey) : null);
  const state = await ensureEnrolled({ ...config, enrolToken });
  return `changed\t${file} (enrolled as ${state.enrolment.node_id} at ${state.server_url})`;
}

/** Requests a token for exactly this node and the pools that it asks for, valid for a few minutes. */
async function askForToken(
  server: Server,
  { nodeId, labels: pools }: Pick<AgentConfig, 'nodeId' | 'labels'>,
  apiKey: string,
): Promise<string> {
  return (await requestToken(server, apiKey, { node_id: nodeId, pools, ttl_seconds: 300 })).token;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const settings = process.argv[2];
    // The service reads only the file, so the file overrides the environment.
    const kept = settings === undefined ? {} : parseEnv(readFileSync(settings, 'utf8'));
    console.log(await enrolOnce({ ...process.env, ...kept }));
    process.exit(0);
  } catch (error) {
    console.error(`membridge: ${errorMessage(error)}`);
    process.exit(1);
  }
}
