import { EnrolmentToken } from '../contract/nodes/nodes.ts';
import { ask } from './requests.ts';
import type { Server } from './server.ts';
import { explainConnection } from './tls-problem.ts';

/** How long the server may take, in milliseconds. */
const TIMEOUT_MS = 15_000;

/**
 * Requests a token that admits one new node, once.
 * @param apiKey the server's RUNTIME_API_KEY
 * @param options.node_id the only name that it admits; without one, any new name
 * @param options.ttl_seconds how long it is valid; an hour by default
 * @param options.pools pools that the node may serve besides the default one
 * @throws Error saying what the server refused, or why it does not answer
 */
export async function requestToken(
  server: Server,
  apiKey: string,
  options: { node_id?: string; ttl_seconds?: number; pools?: readonly string[] },
): Promise<EnrolmentToken> {
  const whom = options.node_id === undefined ? '' : ` for node ${options.node_id}`;
  const answer = await ask(server, '/api/runtime/enrolment-tokens', {
    headers: { 'X-Runtime-API-Key': apiKey },
    // A server before 0.5 knows no pools.
    body: { ...options, pools: options.pools?.length ? options.pools : undefined },
    timeoutMs: TIMEOUT_MS,
  }).catch((cause: unknown) => {
    const reason = explainConnection(cause, server);
    throw new Error(`The server at ${server.url} gave no enrolment token${whom}: ${reason}`, { cause });
  });
  if (answer.status < 200 || answer.status > 299) {
    throw new Error(
      `The server at ${server.url} gave no enrolment token${whom}: ${answer.status} ${answer.text}`,
    );
  }
  return EnrolmentToken.parse(JSON.parse(answer.text));
}
