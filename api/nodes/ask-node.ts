import type { Response } from 'express';
import type { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { safeParseLoosely } from '../../contract/http/parse-loosely.ts';
import { REMOTE_CALLS, type RemoteCallName } from '../../contract/nodes/remote-calls.ts';
import { answersCalls } from '../../db/queries/answers-calls.ts';
import { auditEntry, recordAudit } from '../../db/queries/record-audit.ts';
import type { CallSocket } from '../../gateway/call-socket.ts';
import { NodeProblem } from '../../gateway/node-problem.ts';
import { auditByCaller } from '../auth/actor.ts';
import type { Deps } from '../deps.ts';
import { requireNode } from '../http/not-found.ts';
import type { Caller } from '../http/route.ts';

/** What a person asks of a node. */
interface Question {
  readonly node: string;
  readonly name: RemoteCallName;
  readonly input: unknown;
  readonly deadlineSeconds: number;
}

/**
 * Asks a node, and returns its answer, checked. The audit log records who asked and the name of the call; nothing
 * records the arguments or the answer. The call ends on the node when the caller disconnects.
 * @throws MembridgeError not_found, node_offline, node_unreachable, agent_outdated, too_many_requests, call_timeout,
 * call_failed, and NodeProblem
 */
export async function askNode(
  { node, name, input, deadlineSeconds }: Question,
  by: { readonly caller: Caller; readonly res: Response },
  deps: Deps,
): Promise<unknown> {
  const { socket, left } = await beginCall(node, name, by, deps);
  const text = await socket.ask({ name, input, deadlineMs: deadlineSeconds * 1_000, signal: left.signal });
  return readAnswer(node, REMOTE_CALLS[name].output, text);
}

/**
 * Finds the socket of a node, and records that somebody asks it.
 * @returns the socket, and what is aborted when the caller disconnects
 * @throws MembridgeError not_found, node_offline, node_unreachable, agent_outdated, too_many_requests
 */
export async function beginCall(
  node: string,
  name: string,
  { caller, res }: { readonly caller: Caller; readonly res: Response },
  deps: Deps,
): Promise<{ socket: Pick<CallSocket, 'ask'>; left: AbortController }> {
  const socket = deps.calls.find(node) ?? (await refuseCall(node, deps));
  const left = new AbortController();
  res.once('close', () => left.abort());
  await recordCall(node, name, caller, deps);
  return { socket, left };
}

/** Says why a node cannot be asked. @throws always */
async function refuseCall(id: string, deps: Deps): Promise<Pick<CallSocket, 'ask'>> {
  const { standing, agent_version: version } = await requireNode(deps, id);
  if (standing.presence !== 'online') {
    throw new MembridgeError(
      'node_offline',
      `Node ${id} is offline, so it cannot be asked. Start its agent, or run "membridge doctor" on that machine.`,
    );
  }
  if (await answersCalls(deps.db, { id })) {
    throw new MembridgeError(
      'node_unreachable',
      `Node ${id} is online, but its agent has no connection for calls to this control plane. It connects again within 15 seconds. If this message stays, a proxy may not forward WebSockets: the agent's log says so.`,
    );
  }
  throw new MembridgeError(
    'agent_outdated',
    `The agent of node ${id} (version ${version}) does not answer calls. Upgrade Membridge on that machine, or ask there: "membridge doctor".`,
  );
}

async function recordCall(node: string, name: string, caller: Caller, deps: Deps): Promise<void> {
  const by = { ...auditByCaller(caller), detail: `asked ${node} for ${name}` };
  const entry = auditEntry({ type: 'worker', id: node }, 'node_asked', by, deps.now());
  await deps.db.run((sql) => recordAudit(sql, [entry]));
}

/** Reads an answer. A node of another version may add fields, and a hostile one may send anything. @throws NodeProblem */
function readAnswer(node: string, output: z.ZodType, text: string): unknown {
  try {
    const parsed = safeParseLoosely(output, JSON.parse(text));
    if (parsed.success) return parsed.data;
  } catch {
    // Not JSON, or nested too deeply to be copied.
  }
  throw new NodeProblem(
    node,
    'call_failed',
    'its answer does not have the form that this control plane knows. Upgrade the older of the two.',
  );
}
