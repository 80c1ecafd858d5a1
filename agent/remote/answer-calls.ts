import type { RawData, WebSocket } from '../../transport/requests.ts';
import { MembridgeError } from '../../contract/errors.ts';
import {
  AskingFrame,
  CALL_PIECE_CHARS,
  MAX_CALL_ANSWER_BYTES,
  MAX_CALL_PROBLEM_CHARS,
  MAX_CALLS_AT_ONCE,
  MAX_LOGS_AT_ONCE,
  type AnsweringFrame,
} from '../../contract/nodes/agent-calls.ts';
import { LOG_CALL } from '../../contract/nodes/node-log.ts';
import { toProblem } from '../local/problems.ts';

/** What a call has while it runs. */
export interface CallContext {
  /** Aborted when nobody waits for the answer. */
  readonly signal: AbortSignal;
  /** Sends a piece of an answer that comes in pieces. Resolves when the connection has taken it. */
  readonly piece: (text: string) => Promise<void>;
}

/**
 * Works on one call.
 * @returns the answer, for JSON
 * @throws MembridgeError or ZodError, which the caller gets as a problem
 */
export type RunCall = (name: string, input: unknown, context: CallContext) => Promise<unknown>;

/** Answers the calls of an agent's sockets. Logs nothing, because arguments and answers are nobody else's business. */
export class CallAnswerer {
  readonly #run: RunCall;
  /** How many calls are worked on, those that nobody waits for included: they still take this machine's time. */
  readonly #calls = { working: 0, max: MAX_CALLS_AT_ONCE };
  /** How many read the log. Somebody who reads it must not keep others from asking. */
  readonly #logs = { working: 0, max: MAX_LOGS_AT_ONCE };

  constructor(run: RunCall) {
    this.#run = run;
  }

  /** Answers the calls of one socket until it closes; then it cancels those that still run. */
  serve(socket: WebSocket): void {
    const open = new Map<number, AbortController>();
    socket.on('message', (data, isBinary) => {
      const frame = isBinary ? null : readFrame(data);
      // A frame of another type is one of a newer control plane.
      if (frame === null) return;
      if (frame.type === 'cancel') open.get(frame.id)?.abort();
      else void this.#answer(socket, open, frame);
    });
    socket.once('close', () => {
      for (const call of open.values()) call.abort();
    });
  }

  async #answer(
    socket: WebSocket,
    open: Map<number, AbortController>,
    { id, name, input, deadline_ms: deadlineMs }: Extract<AskingFrame, { type: 'call' }>,
  ): Promise<void> {
    const cancelled = new AbortController();
    open.set(id, cancelled);
    const signal = AbortSignal.any([cancelled.signal, AbortSignal.timeout(deadlineMs)]);
    const send = (frame: AnsweringFrame): Promise<void> => sendFrame(socket, frame);
    const slots = name === LOG_CALL ? this.#logs : this.#calls;
    slots.working += 1;
    try {
      if (slots.working > slots.max) throw busy(slots.max);
      const piece = async (part: string): Promise<void> => await send({ type: 'piece', id, text: part });
      const text = JSON.stringify(await this.#run(name, input, { signal, piece }));
      if (Buffer.byteLength(text) > MAX_CALL_ANSWER_BYTES) throw tooLarge(name);
      // A reader that is slow makes this wait; a caller that left makes it stop.
      let from = 0;
      for (; text.length - from > CALL_PIECE_CHARS && !signal.aborted; from += CALL_PIECE_CHARS) {
        await send({ type: 'piece', id, text: text.slice(from, from + CALL_PIECE_CHARS) });
      }
      if (!signal.aborted) await send({ type: 'answer', id, text: text.slice(from) });
    } catch (error) {
      if (!signal.aborted) await send(problemFrame(id, error)).catch(() => undefined);
    } finally {
      slots.working -= 1;
      open.delete(id);
    }
  }
}

function problemFrame(id: number, error: unknown): AnsweringFrame {
  const { code, detail } = toProblem(error, null);
  return { type: 'problem', id, code, message: detail.slice(0, MAX_CALL_PROBLEM_CHARS) };
}

function busy(max: number): MembridgeError {
  return new MembridgeError(
    'too_many_requests',
    `it is busy with ${max} calls, the most that it works on at once. Ask again when one has ended.`,
  );
}

function tooLarge(name: string): MembridgeError {
  return new MembridgeError(
    'call_failed',
    `the answer of "${name}" has more than ${MAX_CALL_ANSWER_BYTES} bytes, the most that is sent. Run it on that machine.`,
  );
}

/** Sends a frame, and waits until the connection has taken it. */
async function sendFrame(socket: WebSocket, frame: AnsweringFrame): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.send(JSON.stringify(frame), (error) => (error == null ? resolve() : reject(error)));
  });
}

function readFrame(data: RawData): AskingFrame | null {
  try {
    return AskingFrame.safeParse(JSON.parse((data as Buffer).toString('utf8'))).data ?? null;
  } catch {
    return null;
  }
}
