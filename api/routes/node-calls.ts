import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { LOG_CALL, LogLine, MAX_LOG_LINES } from '../../contract/nodes/node-log.ts';
import {
  CALL_SECONDS,
  DeadlineSeconds,
  MACHINE_ONLY_CALLS,
  REMOTE_CALLS,
  isRemoteCall,
  type RemoteCall,
  type RemoteCallName,
} from '../../contract/nodes/remote-calls.ts';
import { defineRoute, type Route } from '../http/route.ts';
import { askNode } from '../nodes/ask-node.ts';
import { streamLog } from '../nodes/stream-log.ts';

const tag = 'Nodes';

const WorkerId = z.strictObject({ id: z.string() });

const DESCRIPTION = `The control plane passes the call on to the node's agent and waits for the answer, ${CALL_SECONDS.default} s by default. When the caller disconnects, the call ends on the node. The audit log records who asked and the name of the call. Nothing records the arguments or the answer.`;

/** What a call may fail with, besides what every route has. */
const ERRORS = {
  404: 'There is no such node',
  409: "The node's agent is too old, or the node's database does not allow this now",
  429: 'The node is busy with other calls, or too many requests came',
  502: 'The node failed, or its answer is too large or has another form',
  503: 'The node is offline or not connected, or PostgreSQL does not answer',
  504: 'The node did not answer in time',
};

function callRoute(name: RemoteCallName): Route {
  const { summary, input, output }: RemoteCall = REMOTE_CALLS[name];
  const isOptional = input.safeParse({}).success;
  return defineRoute({
    method: 'post',
    path: `/api/runtime/workers/:id/calls/${name}`,
    auth: 'people',
    tag,
    summary,
    description: DESCRIPTION,
    params: WorkerId,
    body: z.strictObject({
      /** The arguments of the call. */
      input: isOptional ? input.optional() : input,
      deadline_seconds: DeadlineSeconds,
    }),
    status: 200,
    response: output,
    errors: ERRORS,
    handle: async ({ params, body, caller, res }, deps) =>
      await askNode(
        { node: params.id, name, input: body.input ?? {}, deadlineSeconds: body.deadline_seconds },
        { caller, res },
        deps,
      ),
  });
}

export const nodeCallRoutes = [
  ...Object.keys(REMOTE_CALLS).filter(isRemoteCall).map(callRoute),
  defineRoute({
    method: 'get',
    path: `/api/runtime/workers/:id/calls/${LOG_CALL}`,
    auth: 'people',
    tag,
    summary: "Read the last lines of a node's own log, as server-sent events",
    description: `Each data line is a LogLine: at (epoch ms), level, message, and fields as JSON text. Secrets of a known form are replaced. follow=1 continues with new lines for up to an hour. The event end says that no line follows; the event problem has code and detail. An agent keeps ${MAX_LOG_LINES} lines since its start.`,
    params: WorkerId,
    query: z.strictObject({
      lines: z.coerce.number().int().min(0).max(MAX_LOG_LINES).default(200),
      follow: z.enum(['0', '1']).default('0'),
    }),
    status: 200,
    content: 'text/event-stream',
    event: LogLine,
    errors: ERRORS,
    handle: async ({ params, query: { lines, follow }, caller, res }, deps) =>
      await streamLog(params.id, { lines, follow: follow === '1' }, { caller, res }, deps),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/workers/:id/calls/:name',
    auth: 'people',
    tag,
    summary: 'Refuse every other call to a node, and say where it can be made',
    params: z.strictObject({ id: z.string(), name: z.string() }),
    status: 404,
    errors: { 403: 'Only somebody on the machine makes this call', 404: 'There is no such call' },
    handle: ({ params: { id, name } }) => {
      if (MACHINE_ONLY_CALLS.includes(name)) {
        throw new MembridgeError(
          'forbidden',
          `"${name}" changes or sends memories, so nobody may ask ${id} for it from afar. Run "membridge ${name}" on that machine.`,
        );
      }
      const known = Object.keys(REMOTE_CALLS).join(', ');
      throw new MembridgeError(
        'not_found',
        `There is no call "${name.slice(0, 64)}". A node answers: ${known}.`,
      );
    },
  }),
];
