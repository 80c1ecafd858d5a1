import type { Response } from 'express';
import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { LOG_CALL, LOG_FOLLOW_MS, LogLine, type LogInput } from '../../contract/nodes/node-log.ts';
import { CALL_SECONDS } from '../../contract/nodes/remote-calls.ts';
import { safeParseLoosely } from '../../contract/http/parse-loosely.ts';
import { NodeProblem } from '../../gateway/node-problem.ts';
import { makeSessionCheck } from '../auth/auth.ts';
import type { Deps } from '../deps.ts';
import type { Caller } from '../http/route.ts';
import { attendStream, openStream } from '../http/sse.ts';
import { beginCall } from './ask-node.ts';

/** A client with this many unread bytes is disconnected: more than all lines that a node keeps should have. */
const MAX_UNREAD_BYTES = 4_194_304;

/**
 * Streams the log of a node's agent to a person. The audit log records who read it; nothing stores a line.
 * @throws as askNode does, until the first lines have come; later problems are events of the stream
 */
export async function streamLog(
  node: string,
  input: LogInput,
  by: { readonly caller: Caller; readonly res: Response },
  deps: Deps,
): Promise<void> {
  const { caller, res } = by;
  const { socket, left } = await beginCall(node, LOG_CALL, by, deps);
  let isOpen = false;
  let broken: NodeProblem | null = null;
  const piece = (text: string): void => {
    const lines = readLines(text);
    if (lines === null) {
      broken ??= new NodeProblem(node, 'call_failed', 'it sent what is no line of a log.');
      return left.abort();
    }
    if (!isOpen) {
      isOpen = true;
      openStream(res);
      attendStream(res, deps, makeSessionCheck(caller, deps));
    }
    if (res.writableEnded) return;
    for (const line of lines) res.write(`data: ${JSON.stringify(line)}\n\n`);
    if (res.writableLength > MAX_UNREAD_BYTES) res.destroy();
  };
  const deadlineMs = input.follow ? LOG_FOLLOW_MS : CALL_SECONDS.default * 1_000;
  try {
    await socket.ask({ name: LOG_CALL, input, deadlineMs, signal: left.signal, piece });
    if (isOpen && !res.writableEnded) res.end('event: end\ndata: {}\n\n');
  } catch (error) {
    const problem: unknown = broken ?? error;
    if (!isOpen || !(problem instanceof MembridgeError)) throw problem;
    const { code, message: detail } = problem;
    if (!res.writableEnded) res.end(`event: problem\ndata: ${JSON.stringify({ code, detail })}\n\n`);
  }
}

function readLines(text: string): LogLine[] | null {
  try {
    return safeParseLoosely(z.array(LogLine), JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
