import { MEMBERSHIP_HEADER, SEALING_HEADER } from '../../contract/memory/membership.ts';
import { z } from 'zod';
import {
  AgentConnection,
  AgentHeartbeatResponse,
  EnrolResponse,
  type AgentHeartbeat,
  type EnrolRequest,
} from '../../contract/nodes/nodes.ts';
import type { OriginalHeartbeat } from '../../contract/http/original.ts';
import { safeParseLoosely } from '../../contract/http/parse-loosely.ts';
import { PROTOCOL, PROTOCOL_HEADER, readProtocol, refusalOfServer } from '../../contract/nodes/protocol.ts';
import type { SyncAction } from '../../contract/http/primitives.ts';
import { AgentSyncAnswer, type AgentClaim } from '../../contract/nodes/agent-requests.ts';
import { Claimed, type OutputChunk } from '../../contract/tasks/runs.ts';
import type { SyncRoundResult } from '../../contract/workflows.ts';
import { ask, type Answer } from '../../transport/requests.ts';
import type { Server } from '../../transport/server.ts';
import { explainConnection } from '../../transport/tls-problem.ts';
import { NodeCredential, type CloneSpec } from '../../contract/projects/projects.ts';

/** How long the control plane may take to answer, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** Thrown for an answer of the control plane that is not a success. */
export class ControlPlaneError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;

  constructor(status: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ControlPlaneError';
    this.status = status;
  }
}

/** Exchanges a one-time token for this node's own key. @throws ControlPlaneError */
export async function enrol(server: Server, request: EnrolRequest): Promise<EnrolResponse> {
  return await call(server, '/api/agent/enrol', {}, request, EnrolResponse);
}

/** Asks where Temporal and the object store are now. @throws ControlPlaneError */
export async function askConnection(server: Server, agentKey: string): Promise<AgentConnection> {
  const headers = { 'X-MEMBRIDGE-AGENT': agentKey };
  return await call(server, '/api/agent/connection', headers, undefined, AgentConnection);
}

/** Sends a heartbeat. @throws ControlPlaneError */
export async function sendHeartbeat(
  server: Server,
  agentKey: string,
  heartbeat: AgentHeartbeat,
  has: { membership: string | null; sealingKeyIds: readonly string[] },
): Promise<AgentHeartbeatResponse> {
  const headers = {
    'X-MEMBRIDGE-AGENT': agentKey,
    [MEMBERSHIP_HEADER]: has.membership ?? 'none',
    ...(has.sealingKeyIds.length === 0
      ? {}
      : { [SEALING_HEADER]: has.sealingKeyIds.slice(0, 100).join(',') }),
  };
  return await call(server, '/api/agent/heartbeat', headers, heartbeat, AgentHeartbeatResponse);
}

/** Reports a project that a hook or script of this machine registered. @throws ControlPlaneError */
export async function reportProject(
  server: Server,
  agentKey: string,
  report: z.input<typeof OriginalHeartbeat>,
): Promise<void> {
  const headers = { 'X-MEMBRIDGE-AGENT': agentKey };
  await call(server, '/agent/heartbeat', headers, report, z.object({ ok: z.boolean() }));
}

/** Asks for the credential of a project's git server. @throws ControlPlaneError */
export async function askCredential(
  server: Server,
  agentKey: string,
  spec: Pick<CloneSpec, 'projectId' | 'repoUrl'>,
): Promise<NodeCredential> {
  const headers = { 'X-MEMBRIDGE-AGENT': agentKey };
  const path = `/api/agent/projects/${encodeURIComponent(spec.projectId)}/credential?repo_url=${encodeURIComponent(spec.repoUrl)}`;
  return await call(server, path, headers, undefined, NodeCredential);
}

/** Sends what the program of a task wrote. @returns whether somebody wants more @throws ControlPlaneError */
export async function sendTaskOutput(
  server: Server,
  agentKey: string,
  taskId: string,
  output: { epoch: number; chunks: OutputChunk[] },
): Promise<boolean> {
  const headers = { 'X-MEMBRIDGE-AGENT': agentKey };
  const path = `/api/agent/tasks/${encodeURIComponent(taskId)}/output`;
  return (await call(server, path, headers, output, OutputAnswer)).wanted;
}

/** Reports that claude-mem wrote something on this node. @throws ControlPlaneError */
export async function sendNoticed(server: Server, agentKey: string, cid: string): Promise<void> {
  const path = `/api/agent/spaces/${encodeURIComponent(cid)}/noticed`;
  await call(server, path, { 'X-MEMBRIDGE-AGENT': agentKey }, {}, z.object({ ok: z.literal(true) }));
}

/** Requests a sync of this node. @returns its result; null while it runs @throws ControlPlaneError */
export async function sendSync(
  server: Server,
  agentKey: string,
  cid: string,
  { jobId, action }: { jobId: string; action: SyncAction },
): Promise<SyncRoundResult | null> {
  const path = `/api/agent/spaces/${encodeURIComponent(cid)}/sync`;
  const headers = { 'X-MEMBRIDGE-AGENT': agentKey };
  return (await call(server, path, headers, { job_id: jobId, action }, AgentSyncAnswer)).result;
}

/** Begins an attempt at a task. @throws ControlPlaneError with status 409 when the task's workflow refuses */
export async function sendClaim(
  server: Server,
  agentKey: string,
  taskId: string,
  claim: AgentClaim,
): Promise<Claimed> {
  const path = `/api/agent/tasks/${encodeURIComponent(taskId)}/claim`;
  return await call(server, path, { 'X-MEMBRIDGE-AGENT': agentKey }, claim, Claimed);
}

const OutputAnswer = z.strictObject({ wanted: z.boolean() });

async function call<T>(
  server: Server,
  path: string,
  headers: Record<string, string>,
  body: unknown,
  schema: z.ZodType<T>,
): Promise<T> {
  const { url } = server;
  const { status, headers: answered, text } = await send(server, path, headers, body);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw new ControlPlaneError(0, describeForeignAnswer(url, status, answered), cause);
  }
  const refusal = refusalOfServer(readProtocol(answered.get(PROTOCOL_HEADER)), url);
  if (refusal !== null) throw new ControlPlaneError(0, refusal);
  if (status < 200 || status > 299) {
    throw new ControlPlaneError(status, `The control plane at ${url} said ${status}: ${detailOf(answer)}`);
  }
  const parsed = safeParseLoosely(schema, answer);
  if (parsed.success) return parsed.data;
  throw new ControlPlaneError(
    0,
    `The server at ${url} is not a control plane that this agent understands (${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? ''}). Check MEMBRIDGE_SERVER_URL.`,
    parsed.error,
  );
}

async function send(
  server: Server,
  path: string,
  headers: Record<string, string>,
  body: unknown,
): Promise<Answer> {
  try {
    return await ask(server, path, {
      headers: { [PROTOCOL_HEADER]: String(PROTOCOL), ...headers },
      body,
      timeoutMs: TIMEOUT_MS,
    });
  } catch (cause) {
    const reason = explainConnection(cause, server);
    throw new ControlPlaneError(0, `The control plane at ${server.url} does not answer: ${reason}`, cause);
  }
}

/** Says what answered without JSON. A captive portal or a proxy's own page can answer with any status. */
function describeForeignAnswer(url: string, status: number, headers: Headers): string {
  const location = headers.get('Location');
  if (status >= 300 && status < 400 && location !== null) {
    return `The control plane at ${url} answers that it is at another address: ${location}. This agent sends its key to no address that a redirect names. Set MEMBRIDGE_SERVER_URL to the right one.`;
  }
  const type = headers.get('Content-Type') ?? 'no type';
  return `The control plane at ${url} does not answer: something on the way answered ${status} with ${type} in place of JSON, such as the sign-in page of a network or a proxy. Open ${url} in a browser on this machine.`;
}

function detailOf(answer: unknown): string {
  const { detail } = (typeof answer === 'object' && answer !== null ? answer : {}) as { detail?: unknown };
  return typeof detail === 'string' ? detail : JSON.stringify(answer).slice(0, 300);
}
