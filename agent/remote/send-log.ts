import { MAX_LOG_LINES, type LogInput, type LogLine } from '../../contract/nodes/node-log.ts';
import { redactLine, type RecentLog } from '../recent-log.ts';
import type { CallContext } from './answer-calls.ts';

/** How many lines go into one piece: a frame holds them even if each of their 4,000 characters needs seven bytes. */
const LINES_PER_PIECE = 30;

/**
 * Sends the last lines of this agent's log and, when the caller follows it, each new one until the caller leaves. For
 * a reader that is too slow, it leaves the oldest lines out.
 */
export async function sendLog(
  recent: RecentLog,
  { lines, follow }: LogInput,
  { signal, piece }: CallContext,
): Promise<null> {
  const waiting = recent.last(lines);
  let wake = (): void => undefined;
  const add = (line: LogLine): void => {
    waiting.push(line);
    if (waiting.length > MAX_LOG_LINES) waiting.shift();
    wake();
  };
  const stop = follow ? recent.follow(add) : () => undefined;
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    // The first piece may be empty: it shows the caller that the stream has begun.
    for (;;) {
      await piece(JSON.stringify(waiting.splice(0, LINES_PER_PIECE).map(redactLine)));
      if (waiting.length > 0) continue;
      if (!follow || signal.aborted) return null;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (signal.aborted) return null;
    }
  } finally {
    stop();
  }
}
